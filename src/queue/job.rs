//! What a job is: its payload, its policy and its body, in one type.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{Attempt, Backoff, Key, Outcome};

/// How an attempt ended. An error is tried again until the attempts are used up; every other fate is an [`Outcome`].
pub type JobResult = anyhow::Result<Outcome>;

/// Work that survives the process that asked for it.
///
/// The fields are the payload, the constants the policy, [`Job::run`] is what happens. A job runs at least once per
/// accepted outcome and may run again after a crash, so it is written to bear that.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire.
    const NAME: &'static str;
    /// The queue that it waits in.
    const QUEUE: &'static str;
    /// The version of the payload; a worker that knows only older ones leaves it alone.
    const VERSION: u16 = 1;
    /// Former names that may still be waiting.
    const ALIASES: &'static [&'static str] = &[];
    /// Lower goes first.
    const PRIORITY: i16 = 0;
    /// Attempts after which it is a dead letter, crashes included.
    const MAX_ATTEMPTS: u16 = 20;
    /// How long one attempt may take.
    const TIMEOUT: Duration = Duration::from_secs(300);
    /// How long to wait after a failed attempt.
    const BACKOFF: Backoff = Backoff::DEFAULT;

    /// What it needs to run.
    type Ctx: Clone + Send + Sync + 'static;

    /// Under this key at most one job of the kind is live.
    fn key(&self) -> Option<Key> {
        None
    }

    /// Whom it belongs to; opaque to the queue.
    fn lane(&self) -> Option<Uuid> {
        None
    }

    /// Jobs of the same key share the limits that are set for it; see [`crate::admin::Scope::Key`].
    fn limit_key(&self) -> Option<String> {
        None
    }

    /// One attempt.
    fn run(&self, ctx: &Self::Ctx, attempt: &Attempt) -> impl Future<Output = JobResult> + Send;
}
