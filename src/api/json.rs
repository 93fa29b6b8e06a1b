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
        let limit = app.config.http.body_limit;
        let bytes = body::read(request.into_body(), limit)
            .await
            .map_err(|error| Problem::of_status(error.status()).detail(error.to_string()))?;
        let bad = |detail: String| Problem::of_status(StatusCode::BAD_REQUEST).detail(detail);
        if std::str::from_utf8(&bytes).is_err() {
            return Err(bad("The body is not UTF-8".into()));
        }
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| bad(format!("The body is not JSON: {error}")))?;
        match value {
            Value::Object(object) => Ok(Self { object, bytes }),
            _ => Err(bad("The body must be a JSON object".into())),
        }
    }
}
