//! What a tRPC client is told when a call fails.

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::web::outage::RETRY_AFTER_SECONDS;

/// The names tRPC gives to kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The call cannot be understood or its input is wrong.
    BadRequest,
    /// Nobody is signed in.
    Unauthorized,
    /// Who is signed in may not do this.
    Forbidden,
    /// There is no such procedure or thing.
    NotFound,
    /// A query was posted or a mutation fetched.
    MethodNotSupported,
    /// The client was too slow.
    Timeout,
    /// The call collides with what is there.
    Conflict,
    /// The thing changed since the client read it.
    PreconditionFailed,
    /// The body is larger than we read.
    PayloadTooLarge,
    /// The rules of the business refuse the call.
    UnprocessableContent,
    /// The client calls too often.
    TooManyRequests,
    /// Our mistake.
    InternalServerError,
    /// The database cannot be reached just now.
    ServiceUnavailable,
}

impl Code {
    /// The name, the JSON-RPC number and the HTTP status.
    pub fn parts(self) -> (&'static str, i32, StatusCode) {
        match self {
            Self::BadRequest => ("BAD_REQUEST", -32600, StatusCode::BAD_REQUEST),
            Self::Unauthorized => ("UNAUTHORIZED", -32001, StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("FORBIDDEN", -32003, StatusCode::FORBIDDEN),
            Self::NotFound => ("NOT_FOUND", -32004, StatusCode::NOT_FOUND),
            Self::MethodNotSupported => (
                "METHOD_NOT_SUPPORTED",
                -32005,
                StatusCode::METHOD_NOT_ALLOWED,
            ),
            Self::Timeout => ("TIMEOUT", -32008, StatusCode::REQUEST_TIMEOUT),
            Self::Conflict => ("CONFLICT", -32009, StatusCode::CONFLICT),
            Self::PreconditionFailed => (
                "PRECONDITION_FAILED",
                -32012,
                StatusCode::PRECONDITION_FAILED,
            ),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", -32013, StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnprocessableContent => (
                "UNPROCESSABLE_CONTENT",
                -32022,
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::TooManyRequests => ("TOO_MANY_REQUESTS", -32029, StatusCode::TOO_MANY_REQUESTS),
            Self::InternalServerError => (
                "INTERNAL_SERVER_ERROR",
                -32603,
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
            Self::ServiceUnavailable => (
                "SERVICE_UNAVAILABLE",
                -32603,
                StatusCode::SERVICE_UNAVAILABLE,
            ),
        }
    }

    /// The code that an HTTP status from a layer stands for.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotSupported,
            StatusCode::REQUEST_TIMEOUT => Self::Timeout,
            StatusCode::CONFLICT => Self::Conflict,
            StatusCode::PRECONDITION_FAILED => Self::PreconditionFailed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNPROCESSABLE_ENTITY => Self::UnprocessableContent,
            StatusCode::TOO_MANY_REQUESTS => Self::TooManyRequests,
            StatusCode::SERVICE_UNAVAILABLE => Self::ServiceUnavailable,
            status if status.is_server_error() => Self::InternalServerError,
            _ => Self::BadRequest,
        }
    }
}

/// Why a call failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The kind of failure.
    pub code: Code,
    /// Text for people, or a JSON array of issues where the input is wrong.
    pub message: String,
    /// Further members of `data`; clients ignore those they do not know.
    pub data: Map<String, Value>,
    /// Seconds after which to call again.
    pub retry_after: Option<u64>,
    /// The method to call with instead.
    pub allow: Option<Method>,
}

impl Failed {
    /// A failure with only a text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: Map::new(),
            retry_after: None,
            allow: None,
        }
    }

    /// The database cannot be reached; nothing was kept, so the client is to send it again.
    pub fn unavailable() -> Self {
        Self {
            retry_after: Some(RETRY_AFTER_SECONDS),
            ..Self::new(
                Code::ServiceUnavailable,
                "Not available just now, please try again",
            )
        }
    }

    /// Our mistake, of which the client learns nothing but the request's id.
    pub fn internal(request_id: &str) -> Self {
        let mut failed = Self::new(Code::InternalServerError, "INTERNAL_SERVER_ERROR");
        failed.data.insert("requestId".into(), request_id.into());
        failed
    }

    /// Called too often.
    pub fn too_many(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(Code::TooManyRequests, "Too many requests")
        }
    }
}
