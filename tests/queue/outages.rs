//! A worker outlives what happens to its database.

use std::sync::Arc;
use std::time::Duration;

use queue::{Attempt, Job, JobResult, Outcome, Registry, Running, Worker, drain, enqueue, trace};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

use super::cast::{Act, Stage, pools, registry, until, worker};
use crate::harness::World;
use crate::processes::proxy::Line;

const GRACE: Duration = Duration::from_secs(20);
const NONE_LEFT: &str = "SELECT NOT EXISTS (SELECT FROM queue.job)";

async fn enqueue_note(world: &World, text: &str) {
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, &Act::Note(text.into())).await.unwrap();
}

/// A worker that reaches the database by this line.
async fn worker_by(line: &Line, stage: &Stage) -> Running {
    let pool = PgPoolOptions::new().connect_lazy(&line.url).unwrap();
    Worker::builder(pool, registry(), stage.clone())
        .pools(pools(2))
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_is_taken_up_again_and_no_outcome_is_lost() {
    let world = World::new().await;
    let line = Line::to(world.database_url()).await;
    let stage = Stage::default();
    let running = worker_by(&line, &stage).await;
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, &Act::Hold("held".into())).await.unwrap();
    stage.until(1).await;

    line.cut();
    stage.go.notify_one();
    stage.until(2).await;
    enqueue_note(&world, "meanwhile").await;
    line.mend();

    stage.until(3).await;
    until(&world.pool, NONE_LEFT).await;
    let report = running.stop(GRACE).await;
    assert_eq!(report.unwritten, 0);
    // Nothing ran twice.
    assert_eq!(stage.notes(), ["held began 1", "held ended 1", "meanwhile"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_turns_read_only_and_back_needs_no_new_process() {
    let world = World::new().await;
    let stage = Stage::default();
    let running = worker(&world, &stage, 2).await;
    enqueue_note(&world, "before").await;
    stage.until(1).await;
    until(&world.pool, NONE_LEFT).await;

    // As after a failover: whoever connects finds a standby.
    let mut own = world.pool.acquire().await.unwrap();
    let turn = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid(); END $$";
    sqlx::raw_sql(turn).execute(&mut *own).await.unwrap();
    enqueue(&mut own, &Act::Note("meanwhile".into()))
        .await
        .unwrap();
    // It has come back and found that it can only read.
    let back = "SELECT count(*) >= 2 FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    until(&world.pool, back).await;
    assert_eq!(stage.notes(), ["before"]);
    let turn = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$";
    sqlx::raw_sql(turn).execute(&mut *own).await.unwrap();

    stage.until(2).await;
    until(&world.pool, NONE_LEFT).await;
    let report = running.stop(GRACE).await;
    assert_eq!(report.unwritten, 0);
}

/// How soon after an outage work goes on, as the judge of chaos demands.
const RESUMES: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_connection_went_half_open_at_once_only_one_is_waited_for() {
    let world = World::new().await;
    let line = Line::to(world.database_url()).await;
    let stage = Stage::default();
    let running = worker_by(&line, &stage).await;
    // Four for its exchanges, one to listen, one for its lease, and what looks at the queues.
    let open = "SELECT count(*) >= 9 FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    until(&world.pool, open).await;

    line.fall_silent();
    enqueue_note(&world, "meanwhile").await;

    let resumed = tokio::time::timeout(RESUMES, stage.until(1)).await;
    assert!(resumed.is_ok(), "work did not go on");
    running.stop(GRACE).await;
}

/// Notes the trace that it is part of, and enqueues a note.
#[derive(Debug, Serialize, Deserialize)]
struct Traced {
    more: bool,
}

impl Job for Traced {
    const NAME: &'static str = "traced";
    const QUEUE: &'static str = "stage";
    type Ctx = (Stage, sqlx::PgPool);

    async fn run(&self, (stage, pool): &Self::Ctx, attempt: &Attempt) -> JobResult {
        stage.note(attempt.trace.as_deref().unwrap_or("none"));
        if self.more {
            let mut db = pool.acquire().await?;
            enqueue(&mut db, &Self { more: false }).await?;
        }
        Ok(Outcome::Done)
    }
}

#[tokio::test]
async fn a_trace_is_handed_on_from_job_to_job() {
    let world = World::new().await;
    let parent: Arc<str> = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into();
    trace::within(Some(parent.clone()), async {
        let mut db = world.pool.acquire().await.unwrap();
        enqueue(&mut db, &Traced { more: true }).await.unwrap();
    })
    .await;

    let stage = Stage::default();
    let ctx = (stage.clone(), world.pool.clone());
    let registry = Registry::new().add::<Traced>();
    drain(&world.pool, &registry, &ctx).await.unwrap();
    assert_eq!(stage.notes(), [&*parent, &*parent]);
}
