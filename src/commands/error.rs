//! Why a command was not carried out, told alike to REST, tRPC and the console.

use axum::http::StatusCode;
use domain::id::LeadId;
use domain::normalise::capitalised;
use domain::status::Refusal;
use tracing::{error, warn};

use crate::web::outage::{RETRY_AFTER_SECONDS, gave_up, is_outage};
use crate::web::problem::{FieldError, Problem};

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nobody is signed in, or not with a key that opens anything.
    #[error("sign in or send an API key")]
    Unauthorized,
    /// Who is signed in may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing, or it is not for this caller to see.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// A lead with this address is there already.
    #[error("a lead with this e-mail address exists")]
    Duplicate(LeadId),
    /// The rules of the business refuse it as things stand.
    #[error("{0}")]
    Illegal(String),
    /// The rules for statuses do.
    #[error(transparent)]
    Status(Refusal),
    /// The thing changed since the caller read it; this is its version now.
    #[error("the lead was changed in the meantime; its version is now {0}")]
    Stale(i32),
    /// Some fields cannot be taken.
    #[error("some fields cannot be taken as they are")]
    Invalid(Vec<FieldError>),
    /// The idempotency key came with another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// More is asked for than the database looks through in time.
    #[error("that took longer than two seconds; narrow it by queue, kind or org")]
    TooBroad,
    /// The database was kept from doing it in time.
    #[error("that took too long and was not done, please try again")]
    TooSlow(#[source] sqlx::Error),
    /// The database is not there just now.
    #[error("not available just now, please try again")]
    Outage(#[source] sqlx::Error),
    /// Our mistake.
    #[error("something went wrong here")]
    Broken(#[source] anyhow::Error),
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) {
            Self::Outage(error)
        } else if gave_up(&error) {
            Self::TooSlow(error)
        } else {
            Self::Broken(error.into())
        }
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl Refused {
    /// One field that cannot be taken.
    pub fn field(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError {
            field: field.into(),
            code: code.into(),
            message: message.into(),
        }])
    }

    /// Tells the log of what is no fault of the caller's.
    pub fn log(&self) {
        match self {
            Self::Outage(cause) => {
                warn!(error = %cause, "Turned a request away, the database is not there")
            }
            Self::TooSlow(cause) => warn!(error = %cause, "Gave up on what took too long"),
            Self::Broken(cause) => error!(error = %format!("{cause:#}"), "A command failed"),
            _ => {}
        }
    }

    /// The message as a sentence.
    pub fn sentence(&self) -> String {
        capitalised(&self.to_string())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        refused.log();
        let sentence = refused.sentence();
        let plain = |status: StatusCode| Self::of_status(status).detail(sentence.clone());
        match refused {
            Refused::Unauthorized => plain(StatusCode::UNAUTHORIZED),
            Refused::Forbidden(_) => plain(StatusCode::FORBIDDEN),
            Refused::NotFound(_) => plain(StatusCode::NOT_FOUND),
            Refused::Duplicate(lead) => Self::new(StatusCode::CONFLICT, "duplicate")
                .detail(sentence)
                .with("lead_id", lead.to_string()),
            Refused::Illegal(_) | Refused::Status(_) => {
                Self::new(StatusCode::CONFLICT, "illegal").detail(sentence)
            }
            Refused::Stale(version) => Self::new(StatusCode::PRECONDITION_FAILED, "stale")
                .detail(sentence)
                .with("version", version),
            Refused::Invalid(errors) => Self::invalid(errors),
            Refused::KeyReused => Self::new(StatusCode::CONFLICT, "key-reused").detail(sentence),
            Refused::TooBroad => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too-broad").detail(sentence)
            }
            Refused::Outage(_) | Refused::TooSlow(_) => {
                plain(StatusCode::SERVICE_UNAVAILABLE).retry_after(RETRY_AFTER_SECONDS)
            }
            Refused::Broken(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// What a question found; nothing if the database gave up on it for taking too long.
pub fn in_time<T>(found: sqlx::Result<T>) -> sqlx::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if gave_up(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a question found that could have been narrower.
pub fn narrow_enough<T>(found: sqlx::Result<T>) -> Result<T, Refused> {
    in_time(found)?.ok_or(Refused::TooBroad)
}
