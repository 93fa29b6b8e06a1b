//! What it costs to wait.

use std::time::{Duration, Instant};

use leadmill::config::Config;
use queue::Worker;
use queue::admin::{self, Share};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};

use super::cast::{Act, Stage, pools, registry, worker};
use crate::harness::World;
use crate::processes::proxy::Line;

#[derive(Debug, sqlx::FromRow)]
struct Reads {
    whole_tables: i64,
    along_indexes: i64,
    blocks: i64,
}

/// What was read of the live jobs so far, as the database counts it.
async fn reads(pool: &PgPool) -> Reads {
    sqlx::query_as(
        "SELECT seq_scan AS whole_tables, idx_scan AS along_indexes,
            heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS blocks
         FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid)
         WHERE relid = 'queue.job'::regclass",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// Waits until the sessions that call themselves `counted` have ended: the database counts what one read when it ends.
async fn ended(pool: &PgPool) {
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
         WHERE application_name = 'counted'",
    )
    .execute(pool)
    .await
    .unwrap();
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

fn counted(url: &str) -> PgConnectOptions {
    let options: PgConnectOptions = url.parse().unwrap();
    options.application_name("counted")
}

/// Blocks that are read to plan statements, some of every index on each connection that is opened; a million jobs fill more than
/// ten thousand.
const PLANNED: i64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_jobs_of_tomorrow_cost_an_idle_worker_nothing() {
    let world = World::new().await;
    let mut db = counted(world.database_url()).connect().await.unwrap();
    sqlx::raw_sql(
        "ALTER TABLE queue.job SET (autovacuum_enabled = off); -- its reads would be counted
         INSERT INTO queue.job (queue, kind, state, run_at, payload, max_attempts)
         SELECT 'stage', 'act', 1, now() + interval '1 day' + n * interval '1 ms', '\"Skip\"', 3
         FROM generate_series(1, 1000000) n",
    )
    .execute(&mut db)
    .await
    .unwrap();
    drop(db);
    ended(&world.pool).await;
    let before = reads(&world.pool).await;

    let line = Line::to(world.database_url()).await;
    let pool = PgPoolOptions::new().connect_lazy_with(counted(&line.url));
    let running = Worker::builder(pool, registry(), Stage::default())
        .pools(pools(4))
        .start()
        .await
        .unwrap();
    let looks = 6;
    for _ in 0..looks {
        running.wake().notify();
        // Other processes are told, and the queue is looked at.
        line.more(2).await;
    }
    running.stop(Duration::from_secs(5)).await;
    ended(&world.pool).await;

    let after = reads(&world.pool).await;
    let scans = after.along_indexes - before.along_indexes;
    let blocks = after.blocks - before.blocks;
    assert_eq!(after.whole_tables, before.whole_tables);
    assert!(scans >= looks, "{scans} scans in {looks} looks");
    assert!(
        blocks <= PLANNED + 20 * scans,
        "{blocks} blocks in {scans} scans"
    );

    // And one that is due among them is found.
    let stage = Stage::default();
    let running = worker(&world, &stage, 4).await;
    let mut db = world.pool.acquire().await.unwrap();
    let soon = Act::Note("soon".into());
    let soon = queue::job(&soon).after(Duration::from_millis(100));
    soon.enqueue(&mut db).await.unwrap();
    running.wake().notify();
    stage.until(1).await;
    running.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn who_asks_what_fails_does_not_look_at_all_that_waits() {
    let world = World::new().await;
    world.leave_jobs();
    let mut db = counted(world.database_url()).connect().await.unwrap();
    sqlx::raw_sql(
        r#"ALTER TABLE queue.job SET (autovacuum_enabled = off); -- its reads would be counted
         INSERT INTO queue.job (queue, kind, state, payload, max_attempts, attempt, errors)
         SELECT 'stage', 'act', 0, '"Skip"', 3, n % 50000 / 49999,
            CASE WHEN n % 50000 = 49999 THEN '[{"attempt": 1, "error": "no answer"}]' ELSE '[]' END::jsonb
         FROM generate_series(1, 200000) n"#,
    )
    .execute(&mut db)
    .await
    .unwrap();
    drop(db);
    ended(&world.pool).await;
    let before = reads(&world.pool).await;

    let mut db = counted(world.database_url()).connect().await.unwrap();
    let failing = admin::failing(&mut db, Share::default()).await.unwrap();
    drop(db);
    ended(&world.pool).await;

    let told: Vec<_> = failing
        .iter()
        .map(|row| (&*row.kind, row.count.0))
        .collect();
    assert_eq!(told, [("act", 4)]);
    let after = reads(&world.pool).await;
    assert_eq!(after.whole_tables, before.whole_tables);
    let blocks = after.blocks - before.blocks;
    assert!(blocks <= 20, "{blocks} blocks");
}

/// The promise is one about time, so time passes: as much as thirty statements take, which are waited for as they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_process_asks_hardly_more_than_once_a_second() {
    let world = World::new().await;
    let line = Line::to(world.database_url()).await;
    let pool = PgPoolOptions::new().connect_lazy(&line.url).unwrap();
    let pools = leadmill::work::pools(&Config::default(), &[]).unwrap();
    let running = Worker::builder(pool, jobs::registry(), world.ctx().await)
        .pools(pools)
        .schedules(jobs::schedules())
        .start()
        .await
        .unwrap();
    // What is asked once, at the start, is over when three statements take a second.
    let begun = async {
        loop {
            let began = Instant::now();
            line.more(3).await;
            if began.elapsed() >= Duration::from_secs(1) {
                break;
            }
        }
    };
    let begun = tokio::time::timeout(Duration::from_secs(60), begun).await;
    begun.expect("a worker becomes idle");

    let began = Instant::now();
    line.more(30).await;
    let per_second = 30.0 / began.elapsed().as_secs_f64();
    println!("{per_second:.2} a second");
    assert!(per_second <= 1.5, "{per_second:.2} a second");
    running.stop(Duration::from_secs(5)).await;
}
