//! A job that runs is asked to stop.

use std::time::Duration;

use queue::admin::{self, Act as Done};
use queue::{JobId, Running, StaleClaim, Wake, Worker, enqueue};
use serde_json::json;

use super::cast::{Act, Stage, count, fence, finished, live, pools, registry, until, worker};
use crate::console::ops::operator;
use crate::harness::World;

const GRACE: Duration = Duration::from_secs(20);
const NONE_LEFT: &str = "SELECT NOT EXISTS (SELECT FROM queue.job)";
/// No test takes so long.
const NEVER: Duration = Duration::from_secs(24 * 3600);

async fn waiting(world: &World, act: &Act) -> JobId {
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, act).await.unwrap().id()
}

async fn cancel(world: &World, job: JobId) {
    let mut db = world.pool.acquire().await.unwrap();
    let done = admin::cancel(&mut db, job.0, "no longer wanted").await;
    assert_eq!(done.unwrap(), Done::Cancelling);
}

/// How it ended, why, and with which errors.
async fn end(world: &World, job: JobId) -> (String, Option<String>, serde_json::Value) {
    let row = finished(&world.pool, job).await.expect("finished");
    (row.outcome, row.reason, row.errors)
}

fn cancelled(errors: serde_json::Value) -> (String, Option<String>, serde_json::Value) {
    ("cancelled".into(), Some("no longer wanted".into()), errors)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_heeds_it_ends_by_itself_and_is_not_tried_again() {
    let world = World::new().await;
    let stage = Stage::default();
    let job = waiting(&world, &Act::Heed).await;
    let running = worker(&world, &stage, 2).await;
    stage.until(1).await;

    cancel(&world, job).await;
    let mut db = world.pool.acquire().await.unwrap();
    let refused = fence(&mut db, job, 1).await;
    assert!(matches!(refused, Err(StaleClaim::Cancelled(it)) if it == job));
    drop(db);
    stage.until(2).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    assert_eq!(stage.notes(), ["began", "asked"]);
    assert_eq!(end(&world, job).await, cancelled(json!(["stopped"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_says_that_it_can_never_work_is_no_dead_letter_if_it_was_asked() {
    let world = World::new().await;
    let stage = Stage::default();
    let never = waiting(&world, &Act::HeedAndSay { never: true }).await;
    let nothing = waiting(&world, &Act::HeedAndSay { never: false }).await;
    let running = worker(&world, &stage, 2).await;
    stage.until(2).await;
    cancel(&world, never).await;
    cancel(&world, nothing).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    assert_eq!(end(&world, never).await, cancelled(json!([])));
    let skipped = ("skipped".into(), Some("nothing to do".into()), json!([]));
    assert_eq!(end(&world, nothing).await, skipped);
    let dead: i64 =
        sqlx::query_scalar("SELECT count(*) FROM queue.job_history WHERE fingerprint IS NOT NULL")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(dead, 0);
}

/// A worker that says that it lives as good as never, looks so often, and hears what others tell.
async fn quiet_worker(world: &World, stage: &Stage, look: Duration) -> Running {
    let builder = Worker::builder(world.pool.clone(), registry(), stage.clone());
    let builder = builder.pools(pools(2)).lease(NEVER).look(look);
    let running = builder.start().await.unwrap();
    let listens = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle' AND query ILIKE 'listen%')";
    until(&world.pool, listens).await;
    running
}

/// Neither a heartbeat nor a look can be what the job hears it by: both are a day away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_hears_of_it_by_the_wake_up_of_another_process() {
    let world = World::new().await;
    let stage = Stage::default();
    let running = quiet_worker(&world, &stage, NEVER).await;
    let others = Wake::new(world.pool.clone());
    let job = waiting(&world, &Act::Heed).await;
    others.notify();
    stage.until(1).await;

    cancel(&world, job).await;
    others.notify();
    stage.until(2).await;
    assert_eq!(stage.notes(), ["began", "asked"]);
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    assert_eq!(end(&world, job).await, cancelled(json!(["stopped"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_called_off_on_the_console_hears_of_it_by_the_wake_up() {
    let world = World::new().await;
    let stage = Stage::default();
    let browser = operator(&world).await;
    let running = quiet_worker(&world, &stage, NEVER).await;
    let job = waiting(&world, &Act::Heed).await;
    Wake::new(world.pool.clone()).notify();
    stage.until(1).await;

    let fields = [("verb", "cancel"), ("id", &*job.to_string())];
    let done = browser.post("/ops/jobs/act", &fields).await;
    assert_eq!(done.location, "/ops/jobs?said=stopping.1");
    stage.until(2).await;
    assert_eq!(stage.notes(), ["began", "asked"]);
    running.stop(GRACE).await;
}

/// No heartbeat comes, and nobody tells: what is left are the looks, which are a second apart while a job runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_hears_of_it_by_the_next_look_where_no_wake_up_came() {
    let world = World::new().await;
    let stage = Stage::default();
    let job = waiting(&world, &Act::Heed).await;
    let running = quiet_worker(&world, &stage, Duration::from_secs(1)).await;
    stage.until(1).await;
    cancel(&world, job).await;
    stage.until(2).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    assert_eq!(end(&world, job).await, cancelled(json!(["stopped"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_does_not_heed_it_is_left_off_where_it_waits() {
    let world = World::new().await;
    let stage = Stage::default();
    let job = waiting(&world, &Act::Hold("deaf".into())).await;
    let running = worker(&world, &stage, 1).await;
    stage.until(1).await;
    cancel(&world, job).await;
    until(&world.pool, NONE_LEFT).await;
    // Its place is free for another.
    waiting(&world, &Act::Note("next".into())).await;
    running.wake().notify();
    stage.until(2).await;
    running.stop(GRACE).await;
    assert_eq!(stage.notes(), ["deaf began 1", "next"]);
    assert_eq!(end(&world, job).await, cancelled(json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_to_its_end_all_the_same_is_completed() {
    let world = World::new().await;
    let stage = Stage::default();
    let job = waiting(&world, &Act::Hold("quick".into())).await;
    let running = worker(&world, &stage, 1).await;
    stage.until(1).await;
    cancel(&world, job).await;
    stage.go.notify_one();
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    assert_eq!(
        end(&world, job).await,
        ("completed".into(), None, json!([]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_given_back_at_a_stop_does_not_come_back() {
    let world = World::new().await;
    let stage = Stage::default();
    let asked = waiting(&world, &Act::Hold("asked".into())).await;
    let other = waiting(&world, &Act::Hold("other".into())).await;
    let running = worker(&world, &stage, 2).await;
    stage.until(2).await;
    cancel(&world, asked).await;
    running.stop_now().await;
    assert_eq!(end(&world, asked).await, cancelled(json!([])));
    assert_eq!(live(&world.pool, other).await.unwrap().state, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_a_dead_process_is_not_run_again() {
    let world = World::new().await;
    let asked = waiting(&world, &Act::Heed).await;
    sqlx::raw_sql(
        "INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
         VALUES ('gone', 1, '0', '{stage}', '{act}', now() - interval '1 second');
         UPDATE queue.job SET attempt = 1, epoch = 1, started_at = now(), lease_by = (SELECT max(id) FROM queue.node);
         INSERT INTO queue.claim (node, number, at, jobs)
         SELECT lease_by, 1, started_at, array_agg(id) FROM queue.job GROUP BY lease_by, started_at",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    cancel(&world, asked).await;
    let stage = Stage::default();
    let running = worker(&world, &stage, 1).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    let died = json!(["the worker that ran it died"]);
    assert_eq!(end(&world, asked).await, cancelled(died));
    assert!(stage.notes().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_dead_process_come_back_apart_from_each_other() {
    let world = World::new().await;
    sqlx::raw_sql(
        "INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
         VALUES ('gone', 1, '0', '{lost}', '{act}', now() - interval '1 second');
         INSERT INTO queue.job (queue, kind, payload, max_attempts, attempt, epoch, started_at, lease_by)
         SELECT 'lost', 'act', '\"Skip\"', 3, 1, 1, now(), (SELECT max(id) FROM queue.node)
         FROM generate_series(1, 100);
         INSERT INTO queue.claim (node, number, at, jobs)
         SELECT lease_by, 1, started_at, array_agg(id) FROM queue.job GROUP BY lease_by, started_at",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let running = worker(&world, &Stage::default(), 1).await;
    until(
        &world.pool,
        "SELECT NOT EXISTS (SELECT FROM queue.job WHERE lease_by IS NOT NULL)",
    )
    .await;
    running.stop(GRACE).await;
    assert_eq!(count(&world.pool).await, 100);
    // A third of the lease that is usual, so that they run before two leases have passed.
    let (apart, spread): (i64, f64) = sqlx::query_as(
        "SELECT count(DISTINCT run_at), extract(epoch FROM max(run_at) - min(run_at))::float8 FROM queue.job",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert!(
        apart > 90 && (5.0..10.0).contains(&spread),
        "{apart} {spread}"
    );
}
