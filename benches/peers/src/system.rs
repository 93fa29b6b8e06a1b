//! What is measured: a queue, as a producer and as a worker process see it.

mod apalis;
mod awa;
mod graphile;
mod ours;
mod pool;
mod raw;
mod river;

use std::ops::Range;

use anyhow::Result;
use async_trait::async_trait;

use crate::seen::Seen;
use crate::worker::Signals;

/// The queue that jobs wait in, where a system has named ones.
const QUEUE: &str = "bench";
/// What a job is called.
const KIND: &str = "bench_noop";
/// Jobs of one bulk.
pub const BULK: u64 = 1000;
/// Connections of a worker process that has its pool given.
const WORKER_CONNECTIONS: u32 = 20;

/// A system.
#[async_trait]
pub trait System: Send + Sync {
    /// Its name and version.
    fn name(&self) -> &'static str;

    /// How it is set up, and why so.
    fn options(&self) -> &'static str;

    /// Makes its tables in an empty database.
    async fn migrate(&self, url: &str) -> Result<()>;

    /// What enqueues, over at most so many connections.
    async fn producer(&self, url: &str, connections: u32) -> Result<Box<dyn Producer>>;

    /// Works, from when it is told to begin until it is told to stop.
    async fn work(&self, url: &str, seen: Seen, signals: Signals) -> Result<()>;

    /// How a database full of finished jobs comes about.
    fn kept(&self) -> Kept;

    /// Adds `$1` copies of each job that waits, where enqueueing them would take minutes.
    fn copy_waiting(&self) -> Option<&'static str> {
        None
    }
}

/// What becomes of finished jobs.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    /// They are rows, of each of which this statement adds `$1` copies.
    Copied(&'static str),
    /// They are more than rows, so that many have to be run.
    Run,
    /// They are not kept, for which there is a reason.
    Never(&'static str),
}

/// What enqueues jobs and looks at what became of them.
#[async_trait]
pub trait Producer: Send + Sync {
    /// Enqueues one job, committed when this returns.
    async fn one(&self, number: u64) -> Result<()>;

    /// Enqueues a bulk of jobs at once.
    async fn many(&self, numbers: Range<u64>) -> Result<()>;

    /// How many jobs are not finished.
    async fn unfinished(&self) -> Result<u64>;

    /// How many are, where that is kept.
    async fn finished(&self) -> Result<Option<u64>>;

    /// Whether every job is finished, asked often and answered cheaply.
    async fn is_drained(&self) -> Result<bool>;
}

/// Ours, and what it is measured against.
pub fn all() -> Vec<Box<dyn System>> {
    vec![
        Box::new(ours::Ours),
        Box::new(graphile::Graphile),
        Box::new(river::River),
        Box::new(awa::Awa),
        Box::new(apalis::Apalis),
        Box::new(raw::Raw),
    ]
}

/// The name that ours goes by.
pub const OURS: &str = "ours";
/// The name of the limit, which is nobody's peer.
pub const RAW: &str = "raw SQL";

/// A count as the database gives it.
fn count(number: i64) -> Result<u64> {
    Ok(u64::try_from(number)?)
}
