//! `awa`, with its segmented storage.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use awa::{Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, QueueStorage};
use awa::{QueueStorageConfig, insert, insert_with, migrations, storage};
use serde::{Deserialize, Serialize};
use sqlx08::PgPool;
use sqlx08::postgres::PgPoolOptions;
use tokio::runtime::Handle;

use super::{Kept, Producer, QUEUE, System, WORKER_CONNECTIONS, count};
use crate::payload::Payload;
use crate::seen::Seen;
use crate::worker::Signals;

/// The engine that its figures are about.
const ENGINE: &str = "queue_storage";

/// The system.
pub struct Awa;

#[async_trait]
impl System for Awa {
    fn name(&self) -> &'static str {
        "awa 0.6.9"
    }

    fn options(&self) -> &'static str {
        "segmented storage, no deadlines (its receipt path), 1,024 workers and polls every 50 ms as in its own benchmarks, 2 claimers, bulks by COPY"
    }

    async fn migrate(&self, url: &str) -> Result<()> {
        // Its future stays on one thread.
        let (url, runtime) = (url.to_owned(), Handle::current());
        tokio::task::spawn_blocking(move || runtime.block_on(migrate(&url))).await?
    }

    async fn producer(&self, url: &str, connections: u32) -> Result<Box<dyn Producer>> {
        let pool = connect(url, connections).await?;
        let store = QueueStorage::new(QueueStorageConfig::default())?;
        Ok(Box::new(Enqueuer { pool, store }))
    }

    async fn work(&self, url: &str, seen: Seen, mut signals: Signals) -> Result<()> {
        let client = client(connect(url, WORKER_CONNECTIONS).await?, seen)?;
        signals.go().await?;
        client.start().await?;
        signals.stop().await;
        client.shutdown(Duration::from_secs(5)).await;
        Ok(())
    }

    fn kept(&self) -> Kept {
        Kept::Run
    }
}

async fn migrate(url: &str) -> Result<()> {
    let pool = connect(url, WORKER_CONNECTIONS).await?;
    migrations::run(&pool).await?;
    // A database without jobs goes over to the segmented storage when its first worker starts.
    let client = client(pool.clone(), Seen::default())?;
    client.start().await?;
    let began = Instant::now();
    while storage::status(&pool).await?.current_engine != ENGINE {
        ensure!(
            began.elapsed() < Duration::from_secs(30),
            "its storage did not become the segmented one"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.shutdown(Duration::from_secs(5)).await;
    pool.close().await;
    Ok(())
}

async fn connect(url: &str, connections: u32) -> Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .test_before_acquire(false)
        .connect(url)
        .await?;
    let open = (0..connections).map(|_| pool.acquire());
    drop(futures::future::try_join_all(open).await?);
    Ok(pool)
}

fn client(pool: PgPool, seen: Seen) -> Result<Client> {
    let queue = QueueConfig {
        max_workers: 1024,
        claimers: 2,
        poll_interval: Duration::from_millis(50),
        deadline_duration: Duration::ZERO,
        ..QueueConfig::default()
    };
    let client = Client::builder(pool)
        .queue(QUEUE, queue)
        .register::<BenchNoop, _, _>(move |job, _| {
            seen.job(job.0.number);
            async { Ok(JobResult::Completed) }
        })
        .build()?;
    Ok(client)
}

#[derive(Debug, Clone, Serialize, Deserialize, JobArgs)]
#[serde(transparent)]
struct BenchNoop(Payload);

fn options() -> InsertOpts {
    InsertOpts {
        queue: QUEUE.to_owned(),
        ..InsertOpts::default()
    }
}

struct Enqueuer {
    pool: PgPool,
    store: QueueStorage,
}

#[async_trait]
impl Producer for Enqueuer {
    async fn one(&self, number: u64) -> Result<()> {
        insert_with(&self.pool, &BenchNoop(Payload::new(number)), options()).await?;
        Ok(())
    }

    async fn many(&self, numbers: Range<u64>) -> Result<()> {
        let jobs = numbers
            .map(|number| insert::params_with(&BenchNoop(Payload::new(number)), options()))
            .collect::<Result<Vec<InsertParams>, _>>()?;
        self.store.enqueue_params_copy(&self.pool, &jobs).await?;
        Ok(())
    }

    async fn unfinished(&self) -> Result<u64> {
        let counts = self.store.queue_counts(&self.pool, QUEUE).await?;
        count(counts.available + counts.running)
    }

    async fn finished(&self) -> Result<Option<u64>> {
        let counts = self.store.queue_counts(&self.pool, QUEUE).await?;
        count(counts.terminal).map(Some)
    }

    /// Told by the workers alone: its counts take seconds, and it writes outcomes within milliseconds.
    async fn is_drained(&self) -> Result<bool> {
        Ok(true)
    }
}
