//! The console: pages for reps under `/dashboard/crm`, pages for operations under `/ops`, and the door to both.
//!
//! Every page is whole without script; the script in `templates/assets` makes it live. All state is in the address.

mod failed;
mod frame;
mod guard;
mod moment;
mod ops;
mod posted;
mod referer;
mod rep;
mod sign_in;
mod signed_in;
mod words;

use axum::Router;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::get;

use crate::app::App;

pub use failed::{Failed, nowhere};

/// Every page there is.
pub fn router(app: &App) -> Router<App> {
    Router::new()
        .route("/", get(async || Redirect::to("/dashboard/crm")))
        .route("/dashboard", get(async || Redirect::to("/dashboard/crm")))
        .merge(sign_in::router())
        .merge(rep::router())
        .merge(ops::router())
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
}
