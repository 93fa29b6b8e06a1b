//! What went wrong, as a page.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::commands::Refused;
use crate::web::problem::Problem;
use crate::web::problem_page::{ProblemPage, accepts_html};

/// Why a page is not shown; the guard of the console fills in what is shown instead, as only it has the templates at hand.
#[derive(Debug)]
pub struct Failed(Refused);

impl<E: Into<Refused>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let problem = Problem::from(self.0);
        let mut text = problem.detail.unwrap_or_else(|| {
            let first = problem.errors.first();
            first.map_or_else(String::new, |error| {
                format!("{}: {}", error.field, error.message)
            })
        });
        if !text.ends_with('.') {
            text.push('.');
        }
        let mut response = problem.status.into_response();
        if let Some(seconds) = problem.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        let page = ProblemPage::new(problem.status, text);
        response.extensions_mut().insert(page);
        response
    }
}

/// What an address that nobody serves is answered: people with a page, programs with a problem.
pub fn nowhere(app: &App, headers: &HeaderMap) -> Response {
    if !accepts_html(headers) {
        return Problem::of_status(StatusCode::NOT_FOUND).into_response();
    }
    let text = "There is no page at this address.";
    ProblemPage::new(StatusCode::NOT_FOUND, text).fill(&app.views, StatusCode::NOT_FOUND)
}
