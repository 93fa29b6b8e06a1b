//! What reps work with: leads, one lead, and what they are told.

mod change;
mod filter;
mod lead;
mod leads;
mod notifications;
mod row;
mod stream;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::app::App;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/dashboard/crm", get(leads::list))
        .route("/dashboard/crm/leads", get(leads::list))
        .route("/dashboard/crm/today", get(leads::today))
        .route("/dashboard/crm/leads/{id}", get(lead::show))
        .route(
            "/dashboard/crm/leads/{id}/status",
            post(change::status).get(lead::again),
        )
        .route(
            "/dashboard/crm/leads/{id}/stage",
            post(change::stage).get(lead::again),
        )
        .route(
            "/dashboard/crm/leads/{id}/assign",
            post(change::assign).get(lead::again),
        )
        .route(
            "/dashboard/crm/leads/{id}/contact",
            post(change::contact).get(lead::again),
        )
        .route(
            "/dashboard/crm/leads/{id}/follow-up",
            post(change::follow_up).get(lead::again),
        )
        .route(
            "/dashboard/crm/leads/{id}/note",
            post(change::note).get(lead::again),
        )
        .route(
            "/dashboard/crm/leads/{id}/delete",
            post(change::delete).get(lead::again),
        )
        .route("/dashboard/crm/notifications", get(notifications::list))
        .route(
            "/dashboard/crm/notifications/read",
            post(notifications::read).get(async || Redirect::to(notifications::PATH)),
        )
        .route("/dashboard/crm/notifications/stream", get(stream::stream))
}
