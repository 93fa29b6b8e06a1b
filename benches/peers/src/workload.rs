//! What systems are measured with, a file each.

mod bulk;
mod deep;
mod drain;
mod idle;
mod kept;
mod latency;
mod single;
mod snapshot;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;

use crate::place::Place;
use crate::sizes::Sizes;
use crate::system::{Producer, System};

pub use snapshot::OFFERED;

/// A workload.
#[async_trait]
pub trait Workload: Send + Sync {
    /// What it is, for people.
    fn title(&self) -> String;

    /// What comes of a run.
    fn metrics(&self) -> &'static [Metric];

    /// How often it is measured.
    fn rounds(&self, sizes: &Sizes) -> usize {
        sizes.rounds
    }

    /// Whether it is measured with peers too.
    fn is_for_all(&self) -> bool {
        true
    }

    /// Measures a system once, a figure for each metric; fails if the system did not do its work.
    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>>;
}

/// A figure.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// What it goes by.
    pub key: &'static str,
    /// What it is counted in.
    pub unit: Unit,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// More is better.
    JobsPerSecond,
    /// Less is better, as with all that follow.
    Milliseconds,
    /// Of write-ahead log.
    BytesPerJob,
    /// Versions of rows that nobody needs.
    DeadTuples,
    /// Transactions, that is statements outside of one.
    PerSecond,
}

/// Where and how much is measured.
pub struct Bench {
    /// Where.
    pub place: Place,
    /// How much.
    pub sizes: Sizes,
}

/// All of them, in the order in which they are measured.
pub fn all(sizes: &Sizes) -> Vec<Box<dyn Workload>> {
    vec![
        Box::new(single::Single::EIGHT),
        Box::new(single::Single::SIXTY_FOUR),
        Box::new(bulk::Bulk),
        Box::new(drain::Drain::by_one(sizes.backlog)),
        Box::new(drain::Drain::by_two(sizes.backlog)),
        Box::new(latency::Latency(sizes.pickups)),
        Box::new(deep::Deep(sizes.deep)),
        Box::new(kept::Kept {
            finished: sizes.kept,
            waiting: sizes.backlog,
        }),
        Box::new(snapshot::Snapshot::of(sizes)),
        Box::new(idle::Idle),
    ]
}

/// Fails unless every job was enqueued and none was lost or run twice.
async fn verify(producer: &dyn Producer, enqueued: u64, run: u64, left: u64) -> Result<()> {
    let unfinished = producer.unfinished().await?;
    ensure!(
        unfinished == left,
        "{unfinished} jobs are left, and {left} should be"
    );
    let finished = producer.finished().await?;
    let finished = finished.unwrap_or(enqueued - unfinished);
    ensure!(
        finished + unfinished == enqueued,
        "{finished} finished and {unfinished} other jobs are not the {enqueued} that were enqueued"
    );
    ensure!(
        run == finished,
        "{run} runs are not the {finished} jobs that are finished"
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 jobs")]
fn per(amount: u64, by: f64) -> f64 {
    amount as f64 / by
}

/// So much a job.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 jobs")]
fn per_job(amount: u64, jobs: u64) -> f64 {
    amount as f64 / jobs as f64
}

/// Milliseconds from each job's commit to its begin; fails if one has not begun.
fn pickups(commits: &[(u64, u64)], begins: &[(u64, u64)]) -> Result<Vec<f64>> {
    let begins: std::collections::HashMap<u64, u64> = begins.iter().copied().collect();
    let pickup = |(number, committed): &(u64, u64)| {
        let began = begins.get(number).context("a job did not run")?;
        // A worker may see a commit before the producer hears of it.
        Ok(crate::clock::seconds(*committed, *began) * 1000.0)
    };
    commits.iter().map(pickup).collect()
}
