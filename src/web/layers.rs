//! What happens to every request before and after its handler.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::{RequestBodyDeadlineLayer, TimeoutLayer};
use tracing::{Instrument, error, info, info_span};

use crate::config::Http;
use crate::web::shape::shape;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id under which a request stands in the log.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Put the layers that all routes share around `routes`.
pub fn around<S: Clone + Send + Sync + 'static>(routes: Router<S>, http: &Http) -> Router<S> {
    let keep =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    routes.layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn(observe))
            .layer(CompressionLayer::new())
            .layer(keep(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(keep(
                header::REFERRER_POLICY,
                "strict-origin-when-cross-origin",
            ))
            .layer(keep(header::X_FRAME_OPTIONS, "DENY"))
            .layer(middleware::from_fn(shape))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::SERVICE_UNAVAILABLE,
                http.request_timeout.get(),
            ))
            .layer(RequestBodyDeadlineLayer::new(http.body_deadline.get()))
            .layer(DefaultBodyLimit::max(http.body_limit)),
    )
}

/// Give the request an id, a span and a line in the log; neither path values nor bodies are written down.
async fn observe(mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = info_span!("request", request.id = %id, http.method = %method, http.route = %route);
    request.extensions_mut().insert(RequestId(id.clone()));

    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = started.elapsed();

    let status = response.status();
    span.in_scope(|| {
        if status.is_server_error() {
            error!(
                http.status = status.as_u16(),
                ?took,
                "{method} {route} failed with {status}"
            );
        } else {
            info!(
                http.status = status.as_u16(),
                ?took,
                "{method} {route} answered {status}"
            );
        }
    });
    let labels = [
        ("method", method.as_str().to_owned()),
        ("route", route),
        ("status", status.as_str().to_owned()),
    ];
    metrics::histogram!("leadmill_http_request_seconds", &labels).record(took.as_secs_f64());
    metrics::counter!("leadmill_http_requests_total", &labels).increment(1);

    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The id that a proxy gave, if it is one, else a new one.
fn request_id(request: &Request) -> String {
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| (1..=64).contains(&id.len()))
        .filter(|id| {
            id.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
        .map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), str::to_owned)
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    error!("A handler panicked: {message}");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
