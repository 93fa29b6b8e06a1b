//! The product's queue, through its public worker with apalis in the path.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use queue::maintenance::Maintenance;
use queue::{Attempt, Job, JobResult, Outcome, Pool, Registry, Wake, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use super::{KIND, Kept, OURS, Producer, QUEUE, System, count, pool};
use crate::payload::Payload;
use crate::seen::Seen;
use crate::worker::Signals;

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
/// Jobs that may run at once, as in the product's own bench.
const CONCURRENCY: usize = 16;

/// The `queue` crate.
pub struct Ours;

#[async_trait]
impl System for Ours {
    fn name(&self) -> &'static str {
        OURS
    }

    fn options(&self) -> &'static str {
        "16 jobs at once, all else as it is by default; single jobs through `queue::Producer`, as in intake"
    }

    async fn migrate(&self, url: &str) -> Result<()> {
        let pool = pool::connect(url, 1).await?;
        Migrator::new(Path::new(MIGRATIONS))
            .await?
            .run(&pool)
            .await?;
        // Days of history are made ahead, not under load.
        Maintenance { keep_days: 14 }.once(&pool).await?;
        pool.close().await;
        Ok(())
    }

    async fn producer(&self, url: &str, connections: u32) -> Result<Box<dyn Producer>> {
        // What single jobs share is few connections of its own, however many there are to share it.
        let pool = pool::connect(url, connections.min(2)).await?;
        let wake = Wake::new(pool::connect(url, 1).await?);
        let shared = queue::Producer::new(pool.clone(), wake.clone());
        Ok(Box::new(Enqueuer { pool, shared, wake }))
    }

    async fn work(&self, url: &str, seen: Seen, mut signals: Signals) -> Result<()> {
        let pool = pool::connect(url, 1).await?;
        signals.go().await?;
        let bench = Pool {
            name: QUEUE.to_owned(),
            queues: vec![QUEUE.to_owned()],
            concurrency: CONCURRENCY,
        };
        let running = Worker::builder(pool, Registry::new().add::<Noop>(), seen)
            .pools(vec![bench])
            .start()
            .await?;
        signals.stop().await;
        running.stop(Duration::from_secs(5)).await;
        Ok(())
    }

    fn kept(&self) -> Kept {
        Kept::Copied(
            "INSERT INTO queue.job_history (id, queue, kind, version, priority, payload, attempt, max_attempts,
                created_at, started_at, finished_at, outcome)
            SELECT id + n * 10000000, queue, kind, version, priority, payload, attempt, max_attempts, created_at,
                started_at, finished_at, outcome
            FROM queue.job_history, generate_series(1, $1) AS n",
        )
    }
}

/// Does nothing but be seen.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Noop(Payload);

impl Job for Noop {
    const NAME: &'static str = KIND;
    const QUEUE: &'static str = QUEUE;
    type Ctx = Seen;

    async fn run(&self, seen: &Seen, _: &Attempt) -> JobResult {
        seen.job(self.0.number);
        Ok(Outcome::Done)
    }
}

struct Enqueuer {
    pool: PgPool,
    /// Takes in single jobs, as the product's intake does.
    shared: queue::Producer,
    wake: Wake,
}

#[async_trait]
impl Producer for Enqueuer {
    async fn one(&self, number: u64) -> Result<()> {
        self.shared.enqueue(&Noop(Payload::new(number))).await?;
        Ok(())
    }

    async fn many(&self, numbers: Range<u64>) -> Result<()> {
        let jobs: Vec<Noop> = numbers.map(|number| Noop(Payload::new(number))).collect();
        let mut db = self.pool.acquire().await?;
        queue::enqueue_many(&mut db, &jobs).await?;
        self.wake.notify();
        Ok(())
    }

    async fn unfinished(&self) -> Result<u64> {
        let jobs = "SELECT count(*) FROM queue.job";
        count(sqlx::query_scalar(jobs).fetch_one(&self.pool).await?)
    }

    async fn finished(&self) -> Result<Option<u64>> {
        let jobs = "SELECT count(*) FROM queue.job_history WHERE outcome = 'completed'";
        count(sqlx::query_scalar(jobs).fetch_one(&self.pool).await?).map(Some)
    }

    async fn is_drained(&self) -> Result<bool> {
        let drained = "SELECT NOT EXISTS (SELECT FROM queue.job)";
        Ok(sqlx::query_scalar(drained).fetch_one(&self.pool).await?)
    }
}
