//! Work that is killed half-way: a batch, and a job that notes how far it has got.

use std::time::Duration;

use queue::{Attempt, Backoff, Batch, Job, JobResult, Outcome, Pool, Registry, Worker, enqueue};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::cast::{finished, until};
use super::deaths::{DATABASE, Process};
use crate::harness::World;

const LEASE: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(20);

/// One of many.
#[derive(Debug, Serialize, Deserialize)]
struct Child(i64);

impl Job for Child {
    const NAME: &'static str = "child";
    const QUEUE: &'static str = "halfway";
    type Ctx = PgPool;

    async fn run(&self, _: &PgPool, _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

/// What comes after them.
#[derive(Debug, Serialize, Deserialize)]
struct Finale;

impl Job for Finale {
    const NAME: &'static str = "finale";
    const QUEUE: &'static str = "halfway";
    type Ctx = PgPool;

    async fn run(&self, _: &PgPool, _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

/// Takes ten items in, each with the note that it did, and kills its process before the sixth unless it was told.
#[derive(Debug, Serialize, Deserialize)]
struct Import;

impl Job for Import {
    const NAME: &'static str = "import";
    const QUEUE: &'static str = "halfway";
    const BACKOFF: Backoff = Backoff::fixed(Duration::ZERO);
    type Ctx = PgPool;

    async fn run(&self, pool: &PgPool, attempt: &Attempt) -> JobResult {
        let from: i64 = attempt.checkpoint_of()?.unwrap_or(0);
        for item in from..10 {
            if item == 5 && from == 0 {
                std::process::abort();
            }
            let mut tx = pool.begin().await?;
            sqlx::query("INSERT INTO imported VALUES ($1)")
                .bind(item)
                .execute(&mut *tx)
                .await?;
            attempt.checkpoint(&mut tx, &(item + 1)).await?;
            tx.commit().await?;
        }
        Ok(Outcome::DoneWith(json!({"from": from})))
    }
}

/// Not a test: what a process runs until it is killed.
#[test]
fn as_another_process() {
    let Ok(url) = std::env::var(DATABASE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = PgPoolOptions::new().max_connections(3).connect_lazy(&url);
        let _running = work(pool.unwrap()).await;
        std::future::pending::<()>().await;
    });
}

async fn work(pool: PgPool) -> queue::Running {
    let registry = Registry::new()
        .add::<Child>()
        .add::<Finale>()
        .add::<Import>();
    Worker::builder(pool.clone(), registry, pool)
        .pools(vec![Pool {
            name: "halfway".into(),
            queues: vec!["halfway".into()],
            concurrency: 4,
        }])
        .lease(LEASE)
        .start()
        .await
        .unwrap()
}

fn another(world: &World) -> Process {
    Process::of("queue::halfway::as_another_process", world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_children_of_workers_that_die_are_followed_by_one_job() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let batch = Batch::new("many").on_complete(&Finale);
    let batch = batch
        .enqueue(&mut db, (0..10_000).map(Child))
        .await
        .unwrap();
    let mut processes = vec![another(&world), another(&world)];
    for reached in [
        "SELECT remaining < 9000 FROM queue.batch",
        "SELECT remaining < 7000 FROM queue.batch",
        "SELECT remaining < 5000 FROM queue.batch",
        "SELECT remaining < 3000 FROM queue.batch",
        "SELECT remaining < 1000 FROM queue.batch",
    ] {
        until(&world.pool, reached).await;
        let mut killed = processes.remove(0);
        killed.signal("-KILL");
        assert!(!killed.ended().await);
        processes.push(another(&world));
    }
    until(&world.pool, "SELECT NOT EXISTS (SELECT FROM queue.job)").await;
    drop(processes);

    let ended = batch.progress(&mut db).await.unwrap().unwrap();
    assert_eq!(ended.state, "completed");
    assert_eq!(
        (ended.total, ended.remaining, ended.done),
        (10_000, 0, 10_000)
    );
    let (finales, children, distinct): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE kind = 'finale'), count(*) FILTER (WHERE kind = 'child'),
            count(DISTINCT payload) FILTER (WHERE kind = 'child')
         FROM queue.job_history WHERE outcome = 'completed'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((finales, children, distinct), (1, 10_000, 10_000));
    let again: i64 = sqlx::query_scalar("SELECT count(*) FROM queue.job_history WHERE attempt > 1")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    println!("{again} jobs were run again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_killed_half_way_goes_on_where_it_was() {
    let world = World::new().await;
    sqlx::raw_sql("CREATE TABLE imported (item bigint)")
        .execute(&world.pool)
        .await
        .unwrap();
    let mut db = world.pool.acquire().await.unwrap();
    let job = enqueue(&mut db, &Import).await.unwrap().id();
    assert!(!another(&world).ended().await);

    let running = work(world.pool.clone()).await;
    until(&world.pool, "SELECT NOT EXISTS (SELECT FROM queue.job)").await;
    running.stop(GRACE).await;

    let row = finished(&world.pool, job).await.unwrap();
    assert_eq!((row.attempt, row.result), (2, Some(json!({"from": 5}))));
    let items: Vec<i64> = sqlx::query_scalar("SELECT item FROM imported ORDER BY item")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(items, (0..10).collect::<Vec<_>>());
}
