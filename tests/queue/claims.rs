//! What tells of the jobs that run: written with the claim, gone with the last of its jobs.

use std::borrow::Cow;
use std::time::Duration;

use leadmill::database;
use queue::enqueue;
use queue::maintenance::Maintenance;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use super::cast::{Act, Stage, pools, registry, until, worker};
use crate::harness::{World, server};

const GRACE: Duration = Duration::from_secs(20);
const NONE_LEFT: &str = "SELECT NOT EXISTS (SELECT FROM queue.job)";
const CLAIMS: &str = "SELECT count(*) FROM queue.claim";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_told_of_while_one_of_its_jobs_runs() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, &Act::Hold("long".into())).await.unwrap();
    for _ in 0..30 {
        enqueue(&mut db, &Act::Skip).await.unwrap();
    }
    let running = worker(&world, &stage, 4).await;
    until(
        &world.pool,
        "SELECT count(*) = 1 AND bool_and(lease_by IS NOT NULL) FROM queue.job",
    )
    .await;
    let told = "SELECT count(*) FROM queue.running JOIN queue.job USING (id, epoch)";
    let told: i64 = sqlx::query_scalar(told).fetch_one(&mut *db).await.unwrap();
    assert_eq!(told, 1);

    stage.go.notify_one();
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    let left: i64 = sqlx::query_scalar(CLAIMS)
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

/// One job in each state, and two that ran on a node whose lease ran out, one of them to its last attempt.
const BEFORE: &str = r#"
    INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
        VALUES ('gone', 1, '0', '{stage}', '{act}', now() - interval '1 minute');
    INSERT INTO queue.job (queue, kind, payload, max_attempts, state, run_at)
        SELECT 'stage', 'act', '"Skip"', 3, state, now() - interval '1 minute'
        FROM unnest(ARRAY[0, 1, 4]) AS state;
    INSERT INTO queue.job (queue, kind, payload, max_attempts, state, version)
        VALUES ('stage', 'act', '"Skip"', 3, 3, 1);
    INSERT INTO queue.job (queue, kind, payload, max_attempts, state, attempt, epoch, started_at, lease_by)
        SELECT 'stage', 'act', '"Skip"', 3, 2, attempt, attempt, now() - interval '1 minute', max(id)
        FROM queue.node, unnest(ARRAY[1, 3]) AS attempt
        GROUP BY attempt;
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ran_when_the_database_was_migrated_is_taken_back() {
    let server = server().await;
    let name = format!("before_{}", uuid::Uuid::now_v7().simple());
    server.create_database(&name).await.unwrap();
    let pool = PgPool::connect(&server.url(&name)).await.unwrap();
    let older = database::MIGRATOR.iter().filter(|m| m.version < 34);
    let older = Migrator {
        migrations: Cow::Owned(older.cloned().collect()),
        ..Migrator::DEFAULT
    };
    older.run(&pool).await.unwrap();
    sqlx::raw_sql(BEFORE).execute(&pool).await.unwrap();

    database::migrate(&pool).await.unwrap();

    let running = queue::Worker::builder(pool.clone(), registry(), Stage::default())
        .pools(pools(2))
        .lease(Duration::from_secs(2))
        .start()
        .await
        .unwrap();
    until(&pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    let ended: Vec<(String, i64)> = sqlx::query_as(
        "SELECT outcome, count(*) FROM queue.job_history GROUP BY outcome ORDER BY outcome",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let expected = [("discarded".to_owned(), 1), ("skipped".to_owned(), 5)];
    assert_eq!(ended, expected);
    pool.close().await;
    server.drop_database(&name).await.unwrap();
}

/// A job of a node whose lease ran out, of which no claim tells.
const UNTOLD: &str = r#"
    INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
        VALUES ('gone', 1, '0', '{stage}', '{act}', now() - interval '1 minute');
    INSERT INTO queue.job (queue, kind, payload, max_attempts, attempt, epoch, started_at, lease_by)
        SELECT 'stage', 'act', '"Skip"', 3, 1, 1, now() - interval '1 minute', id FROM queue.node;
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_which_no_claim_tells_is_not_lost() {
    let world = World::new().await;
    sqlx::raw_sql(UNTOLD).execute(&world.pool).await.unwrap();

    let told = Maintenance::recall(&world.pool).await.unwrap();

    assert_eq!(told, 1);
    let running = worker(&world, &Stage::default(), 1).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    let attempts: i16 = sqlx::query_scalar("SELECT attempt FROM queue.job_history")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(attempts, 2);
}

/// Nobody has looked for an hour; a look that was left off has come beyond the first of two jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_look_at_every_job_goes_on_where_it_was_left_off_and_then_begins_anew() {
    let world = World::new().await;
    sqlx::raw_sql(UNTOLD).execute(&world.pool).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO queue.job (queue, kind, payload, max_attempts, attempt, epoch, started_at, lease_by)
         SELECT queue, kind, payload, max_attempts, attempt, epoch, started_at, lease_by FROM queue.job;
         UPDATE queue.recall SET position = (SELECT min(id) FROM queue.job)",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    // The worker has lived for no time at all.
    let running = worker(&world, &Stage::default(), 1).await;
    until(&world.pool, "SELECT count(*) = 1 FROM queue.job").await;
    until(
        &world.pool,
        "SELECT position = 0 AND done_at > now() - interval '1 minute' FROM queue.recall",
    )
    .await;
    running.stop(GRACE).await;
    let left = "SELECT id < (SELECT max(id) FROM queue.job_history) AND lease_by IS NOT NULL FROM queue.job";
    let left: bool = sqlx::query_scalar(left)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(left);

    let due = "UPDATE queue.recall SET done_at = now() - interval '61 minutes'";
    sqlx::query(due).execute(&world.pool).await.unwrap();
    let running = worker(&world, &Stage::default(), 1).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
}

#[tokio::test]
async fn a_program_that_tells_what_runs_by_its_state_can_claim_nothing() {
    let world = World::new().await;
    world.leave_jobs();
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, &Act::Skip).await.unwrap();
    let older = "UPDATE queue.job SET state = 2, attempt = attempt + 1, epoch = epoch + 1, lease_by = 1, started_at = now()
        WHERE state = 0";
    let refused = sqlx::query(older).execute(&mut *db).await.unwrap_err();
    let refused = refused.into_database_error().unwrap();
    assert_eq!(refused.constraint(), Some("job_state_check"));
}
