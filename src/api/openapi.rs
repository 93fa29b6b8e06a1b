//! The description of the REST API, made from its code.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use super::{admin, leads, notifications};
use crate::app::App;

/// What stands above all routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Leadmill",
        description = "Leads, their timelines and scores. Errors are RFC 9457 problems.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags((name = "leads", description = "People an org wants to win"), (name = "notifications", description = "What a person is told"),
        (name = "admin", description = "The queue, for those who run something: a key needs `ops:read` to look, `ops:write` to act, and sees the jobs of its org; one that acts for somebody who runs the platform sees all of it")),
    security(("key" = [])),
    modifiers(&Keys)
)]
struct Description;

/// Keys of programs, sent as a bearer token.
struct Keys;

impl utoipa::Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("lk_live_…")
            .description(Some("An API key; X-API-Key takes it, too"))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// The routes that are described.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(leads::router())
        .merge(notifications::router())
        .merge(admin::router())
}

/// The description itself.
pub fn description() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// The description as it is sent: it takes a while to put together, and never changes.
static WRITTEN: LazyLock<Bytes> = LazyLock::new(|| {
    let json = serde_json::to_vec(&description());
    json.expect("a description is plain JSON").into()
});

/// `GET /openapi.json`.
pub async fn show() -> impl IntoResponse {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], WRITTEN.clone())
}
