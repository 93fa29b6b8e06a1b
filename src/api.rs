//! What programs use: REST resources and the same commands for tRPC clients.

mod admin;
pub mod caller;
pub mod json;
pub mod leads;
pub mod notifications;
pub mod once;
pub mod openapi;
pub mod trpc;
pub mod view;

use axum::Router;
use axum::routing::get;

use crate::app::App;

/// The routes of both, and their description.
pub fn router() -> Router<App> {
    Router::from(openapi::routes())
        .merge(trpc::router())
        .route("/openapi.json", get(openapi::show))
}
