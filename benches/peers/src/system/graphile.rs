//! `graphile_worker`, the Rust one.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions,
    WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{KIND, Kept, Producer, System, WORKER_CONNECTIONS, count, pool};
use crate::payload::Payload;
use crate::seen::Seen;
use crate::worker::Signals;

const SCHEMA: &str = "graphile_worker";
const CONCURRENCY: usize = 16;
/// Jobs that a local queue holds.
const LOCAL: usize = 500;
/// A completion waits so long for others; the documentation recommends 1 to 5 ms.
const COMPLETE: Duration = Duration::from_millis(5);

/// The system.
pub struct Graphile;

#[async_trait]
impl System for Graphile {
    fn name(&self) -> &'static str {
        "graphile_worker 0.14.1"
    }

    fn options(&self) -> &'static str {
        "the manual's \"throughput-oriented worker\": 16 at once, completions batched for 5 ms, a local queue, of 500"
    }

    async fn migrate(&self, url: &str) -> Result<()> {
        let pool = pool::connect(url, 2).await?;
        WorkerUtils::new(pool.clone(), SCHEMA).migrate().await?;
        // The row of its kind of job is made when a worker starts.
        options(pool.clone(), Seen::default()).init().await?;
        pool.close().await;
        Ok(())
    }

    async fn producer(&self, url: &str, connections: u32) -> Result<Box<dyn Producer>> {
        let pool = pool::connect(url, connections).await?;
        let utils = WorkerUtils::new(pool.clone(), SCHEMA);
        Ok(Box::new(Enqueuer { pool, utils }))
    }

    async fn work(&self, url: &str, seen: Seen, mut signals: Signals) -> Result<()> {
        let pool = pool::connect(url, WORKER_CONNECTIONS).await?;
        let worker = options(pool, seen).init().await?;
        signals.go().await?;
        let (ended, ()) = tokio::join!(worker.run(), async {
            signals.stop().await;
            worker.request_shutdown();
        });
        Ok(ended?)
    }

    fn kept(&self) -> Kept {
        Kept::Never("it deletes a job that is finished")
    }
}

fn options(pool: PgPool, seen: Seen) -> WorkerOptions {
    WorkerOptions::default()
        .schema(SCHEMA)
        .concurrency(CONCURRENCY)
        .poll_interval(Duration::from_millis(500))
        .complete_job_batch_delay(COMPLETE)
        .fail_job_batch_delay(COMPLETE)
        .local_queue(LocalQueueConfig::default().with_size(LOCAL))
        .listen_os_shutdown_signals(false)
        .add_extension(seen)
        .define_job::<Noop>()
        .pg_pool(pool)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Noop(Payload);

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = KIND;

    async fn run(self, ctx: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(seen) = ctx.get_ext::<Seen>() {
            seen.job(self.0.number);
        }
        Ok::<(), String>(())
    }
}

struct Enqueuer {
    pool: PgPool,
    utils: WorkerUtils,
}

#[async_trait]
impl Producer for Enqueuer {
    async fn one(&self, number: u64) -> Result<()> {
        let job = Noop(Payload::new(number));
        self.utils.add_job(job, JobSpec::default()).await?;
        Ok(())
    }

    async fn many(&self, numbers: Range<u64>) -> Result<()> {
        let spec = JobSpec::default();
        let jobs: Vec<(Noop, &JobSpec)> = numbers
            .map(|number| (Noop(Payload::new(number)), &spec))
            .collect();
        self.utils.add_jobs(&jobs).await?;
        Ok(())
    }

    async fn unfinished(&self) -> Result<u64> {
        let jobs = "SELECT count(*) FROM graphile_worker._private_jobs";
        count(sqlx::query_scalar(jobs).fetch_one(&self.pool).await?)
    }

    async fn finished(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn is_drained(&self) -> Result<bool> {
        let drained = "SELECT NOT EXISTS (SELECT FROM graphile_worker._private_jobs)";
        Ok(sqlx::query_scalar(drained).fetch_one(&self.pool).await?)
    }
}
