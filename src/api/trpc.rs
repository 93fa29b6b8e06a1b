//! `/api/trpc/…`: procedures for `@trpc/client`.
//!
//! Whatever happens, the answer is an envelope: these clients cannot read anything else.

pub mod procedures;
pub mod reads;
mod refused;
mod writes;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use serde_json::{Map, Value};

use crate::app::App;
use crate::web::body::{self, BodyError};
use crate::web::client::Client;
use crate::web::form::{self, Encoding};
use crate::web::trpc::envelope::{Answer, Dialect, refuse, respond};
use crate::web::trpc::error::{Code, Failed};
use crate::web::trpc::request::{Asked, Call, Shape};
use crate::web::trpc::{Context, procedures_in};

use procedures::{Kind, Procedure};

/// The routes of this module.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/trpc", any(handle))
        .route("/api/trpc/", any(handle))
        .route("/api/trpc/{*path}", any(handle))
}

async fn handle(
    State(app): State<App>,
    client: Client,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let method = request.method().clone();
    if method == Method::OPTIONS {
        return preflight();
    }
    if method == Method::HEAD {
        return empty(StatusCode::NO_CONTENT);
    }
    let path = procedures_in(request.uri().path()).to_owned();
    let query = query.unwrap_or_default();
    let asked = match Asked::new(&path, &query, &client.headers) {
        Ok(asked) => asked,
        Err(failed) => return refuse(None, failed),
    };
    let body = match body::read(request.into_body(), app.config.http.body_limit).await {
        Ok(body) => body,
        Err(error) => return refuse(Some(&asked), unreadable(error)),
    };
    let calls = match read_calls(&asked, &method, &query, &client, &body).await {
        Ok(calls) => calls,
        Err(failed) => return refuse_all(&asked, &failed),
    };

    let count = calls.len();
    let mut context = Context {
        client,
        body,
        index: 0,
        calls: count,
    };
    let mut answers = Vec::with_capacity(count);
    for (index, call) in calls.into_iter().enumerate() {
        context.index = index;
        answers.push(run(&app, &context, &method, call).await);
    }
    respond(asked.shape, &answers)
}

async fn run(app: &App, context: &Context, method: &Method, call: Call) -> Answer {
    let Call {
        path,
        input,
        superjson,
    } = call;
    let result = match Procedure::find(&path) {
        None => Err(Failed::new(
            Code::NotFound,
            format!("No procedure found on path \"{path}\""),
        )),
        Some(procedure) => match wrong_method(method, &path, procedure.kind()) {
            Some(failed) => Err(failed),
            None => procedure.run(app, context, input.as_ref()).await,
        },
    };
    let dialect = if superjson {
        Dialect::Superjson
    } else {
        Dialect::Plain
    };
    Answer {
        path,
        dialect,
        result,
    }
}

fn wrong_method(method: &Method, path: &str, kind: Kind) -> Option<Failed> {
    let (name, wanted) = match kind {
        Kind::Query => ("query", Method::GET),
        Kind::Mutation => ("mutation", Method::POST),
    };
    (*method != wanted).then(|| Failed {
        allow: Some(wanted),
        ..Failed::new(
            Code::MethodNotSupported,
            format!("Unsupported {method}-request to {name} procedure at path \"{path}\""),
        )
    })
}

/// The calls of a request; a form posted to one procedure is its input.
async fn read_calls(
    asked: &Asked,
    method: &Method,
    query: &str,
    client: &Client,
    body: &Bytes,
) -> Result<Vec<Call>, Failed> {
    let kind = client.content_type();
    let is_form = asked.shape == Shape::Single
        && asked.paths == ["crm.leads.capture"]
        && (kind.starts_with("multipart/") || kind.starts_with("application/x-www-form-urlencoded"))
        // Scripts post JSON under curl's default type.
        && !body.trim_ascii_start().starts_with(b"{");
    if !is_form || method != Method::POST {
        return asked.calls(method, query, body);
    }
    debug_assert_ne!(Encoding::of(kind, body), Encoding::Json);
    let decoded = form::decode(kind, body)
        .await
        .map_err(|wrong| Failed::new(Code::BadRequest, wrong.message))?;
    Ok(vec![Call {
        path: asked.paths[0].clone(),
        input: Some(from_form(decoded.fields)),
        superjson: false,
    }])
}

/// Form values are all text; those that are not meant as text are read as what they are meant as.
fn from_form(fields: Vec<(String, Value)>) -> Value {
    let mut input = Map::new();
    for (name, value) in fields {
        let text = value.as_str().unwrap_or_default();
        let meant = match name.as_str() {
            "estimatedValue" | "customFields" if !text.is_empty() => {
                serde_json::from_str(text).ok()
            }
            "estimatedValue" | "customFields" => Some(Value::Null),
            _ => None,
        };
        input.insert(name, meant.unwrap_or(value));
    }
    Value::Object(input)
}

fn unreadable(error: BodyError) -> Failed {
    let code = match error {
        BodyError::TooLarge(_) => Code::PayloadTooLarge,
        BodyError::TooSlow => Code::Timeout,
        BodyError::Broken => Code::BadRequest,
    };
    Failed::new(code, error.to_string())
}

/// A request that cannot be taken apart fails in each of its calls.
fn refuse_all(asked: &Asked, failed: &Failed) -> Response {
    if asked.shape == Shape::JsonLines {
        return refuse(Some(asked), failed.clone());
    }
    let each = |path: &String| Answer {
        path: path.clone(),
        ..Answer::failed(failed.clone())
    };
    let answers: Vec<Answer> = asked.paths.iter().map(each).collect();
    respond(asked.shape, &answers)
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Any page may call: who calls is told by what is sent, never by a cookie of another site.
fn preflight() -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    let mut set = |name: HeaderName, value: &'static str| {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    };
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
    set(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "content-type, idempotency-key, trpc-accept, trpc-batch-mode, x-trpc-source, authorization, x-api-key",
    );
    set(header::ACCESS_CONTROL_MAX_AGE, "86400");
    response
}
