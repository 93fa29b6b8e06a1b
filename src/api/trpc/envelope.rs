//! Write answers as tRPC clients of versions 10 and 11 read them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::Failed;
use super::request::Shape;
use super::superjson;

/// What one call came to.
#[derive(Debug)]
pub struct Answer {
    /// The procedure; empty if the request did not come to name one.
    pub path: String,
    /// Whether the client speaks superjson.
    pub superjson: bool,
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
            superjson: false,
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
    fn envelope(&self) -> String {
        let text = match &self.result {
            Ok(output) => {
                let data = if self.superjson {
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
                if self.superjson {
                    serde_json::to_string(&Envelope::Error(Wrapped { json: shape }))
                } else {
                    serde_json::to_string(&Envelope::Error(shape))
                }
            }
        };
        text.expect("an envelope is plain JSON")
    }
}

/// The answer to a whole request.
pub fn respond(shape: Shape, answers: &[Answer]) -> Response {
    let envelopes: Vec<String> = answers.iter().map(Answer::envelope).collect();
    let numbered = |open: &str, close: &str, between: &str| {
        let parts: Vec<String> = envelopes
            .iter()
            .enumerate()
            .map(|(index, envelope)| format!("\"{index}\":{open}{envelope}{close}"))
            .collect();
        parts.join(between)
    };
    let (status, vary, body) = match shape {
        Shape::Single => (
            answers[0].status(),
            "trpc-accept, accept",
            envelopes.concat(),
        ),
        Shape::Batch => (
            shared_status(answers),
            "trpc-accept, accept",
            format!("[{}]", envelopes.join(",")),
        ),
        Shape::JsonLines => (
            StatusCode::OK,
            "trpc-accept, accept",
            format!("{{{}}}\n", numbered("[[", "]]", ",")),
        ),
        Shape::Pieces => (
            StatusCode::OK,
            "trpc-batch-mode",
            format!("{{{}\n}}\n", numbered("", "", "\n,")),
        ),
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
    response
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
