//! How much is measured.

use std::time::Duration;

/// The sizes of one run.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// Times that each workload is measured with each system, of which the median counts.
    pub rounds: usize,
    /// Times that the workload with the snapshot is.
    pub snapshot_rounds: usize,
    /// For how long jobs are enqueued.
    pub enqueueing: Duration,
    /// Jobs of a drain.
    pub backlog: u64,
    /// Jobs of a deep backlog.
    pub deep: u64,
    /// For how long a drain of it is watched.
    pub window: Duration,
    /// Finished jobs that are kept.
    pub kept: u64,
    /// Jobs whose pickup is timed.
    pub pickups: u64,
    /// For how long the snapshot is held.
    pub snapshot: Duration,
    /// For how long nothing happens.
    pub idle: Duration,
}

impl Sizes {
    /// As the figures that are published.
    pub const FULL: Self = Self {
        rounds: 3,
        snapshot_rounds: 3,
        enqueueing: Duration::from_secs(5),
        backlog: 100_000,
        deep: 1_000_000,
        window: Duration::from_secs(8),
        kept: 1_000_000,
        pickups: 500,
        snapshot: Duration::from_secs(60),
        idle: Duration::from_secs(20),
    };

    /// For a few minutes: all that is said of many jobs and of long times is said of fewer and shorter ones.
    pub const QUICK: Self = Self {
        rounds: 3,
        snapshot_rounds: 1,
        enqueueing: Duration::from_millis(600),
        backlog: 40_000,
        deep: 200_000,
        window: Duration::from_millis(1200),
        kept: 100_000,
        pickups: 75,
        snapshot: Duration::from_secs(6),
        idle: Duration::from_secs(5),
    };
}
