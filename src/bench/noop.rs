//! A job that does nothing, and says when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use queue::{Attempt, Job, JobResult, Outcome, Pool, Registry, Running, StartError, Wake, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::mpsc;
use uuid::Uuid;

/// The queue that benchmarks use; nothing else of a database is touched.
pub(super) const QUEUE: &str = "bench";

/// Does nothing. Its payload is as long as that of most jobs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Noop {
    org: Uuid,
    lead: Uuid,
    number: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<Uuid>,
}

impl Noop {
    pub(super) fn new(number: usize) -> Self {
        Self {
            org: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            lead: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002),
            number,
            lane: None,
        }
    }

    /// One of the lane with this number.
    pub(super) fn in_lane(number: usize, lane: usize) -> Self {
        Self {
            lane: Some(lane_id(lane)),
            ..Self::new(number)
        }
    }
}

/// The lane with this number.
pub(super) fn lane_id(lane: usize) -> Uuid {
    Uuid::from_u128(lane as u128 + 1)
}

impl Job for Noop {
    const NAME: &'static str = "bench_noop";
    const QUEUE: &'static str = QUEUE;
    type Ctx = Watcher;

    fn lane(&self) -> Option<Uuid> {
        self.lane
    }

    async fn run(&self, watcher: &Watcher, _: &Attempt) -> JobResult {
        watcher.runs.fetch_add(1, Ordering::Relaxed);
        let is_told = self.lane.is_none() || self.lane != watcher.untold;
        if let Some(began) = watcher.began.as_ref().filter(|_| is_told) {
            began.send(Instant::now())?;
        }
        if !watcher.takes.is_zero() {
            tokio::time::sleep(watcher.takes).await;
        }
        Ok(Outcome::Done)
    }
}

/// Sees jobs run.
#[derive(Debug, Clone, Default)]
pub(super) struct Watcher {
    /// How many have.
    pub(super) runs: Arc<AtomicUsize>,
    /// Is told when each does.
    pub(super) began: Option<mpsc::UnboundedSender<Instant>>,
    /// A lane of whose jobs nothing is told.
    pub(super) untold: Option<Uuid>,
    /// How long each takes.
    pub(super) takes: Duration,
}

/// A worker as `leadmill work` starts one.
pub(super) async fn worker(
    pool: &PgPool,
    watcher: Watcher,
    wake: Wake,
) -> Result<Running, StartError> {
    let bench = Pool {
        name: QUEUE.to_owned(),
        queues: vec![QUEUE.to_owned()],
        concurrency: 16,
    };
    Worker::builder(pool.clone(), Registry::new().add::<Noop>(), watcher)
        .pools(vec![bench])
        .wake(wake)
        .start()
        .await
}
