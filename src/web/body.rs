//! Read a request's body as bytes, up to a limit.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::StreamExt;
use http_body_util::BodyExt;
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

impl BodyError {
    /// The status that tells it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Most bytes of a body beyond the limit that are read and thrown away: a client that is still writing when the connection
/// closes sees it break, and never the answer that says why.
const HEARD_OUT: usize = 16 << 20;

/// The whole body, if it has at most `limit` bytes.
pub async fn read(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| cause(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > limit {
            hear_out(body).await?;
            return Err(BodyError::TooLarge(limit));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.into())
}

async fn hear_out(body: Body) -> Result<(), BodyError> {
    let mut rest = body.into_data_stream();
    let mut heard = 0;
    while let Some(data) = rest.next().await {
        heard += data.map_err(|error| cause(&error))?.len();
        if heard > HEARD_OUT {
            break;
        }
    }
    Ok(())
}

fn cause(error: &(dyn std::error::Error + 'static)) -> BodyError {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<TimeoutError>() {
            return BodyError::TooSlow;
        }
        next = error.source();
    }
    BodyError::Broken
}
