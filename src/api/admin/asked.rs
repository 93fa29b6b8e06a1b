//! What a request asks for in its body; an empty one asks for nothing in particular.

use axum::extract::{FromRequest, Request};
use domain::normalise::holds_nul;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::json::JsonObject;
use crate::app::App;
use crate::commands::Refused;
use crate::web::problem::Problem;

/// Longest reason, in characters.
const LONGEST: usize = 500;

/// Why something is called off.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reason {
    /// For the audit log, and for whoever looks at the job later; up to 500 characters are kept.
    reason: Option<String>,
}

/// A reason as it is kept; that of who gave none is how they came.
pub(super) fn kept(given: Option<String>) -> String {
    let given = given.unwrap_or_else(|| "over the API".to_owned());
    given.chars().take(LONGEST).collect()
}

impl Reason {
    /// As it is kept.
    pub(super) fn kept(self) -> String {
        kept(self.reason)
    }
}

/// The body as `T`.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let body = JsonObject::or_empty(request, app).await?;
        let body = Value::Object(body.object);
        // Which the database cannot keep.
        if holds_nul(&body) {
            let why = "Must have no NUL character";
            return Err(Refused::field("body", "invalid", why).into());
        }
        let read = serde_json::from_value(body);
        read.map(Self)
            .map_err(|error| Refused::field("body", "invalid", error.to_string()).into())
    }
}
