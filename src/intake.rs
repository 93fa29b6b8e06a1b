//! How leads come in: one file a source, each reads what it is sent and decides nothing.

pub mod accept;
pub mod form;
pub mod together;
pub mod trpc_capture;

use axum::Router;

use crate::app::App;

/// The routes of all sources; captures come by [`crate::api::trpc`].
pub fn router() -> Router<App> {
    form::router()
}
