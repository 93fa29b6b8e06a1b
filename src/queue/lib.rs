//! A durable job queue on Postgres that knows no business.
//!
//! A [`Job`] is enqueued in the caller's transaction and runs, at least once, on some process that has it in its
//! [`Registry`]. A claim is a lease; whatever is told about a job under an older claim is refused.

pub mod admin;
mod allow;
mod attempt;
mod backend;
mod backoff;
mod batch;
mod cancel;
mod checkpoint;
mod claims;
mod desk;
mod drain;
mod enqueue;
mod exchange;
mod execute;
mod fingerprint;
mod job;
mod key;
mod lane;
mod lease;
mod listen;
mod log;
pub mod maintenance;
mod outcome;
mod outlook;
mod pace;
mod patience;
mod producer;
mod registry;
mod rescue;
mod rule;
mod ruled;
pub mod schedule;
mod store;
mod supervise;
mod text;
pub mod trace;
mod wake;
mod watch;
mod worker;

pub use attempt::{Attempt, JobId, StaleClaim};
pub use backoff::Backoff;
pub use batch::{Batch, BatchError, BatchId};
pub use cancel::Cancel;
pub use checkpoint::{CheckpointError, UnreadableCheckpoint};
pub use drain::{DrainError, Drained, Ran, drain};
pub use enqueue::{Enqueue, EnqueueError, Enqueued, enqueue, enqueue_many, job, many};
pub use fingerprint::Fingerprint;
pub use job::{Job, JobResult};
pub use key::Key;
pub use log::Log;
pub use outcome::Outcome;
pub use producer::Producer;
pub use registry::{CheckError, Registry};
pub use store::history;
pub use supervise::{Task, supervise};
pub use wake::Wake;
pub use worker::{Builder, Pool, Running, StartError, StopNow, StopReport, Worker};

/// The library under the workers, by the name under which it logs.
pub const UNDERNEATH: &str = "apalis_core";

#[cfg(test)]
mod model;
