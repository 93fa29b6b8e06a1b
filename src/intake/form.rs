//! `/f/{token}`: a website's form posts a lead.

mod answer;
mod page;
mod post;
mod question;
mod read;

use axum::Router;
use axum::routing::get;

use crate::app::App;

pub use read::{Sent, read, values};

/// The routes of this module.
pub fn router() -> Router<App> {
    let form = axum::routing::post(post::post).options(post::preflight);
    Router::new()
        .route("/f/{token}", form)
        .route("/f/{token}/thanks", get(post::thanks))
}
