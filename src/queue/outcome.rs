//! The fates of an attempt that are no error.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

/// What came of an attempt.
#[derive(Debug)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is done, and this is kept in its history.
    DoneWith(Value),
    /// There was nothing to do, for this reason.
    Skip(Cow<'static, str>),
    /// Ask again after a while, at most ten years; the attempt does not count.
    Snooze(Duration),
    /// It failed, and is tried again after this long, at most ten years, instead of the usual backoff.
    RetryAfter(Duration, anyhow::Error),
    /// It can never work, for this reason: a dead letter at once.
    Discard(Cow<'static, str>),
}

impl Outcome {
    /// There was nothing to do.
    pub fn skip(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Skip(reason.into())
    }

    /// Ask again after `wait`.
    pub fn snooze(wait: Duration) -> Self {
        Self::Snooze(wait)
    }

    /// It failed; try again after `wait`.
    pub fn retry_after(wait: Duration, error: impl Into<anyhow::Error>) -> Self {
        Self::RetryAfter(wait, error.into())
    }

    /// It can never work.
    pub fn discard(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Discard(reason.into())
    }
}
