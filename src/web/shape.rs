//! Give what a layer refused the shape that the client of that path reads.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::web::outage::RETRY_AFTER_SECONDS;
use crate::web::problem::Problem;
use crate::web::problem_page::{ProblemPage, accepts_html};
use crate::web::trpc;
use crate::web::view::Views;

/// Handlers name the type of what they answer; an error without one, or as plain text, comes from a layer.
pub async fn shape(State(views): State<Views>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let is_api = path.starts_with("/api/") || path.starts_with("/f/");
    let is_trpc = path == "/api/trpc" || path.starts_with("/api/trpc/");
    let is_page = !is_api && accepts_html(request.headers());
    let trpc = is_trpc.then(|| (request.uri().clone(), request.headers().clone()));
    let response = next.run(request).await;

    let status = response.status();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    // Whatever it says, a browser shows it.
    let says_nothing = kind.is_empty();
    let own = kind.starts_with("application/") || kind.starts_with("text/html");
    if own || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut shaped = if let Some((uri, headers)) = trpc {
        let query = uri.query().unwrap_or_default();
        trpc::refused(status, uri.path(), query, &headers)
    } else if is_api {
        let problem = Problem::of_status(status);
        match what_happened(status) {
            Some(told) => problem.detail(told).into_response(),
            None => problem.into_response(),
        }
    } else if is_page && says_nothing {
        let told = what_happened(status).unwrap_or("This cannot be answered");
        let page = ProblemPage::new(status, format!("{told}."));
        page.at(&path, None, status).fill(&views, status)
    } else {
        return response;
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let headers = shaped.headers_mut();
        headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    shaped
}

/// What a status says that one of the layers gave.
fn what_happened(status: StatusCode) -> Option<&'static str> {
    Some(match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            "It took too long; what was done is done, do it again to go on"
        }
        StatusCode::REQUEST_TIMEOUT => "The request did not arrive in time",
        StatusCode::PAYLOAD_TOO_LARGE => "That is more than is taken at once",
        status if status.is_server_error() => "Something went wrong here",
        _ => return None,
    })
}
