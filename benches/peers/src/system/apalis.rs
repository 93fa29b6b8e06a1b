//! `apalis-postgres`, the stock backend of the worker that ours plugs into.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Result, anyhow};
use apalis::prelude::*;
use apalis_postgres::{Config, PgTask, PostgresStorage, queries};
use async_trait::async_trait;
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::{Kept, Producer, QUEUE, System, WORKER_CONNECTIONS, count, pool};
use crate::payload::Payload;
use crate::seen::Seen;
use crate::worker::Signals;

const CONCURRENCY: usize = 100;
/// Jobs of one fetch.
const BATCH: usize = 2000;

/// The system.
pub struct Apalis;

#[async_trait]
impl System for Apalis {
    fn name(&self) -> &'static str {
        "apalis-postgres 1.0.0"
    }

    fn options(&self) -> &'static str {
        "notified by its trigger (with_pubsub), batches of 2,000, 100 at once on tasks of their own, no second write to mark a start (lock_tasks off)"
    }

    async fn migrate(&self, url: &str) -> Result<()> {
        let pool = pool::connect(url, 1).await?;
        PostgresStorage::setup(&pool).await?;
        pool.close().await;
        Ok(())
    }

    async fn producer(&self, url: &str, connections: u32) -> Result<Box<dyn Producer>> {
        let pool = pool::connect(url, connections).await?;
        Ok(Box::new(Enqueuer { pool }))
    }

    async fn work(&self, url: &str, seen: Seen, signals: Signals) -> Result<()> {
        // Its future stays on one thread; its jobs do not.
        let (url, runtime) = (url.to_owned(), Handle::current());
        let working = move || runtime.block_on(work(&url, seen, signals));
        tokio::task::spawn_blocking(working).await?
    }

    fn kept(&self) -> Kept {
        Kept::Copied(
            "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata,
                last_result, lock_at, lock_by, done_at)
            SELECT id || '-' || n, job_type, job, status, attempts, max_attempts, run_at, priority, metadata,
                last_result, lock_at, lock_by, done_at
            FROM apalis.jobs, generate_series(1, $1) AS n WHERE status = 'Done'",
        )
    }
}

async fn work(url: &str, seen: Seen, mut signals: Signals) -> Result<()> {
    let pool = pool::connect(url, WORKER_CONNECTIONS).await?;
    let config = Config::default()
        .queue(QUEUE)
        .batch_size(BATCH)
        .lock_tasks(false);
    let backend = PostgresStorage::<Payload>::new(&pool)
        .with_config(config)
        .with_pubsub()
        .poll_with_interval(Duration::from_millis(500));
    let context = WorkerContext::new(&format!("bench-{}", std::process::id()));
    let worker = WorkerBuilder::new(&context)
        .backend(backend)
        .data(seen)
        .concurrency(CONCURRENCY)
        .parallelize(tokio::spawn)
        .build(noop);
    signals.go().await?;
    let stopped = async {
        signals.stop().await;
        context.stop()
    };
    let (ended, stopped) = tokio::join!(worker.run(), stopped);
    ended.map_err(|error| anyhow!("{error}"))?;
    stopped.map_err(|error| anyhow!("{error}"))
}

async fn noop(job: Payload, seen: Data<Seen>) -> Result<(), BoxDynError> {
    seen.job(job.number);
    Ok(())
}

struct Enqueuer {
    pool: PgPool,
}

fn task(number: u64) -> serde_json::Result<PgTask> {
    Ok(TaskBuilder::new(serde_json::to_vec(&Payload::new(number))?).build())
}

#[async_trait]
impl Producer for Enqueuer {
    async fn one(&self, number: u64) -> Result<()> {
        let mut db = self.pool.acquire().await?;
        queries::push_tasks(&mut *db, QUEUE, vec![task(number)?]).await?;
        Ok(())
    }

    async fn many(&self, numbers: Range<u64>) -> Result<()> {
        let tasks = numbers.map(task).collect::<serde_json::Result<Vec<_>>>()?;
        let mut db = self.pool.acquire().await?;
        queries::push_tasks(&mut *db, QUEUE, tasks).await?;
        Ok(())
    }

    async fn unfinished(&self) -> Result<u64> {
        let jobs = "SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'";
        count(sqlx::query_scalar(jobs).fetch_one(&self.pool).await?)
    }

    async fn finished(&self) -> Result<Option<u64>> {
        let jobs = "SELECT count(*) FROM apalis.jobs WHERE status = 'Done'";
        count(sqlx::query_scalar(jobs).fetch_one(&self.pool).await?).map(Some)
    }

    async fn is_drained(&self) -> Result<bool> {
        let drained = "SELECT NOT EXISTS (SELECT FROM apalis.jobs WHERE status <> 'Done')";
        Ok(sqlx::query_scalar(drained).fetch_one(&self.pool).await?)
    }
}
