//! What went wrong, as a page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::App;
use crate::commands::Refused;
use crate::web::problem::Problem;

/// Why a page is not shown.
#[derive(Debug)]
pub struct Failed(Refused);

impl<E: Into<Refused>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What a refusal is shown as; the guard of the console fills the page, as only it has the templates at hand.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ProblemPage {
    title: &'static str,
    text: String,
    /// Where to go from here.
    to: &'static str,
    to_text: &'static str,
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let problem = Problem::from(self.0);
        let title = match problem.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not yours to open",
            StatusCode::UNAUTHORIZED => "Not signed in",
            StatusCode::TOO_MANY_REQUESTS => "One moment",
            StatusCode::SERVICE_UNAVAILABLE => "Back in a moment",
            status if status.is_server_error() => "That was our mistake",
            _ => "That did not work",
        };
        let mut text = problem.detail.unwrap_or_else(|| {
            let first = problem.errors.first();
            first.map_or_else(String::new, |error| {
                format!("{}: {}", error.field, error.message)
            })
        });
        if !text.ends_with('.') {
            text.push('.');
        }
        let page = ProblemPage {
            title,
            text,
            to: "/dashboard/crm",
            to_text: "To the leads",
        };
        let mut response = problem.status.into_response();
        response.extensions_mut().insert(page);
        response
    }
}

impl ProblemPage {
    pub(super) fn fill(&self, app: &App, status: StatusCode) -> Response {
        app.views.page(status, "console/problem.html", self)
    }
}
