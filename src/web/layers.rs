//! What happens to every request before and after its handler.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use rand::RngExt;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::{RequestBodyDeadlineLayer, TimeoutLayer};
use tracing::field::Empty;
use tracing::{Instrument, error, info, info_span};

use crate::config::Http;
use crate::web::shape::shape;
use crate::web::view::Views;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id under which a request stands in the log.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Puts the layers that all routes share around `routes`.
pub fn around<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    http: &Http,
    views: &Views,
) -> Router<S> {
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
            .layer(middleware::from_fn_with_state(views.clone(), shape))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::SERVICE_UNAVAILABLE,
                http.request_timeout.get(),
            ))
            .layer(RequestBodyDeadlineLayer::new(http.body_deadline.get()))
            .layer(DefaultBodyLimit::max(http.body_limit)),
    )
}

/// Gives the request an id, a span and a line in the log; neither path values nor bodies are written down.
async fn observe(mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = info_span!(
        "request",
        request.id = %id,
        http.method = %method,
        http.route = %route,
        trace = Empty,
    );
    request.extensions_mut().insert(RequestId(id.clone()));
    // Jobs that the request enqueues belong to the trace that it belongs to.
    let trace = trace_parent(&request);
    span.record("trace", &*trace);

    let started = Instant::now();
    let answer = queue::trace::within(Some(trace), next.run(request));
    let mut response = answer.instrument(span.clone()).await;
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

/// The W3C trace parent that the caller sent, if it is one, else the beginning of a new trace.
fn trace_parent(request: &Request) -> Arc<str> {
    let sent = request
        .headers()
        .get("traceparent")
        .and_then(|sent| sent.to_str().ok())
        .filter(|sent| is_trace_parent(sent));
    sent.map_or_else(
        || {
            let (trace, span) = (random_id(u128::MAX), random_id(u64::MAX.into()));
            format!("00-{trace:032x}-{span:016x}-00").into()
        },
        Arc::from,
    )
}

/// An id that is not zero, which would say that there is none.
fn random_id(most: u128) -> u128 {
    rand::rng().random_range(1..=most)
}

/// Version, trace, parent and flags in lower-case hex; only version 00 is known to end there.
fn is_trace_parent(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &str, length: usize| hex(part, length) && part.bytes().any(|b| b != b'0');
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], ["00", trace, parent, flags]
        if id(trace, 32) && id(parent, 16) && hex(flags, 2))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_parent_is_what_the_w3c_says_it_is() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_trace_parent(good));
        for bad in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert!(!is_trace_parent(bad), "{bad}");
        }
    }

    #[test]
    fn a_request_without_a_trace_begins_one_of_its_own() {
        let request = || Request::new(axum::body::Body::empty());
        let (first, second) = (trace_parent(&request()), trace_parent(&request()));
        assert!(is_trace_parent(&first) && is_trace_parent(&second));
        assert_ne!(first, second);
        let mut traced = request();
        traced
            .headers_mut()
            .insert("traceparent", HeaderValue::from_static("not one"));
        assert!(is_trace_parent(&trace_parent(&traced)));
    }
}
