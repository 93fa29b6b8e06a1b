//! Read a request's body as bytes, up to a limit.

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_http::timeout::TimeoutError;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The client sends it too slowly.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The client went away.
    #[error("the body broke off")]
    Broken,
}

/// The whole body, if it has at most `limit` bytes.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(cause(&*error, limit)),
    }
}

fn cause(error: &(dyn std::error::Error + 'static), limit: usize) -> BodyError {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<LengthLimitError>() {
            return BodyError::TooLarge(limit);
        }
        if error.is::<TimeoutError>() {
            return BodyError::TooSlow;
        }
        next = error.source();
    }
    BodyError::Broken
}
