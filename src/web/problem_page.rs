//! What went wrong, as a page that people read.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::view::Views;

/// What a refusal is shown as.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemPage {
    title: &'static str,
    text: String,
    /// Where to go from here.
    to: String,
    to_text: &'static str,
}

const LEADS: (&str, &str) = ("/dashboard/crm", "To the leads");

impl ProblemPage {
    /// A page that says so, under a heading for the status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let title = match status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not yours to open",
            StatusCode::UNAUTHORIZED => "Not signed in",
            StatusCode::TOO_MANY_REQUESTS => "One moment",
            StatusCode::SERVICE_UNAVAILABLE => "Back in a moment",
            status if status.is_server_error() => "That was our mistake",
            _ => "That did not work",
        };
        Self {
            title,
            text: text.into(),
            to: LEADS.0.into(),
            to_text: LEADS.1,
        }
    }

    /// The same, with the way back to `before`, or else to what stands above the page at `path`.
    #[must_use]
    pub fn at(self, path: &str, before: Option<String>, status: StatusCode) -> Self {
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

    /// The page, as an answer.
    pub fn fill(&self, views: &Views, status: StatusCode) -> Response {
        views.page(status, "console/problem.html", self)
    }
}

/// Whether people ask: browsers say that they take HTML, programs that they take anything.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut accepts = accepts.filter_map(|accept| accept.to_str().ok());
    accepts.any(|accept| accept.contains("text/html"))
}
