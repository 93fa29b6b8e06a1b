//! Give what a layer refused the shape that the client of that path reads.

use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::web::problem::Problem;
use crate::web::trpc;

/// Handlers name the type of what they answer; an error without one, or as plain text, comes from a layer.
pub async fn shape(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_api = path.starts_with("/api/") || path.starts_with("/f/");
    let is_trpc = path == "/api/trpc" || path.starts_with("/api/trpc/");
    let trpc = is_trpc.then(|| (request.uri().clone(), request.headers().clone()));
    let response = next.run(request).await;

    let status = response.status();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let own = kind.starts_with("application/") || kind.starts_with("text/html");
    if own || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    if let Some((uri, headers)) = trpc {
        trpc::refused(
            status,
            uri.path(),
            uri.query().unwrap_or_default(),
            &headers,
        )
    } else if is_api {
        Problem::of_status(status).into_response()
    } else {
        response
    }
}
