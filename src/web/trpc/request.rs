//! Read the calls out of an HTTP request: single or batch, plain or superjson, for either stream link.

use axum::http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::error::{Code, Failed};
use super::superjson;

/// Most calls in one batch.
pub const MOST_CALLS: usize = 50;

/// How the client wants its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One envelope.
    Single,
    /// An array of envelopes.
    Batch,
    /// Lines for version 11's stream link.
    JsonLines,
    /// Pieces for version 10's stream link.
    Pieces,
}

/// One procedure to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The procedure's name.
    pub path: String,
    /// Its input, taken out of superjson; what could not be read is told to this call.
    pub input: Option<Value>,
    /// Whether the client speaks superjson.
    pub superjson: bool,
}

/// What a request asks for.
#[derive(Debug)]
pub struct Asked {
    /// The procedures named in the path.
    pub paths: Vec<String>,
    /// How to answer.
    pub shape: Shape,
}

impl Asked {
    /// Reads path, query and headers.
    pub fn new(path: &str, query: &str, headers: &HeaderMap) -> Result<Self, Failed> {
        let path = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| Failed::new(Code::BadRequest, "The path is not UTF-8"))?;
        let batch = url::form_urlencoded::parse(query.as_bytes())
            .any(|(key, value)| key == "batch" && value == "1");
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
        let shape = if !batch {
            Shape::Single
        } else if is("trpc-accept", "application/jsonl") {
            Shape::JsonLines
        } else if is("trpc-batch-mode", "stream") {
            Shape::Pieces
        } else {
            Shape::Batch
        };
        let paths: Vec<String> = if batch {
            path.split(',').map(str::to_owned).collect()
        } else {
            vec![path.into_owned()]
        };
        if paths.len() > MOST_CALLS {
            return Err(Failed::new(
                Code::PayloadTooLarge,
                format!("A batch holds at most {MOST_CALLS} calls"),
            ));
        }
        Ok(Self { paths, shape })
    }

    /// Gives each call its input, from the query of a GET and from the body of a POST.
    pub fn calls(&self, method: &Method, query: &str, body: &[u8]) -> Result<Vec<Call>, Failed> {
        let input = if method == Method::GET {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == "input")
                .map(|(_, text)| parse_json(text.as_bytes()))
                .transpose()?
        } else if body.is_empty() {
            None
        } else {
            Some(parse_json(body)?)
        };
        if self.shape == Shape::Single {
            return Ok(vec![call(&self.paths[0], input)]);
        }
        let mut inputs = match input {
            None => serde_json::Map::new(),
            Some(Value::Object(inputs)) => inputs,
            Some(_) => {
                return Err(Failed::new(
                    Code::BadRequest,
                    "\"input\" needs to be an object when doing a batch call",
                ));
            }
        };
        let calls = self.paths.iter().enumerate();
        Ok(calls
            .map(|(index, path)| call(path, inputs.remove(&index.to_string())))
            .collect())
    }
}

fn call(path: &str, input: Option<Value>) -> Call {
    let unwrapped = input.as_ref().and_then(superjson::unwrap);
    Call {
        path: path.to_owned(),
        superjson: unwrapped.is_some(),
        input: unwrapped.unwrap_or(input),
    }
}

/// JSON bytes, whatever the content type says.
fn parse_json(bytes: &[u8]) -> Result<Value, Failed> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(Failed::new(Code::BadRequest, "The input is not UTF-8"));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Failed::new(Code::BadRequest, format!("The input is not JSON: {error}")))
}
