//! `riverqueue`, River's client for Rust.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use riverqueue::migrate::PostgresMigrator;
use riverqueue::{BoxError, Client, InsertOpts, JobArgs, QueueConfig, WorkOutcome, Workers};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{KIND, Kept, Producer, QUEUE, System, WORKER_CONNECTIONS, count, pool};
use crate::payload::Payload;
use crate::seen::Seen;
use crate::worker::Signals;

/// Each fetch takes as many jobs as workers are free.
const WORKERS: usize = 1000;
/// Between two fetches, and between two notifications of one producer: the least there is.
const COOLDOWN: Duration = Duration::from_millis(1);

/// The system.
pub struct River;

#[async_trait]
impl System for River {
    fn name(&self) -> &'static str {
        "riverqueue 0.5.0"
    }

    fn options(&self) -> &'static str {
        "1,000 workers, as a fetch takes what they have room for, and the shortest cooldown, 1 ms, as it bounds throughput"
    }

    async fn migrate(&self, url: &str) -> Result<()> {
        let pool = pool::connect(url, 1).await?;
        PostgresMigrator::new(pool.clone()).migrate_up().await?;
        pool.close().await;
        Ok(())
    }

    async fn producer(&self, url: &str, connections: u32) -> Result<Box<dyn Producer>> {
        let pool = pool::connect(url, connections).await?;
        let client = Client::builder(pool.clone())
            .fetch_cooldown(COOLDOWN)
            .build()?;
        Ok(Box::new(Enqueuer { pool, client }))
    }

    async fn work(&self, url: &str, seen: Seen, mut signals: Signals) -> Result<()> {
        let pool = pool::connect(url, WORKER_CONNECTIONS).await?;
        let mut workers = Workers::new();
        workers.add_fn(move |_, job: riverqueue::Job<Noop>| {
            seen.job(job.args.0.number);
            async { Ok::<_, BoxError>(WorkOutcome::Complete) }
        })?;
        let client = Client::builder(pool)
            .workers(workers)
            .fetch_cooldown(COOLDOWN)
            .queue(QUEUE, QueueConfig::new(WORKERS))
            .build()?;
        signals.go().await?;
        let mut run = client.start()?;
        tokio::select! {
            ended = run.wait() => {
                ended?;
                Err(anyhow!("the client ended by itself"))
            }
            () = signals.stop() => Ok(run.stop().await?),
        }
    }

    fn kept(&self) -> Kept {
        Kept::Copied(
            "INSERT INTO river_job (state, attempt, max_attempts, attempted_at, created_at, finalized_at, scheduled_at,
                priority, args, attempted_by, kind, metadata, queue, tags)
            SELECT state, attempt, max_attempts, attempted_at, created_at, finalized_at, scheduled_at, priority, args,
                attempted_by, kind, metadata, queue, tags
            FROM river_job, generate_series(1, $1) WHERE state = 'completed'",
        )
    }

    fn copy_waiting(&self) -> Option<&'static str> {
        Some(
            "INSERT INTO river_job (state, attempt, max_attempts, created_at, scheduled_at, priority, args, kind,
                metadata, queue, tags)
            SELECT state, attempt, max_attempts, created_at, scheduled_at, priority, args, kind, metadata, queue, tags
            FROM river_job, generate_series(1, $1) WHERE state = 'available'",
        )
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Noop(Payload);

impl JobArgs for Noop {
    const KIND: &'static str = KIND;

    fn default_insert_opts() -> InsertOpts {
        InsertOpts::default().with_queue(QUEUE)
    }
}

struct Enqueuer {
    pool: PgPool,
    client: Client,
}

#[async_trait]
impl Producer for Enqueuer {
    async fn one(&self, number: u64) -> Result<()> {
        self.client.insert(Noop(Payload::new(number))).await?;
        Ok(())
    }

    async fn many(&self, numbers: Range<u64>) -> Result<()> {
        let jobs = numbers.map(|number| Noop(Payload::new(number)));
        self.client.insert_many(jobs).await?;
        Ok(())
    }

    async fn unfinished(&self) -> Result<u64> {
        let jobs = "SELECT count(*) FROM river_job WHERE state <> 'completed'";
        count(sqlx::query_scalar(jobs).fetch_one(&self.pool).await?)
    }

    async fn finished(&self) -> Result<Option<u64>> {
        let jobs = "SELECT count(*) FROM river_job WHERE state = 'completed'";
        count(sqlx::query_scalar(jobs).fetch_one(&self.pool).await?).map(Some)
    }

    async fn is_drained(&self) -> Result<bool> {
        let drained =
            "SELECT NOT EXISTS (SELECT FROM river_job WHERE state = 'running' AND queue = $1)
            AND NOT EXISTS (SELECT FROM river_job WHERE state = 'available' AND queue = $1)";
        Ok(sqlx::query_scalar(drained)
            .bind(QUEUE)
            .fetch_one(&self.pool)
            .await?)
    }
}
