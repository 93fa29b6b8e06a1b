//! A JSON object in a body, or a problem that says what is wrong with it.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::app::App;
use crate::web::body;
use crate::web::problem::Problem;

/// The object, and the bytes it was written in.
#[derive(Debug)]
pub struct JsonObject {
    /// What the body says.
    pub object: Map<String, Value>,
    /// The body as it came.
    pub bytes: Bytes,
}

impl FromRequest<App> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = read(request, app).await?;
        Self::parse(bytes).map_err(bad)
    }
}

impl JsonObject {
    /// The object of a body that may be left out.
    pub async fn or_empty(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = read(request, app).await?;
        let bytes = if bytes.is_empty() {
            Bytes::from_static(b"{}")
        } else {
            bytes
        };
        Self::parse(bytes).map_err(bad)
    }

    fn parse(bytes: Bytes) -> Result<Self, String> {
        if std::str::from_utf8(&bytes).is_err() {
            return Err("The body is not UTF-8".into());
        }
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| format!("The body is not JSON: {error}"))?;
        match value {
            Value::Object(object) => Ok(Self { object, bytes }),
            _ => Err("The body must be a JSON object".into()),
        }
    }
}

async fn read(request: Request, app: &App) -> Result<Bytes, Problem> {
    let limit = app.config.http.body_limit;
    body::read(request.into_body(), limit)
        .await
        .map_err(|error| Problem::of_status(error.status()).detail(error.to_string()))
}

fn bad(detail: String) -> Problem {
    Problem::of_status(StatusCode::BAD_REQUEST).detail(detail)
}
