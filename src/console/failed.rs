//! What went wrong, as a page.

use axum::http::{HeaderMap, StatusCode, header};
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
    to: String,
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
            to: LEADS.0.into(),
            to_text: LEADS.1,
        };
        let mut response = problem.status.into_response();
        response.extensions_mut().insert(page);
        response
    }
}

const LEADS: (&str, &str) = ("/dashboard/crm", "To the leads");

impl ProblemPage {
    /// The same, with the way back to `before`, or else to what stands above the page at `path`.
    pub(super) fn at(self, path: &str, before: Option<String>, status: StatusCode) -> Self {
        let (to, to_text) = match (before, path) {
            (Some(before), _) => (before, "Back"),
            (None, path) if status == StatusCode::FORBIDDEN || !path.starts_with("/ops") => {
                (LEADS.0.to_owned(), LEADS.1)
            }
            (None, path) if path.starts_with("/ops/jobs") && path != "/ops/jobs" => {
                ("/ops/jobs".into(), "To the jobs")
            }
            (None, "/ops/jobs") => ("/ops/jobs".into(), "To all jobs"),
            (None, _) => ("/ops".into(), "To how things are now"),
        };
        Self {
            to,
            to_text,
            ..self
        }
    }

    pub(super) fn fill(&self, app: &App, status: StatusCode) -> Response {
        app.views.page(status, "console/problem.html", self)
    }
}

/// What an address that nobody serves is answered: people with a page, programs with a problem.
pub fn nowhere(app: &App, headers: &HeaderMap) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut accepts = accepts.filter_map(|accept| accept.to_str().ok());
    if !accepts.any(|accept| accept.contains("text/html")) {
        return Problem::of_status(StatusCode::NOT_FOUND).into_response();
    }
    let page = ProblemPage {
        title: "Not found",
        text: "There is no page at this address.".into(),
        to: LEADS.0.into(),
        to_text: LEADS.1,
    };
    page.fill(app, StatusCode::NOT_FOUND)
}
