//! Write answers as tRPC clients of versions 10 and 11 read them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::Failed;
use super::request::{Asked, Shape};
use super::superjson;

const VARY: &str = "trpc-accept, accept";

/// How the client writes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As JSON has them.
    Plain,
    /// Wrapped by superjson.
    Superjson,
    /// The request failed before that was known: the answer must be read by both.
    Unknown,
}

/// What one call came to.
#[derive(Debug)]
pub struct Answer {
    /// The procedure; empty if the request did not come to name one.
    pub path: String,
    /// How the client writes values.
    pub dialect: Dialect,
    /// The output or the failure.
    pub result: Result<Value, Failed>,
}

#[derive(Serialize)]
struct ErrorShape<'a> {
    message: &'a str,
    code: i32,
    data: DataShape<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DataShape<'a> {
    code: &'static str,
    http_status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Wrapped<T> {
    json: T,
}

/// A plain client reads the shape and leaves `json`, a superjson client reads `json` and leaves the rest.
#[derive(Serialize)]
struct ForBoth<'a> {
    #[serde(flatten)]
    shape: &'a ErrorShape<'a>,
    json: &'a ErrorShape<'a>,
}

#[derive(Serialize)]
enum Envelope<T> {
    #[serde(rename = "result")]
    Data(DataOf<Value>),
    #[serde(rename = "error")]
    Error(T),
}

#[derive(Serialize)]
struct DataOf<T> {
    data: T,
}

impl Answer {
    /// A failure that concerns the request as a whole.
    pub fn failed(failed: Failed) -> Self {
        Self {
            path: String::new(),
            dialect: Dialect::Unknown,
            result: Err(failed),
        }
    }

    fn status(&self) -> StatusCode {
        match &self.result {
            Ok(_) => StatusCode::OK,
            Err(failed) => failed.code.parts().2,
        }
    }

    /// `{"result":…}` or `{"error":…}`.
    fn envelope(&self, dialect: Dialect) -> String {
        let text = match &self.result {
            Ok(output) => {
                let data = if dialect == Dialect::Superjson {
                    superjson::wrap(output.clone())
                } else {
                    output.clone()
                };
                serde_json::to_string(&Envelope::<()>::Data(DataOf { data }))
            }
            Err(failed) => {
                let (name, number, status) = failed.code.parts();
                let shape = ErrorShape {
                    message: &failed.message,
                    code: number,
                    data: DataShape {
                        code: name,
                        http_status: status.as_u16(),
                        path: &self.path,
                        more: &failed.data,
                    },
                };
                match dialect {
                    Dialect::Plain => serde_json::to_string(&Envelope::Error(shape)),
                    Dialect::Superjson => {
                        serde_json::to_string(&Envelope::Error(Wrapped { json: shape }))
                    }
                    Dialect::Unknown => serde_json::to_string(&Envelope::Error(ForBoth {
                        shape: &shape,
                        json: &shape,
                    })),
                }
            }
        };
        text.expect("an envelope is plain JSON")
    }
}

/// The answer to a request that failed as a whole, in the least that the link can read.
pub fn refuse(asked: Option<&Asked>, failed: Failed) -> Response {
    match asked {
        // This link reads nothing but its own pieces, and expects one for each call.
        Some(asked) if asked.shape == Shape::Pieces => {
            let answers: Vec<Answer> = asked
                .paths
                .iter()
                .map(|_| Answer::failed(failed.clone()))
                .collect();
            respond(Shape::Pieces, &answers)
        }
        _ => respond(Shape::Single, &[Answer::failed(failed)]),
    }
}

/// The answer to a whole request.
pub fn respond(shape: Shape, answers: &[Answer]) -> Response {
    let envelopes = |dialect: fn(&Answer) -> Dialect| {
        let each = answers
            .iter()
            .map(move |answer| answer.envelope(dialect(answer)));
        each.collect::<Vec<_>>()
    };
    let own = |answer: &Answer| answer.dialect;
    let (status, vary, body) = match shape {
        Shape::Single => (answers[0].status(), VARY, envelopes(own).concat()),
        Shape::Batch => (
            shared_status(answers),
            VARY,
            format!("[{}]", envelopes(own).join(",")),
        ),
        Shape::JsonLines => (StatusCode::OK, VARY, json_line(answers)),
        Shape::Pieces => {
            let pieces = numbered(&envelopes(own), "", "", "\n,");
            (
                StatusCode::OK,
                "trpc-batch-mode",
                format!("{{{pieces}\n}}\n"),
            )
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::VARY, HeaderValue::from_static(vary));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    let wait = answers
        .iter()
        .filter_map(|answer| answer.result.as_ref().err()?.retry_after)
        .max();
    if let Some(seconds) = wait {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    let allowed = answers
        .iter()
        .find_map(|answer| answer.result.as_ref().err()?.allow.as_ref())
        .and_then(|method| HeaderValue::from_str(method.as_str()).ok());
    if let Some(method) = allowed.filter(|_| status == StatusCode::METHOD_NOT_ALLOWED) {
        headers.insert(header::ALLOW, method);
    }
    response
}

/// The one line that version 11's stream link needs. It unwraps superjson once around the line, not in each answer.
fn json_line(answers: &[Answer]) -> String {
    let plain: Vec<String> = answers
        .iter()
        .map(|answer| answer.envelope(Dialect::Plain))
        .collect();
    let line = format!("{{{}}}", numbered(&plain, "[[", "]]", ","));
    if answers
        .iter()
        .all(|answer| answer.dialect == Dialect::Plain)
    {
        return line + "\n";
    }
    let value = serde_json::from_str(&line).expect("we wrote it");
    format!("{}\n", superjson::wrap(value))
}

fn numbered(envelopes: &[String], open: &str, close: &str, between: &str) -> String {
    let parts: Vec<String> = envelopes
        .iter()
        .enumerate()
        .map(|(index, envelope)| format!("\"{index}\":{open}{envelope}{close}"))
        .collect();
    parts.join(between)
}

/// The status all answers have, or 207 where they differ.
fn shared_status(answers: &[Answer]) -> StatusCode {
    let first = answers[0].status();
    if answers.iter().all(|answer| answer.status() == first) {
        first
    } else {
        StatusCode::MULTI_STATUS
    }
}
