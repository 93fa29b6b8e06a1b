//! How much is measured.

use std::time::Duration;

/// The sizes of one run.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// Times that each workload is measured with each system, of which the median counts.
    pub rounds: usize,
    /// After the first round nothing is measured that is not likely to end within this time of the start.
    pub budget: Option<Duration>,
    /// No run takes longer, whatever it waits for.
    pub longest: Duration,
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
    /// Whether the same load is measured without a snapshot too.
    pub no_snapshot: bool,
    /// For how long nothing happens.
    pub idle: Duration,
}

impl Sizes {
    /// As the figures that are published.
    pub const FULL: Self = Self {
        rounds: 3,
        budget: None,
        longest: Duration::from_secs(600),
        snapshot_rounds: 3,
        enqueueing: Duration::from_secs(5),
        backlog: 100_000,
        deep: 1_000_000,
        window: Duration::from_secs(8),
        kept: 1_000_000,
        pickups: 500,
        snapshot: Duration::from_secs(60),
        no_snapshot: true,
        idle: Duration::from_secs(20),
    };

    /// For a few minutes: all that is said of many jobs and of long times is said of fewer and shorter ones.
    pub const QUICK: Self = Self {
        rounds: 3,
        budget: Some(Duration::from_secs(380)),
        longest: Duration::from_secs(45),
        snapshot_rounds: 1,
        enqueueing: Duration::from_millis(600),
        backlog: 12_000,
        deep: 80_000,
        window: Duration::from_secs(1),
        kept: 40_000,
        pickups: 60,
        snapshot: Duration::from_secs(6),
        no_snapshot: false,
        idle: Duration::from_secs(4),
    };
}
