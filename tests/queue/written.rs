//! What is written to the log of the database, counted on a server where nobody else writes.

use std::time::Duration;

use leadmill::database;
use postgres::{Cluster, Options, Profile};
use queue::admin::{self, Scope};
use queue::{Worker, history};
use sqlx::PgPool;
use tempfile::TempDir;

use super::cast::{Act, Stage, pools, registry, until};
use crate::postgres_cluster::{open_dir, options};

/// A migrated database on a server of its own, which looks after no table by itself.
struct Alone {
    pool: PgPool,
    cluster: Cluster,
    // After the server that is in it.
    _dir: TempDir,
}

impl Alone {
    async fn new() -> Self {
        let dir = open_dir();
        let cluster = Cluster::start(Options {
            settings: vec![("autovacuum".to_owned(), "off".to_owned())],
            ..options(dir.path(), Profile::Test)
        });
        let cluster = cluster.await.unwrap();
        cluster.server().create_database("alone").await.unwrap();
        let pool = PgPool::connect(&cluster.url("alone")).await.unwrap();
        database::migrate(&pool).await.unwrap();
        Self {
            pool,
            cluster,
            _dir: dir,
        }
    }

    /// Bytes written so far.
    async fn written(&self) -> i64 {
        sqlx::query_scalar("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    async fn stop(self) {
        self.pool.close().await;
        self.cluster.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_written_once_and_its_claim_is_little_more() {
    const JOBS: i64 = 1000;
    let alone = Alone::new().await;
    let stage = Stage::default();
    let running = Worker::builder(alone.pool.clone(), registry(), stage.clone())
        .pools(pools(1000))
        .start()
        .await
        .unwrap();
    // What is made once, at the start, is there.
    until(
        &alone.pool,
        "SELECT count(*) > 7 FROM pg_inherits WHERE inhparent = 'queue.job_history'::regclass",
    )
    .await;
    let mut db = alone.pool.acquire().await.unwrap();
    admin::pause(&mut db, Scope::Queue, "stage").await.unwrap();
    // As long as the payload of a job about a lead.
    let jobs: Vec<_> = (0..JOBS).map(|n| Act::Hold(format!("{n:0>110}"))).collect();

    let empty = alone.written().await;
    let made = queue::enqueue_many(&mut db, &jobs).await.unwrap();
    let waiting = alone.written().await;
    admin::resume(&mut db, Scope::Queue, "stage").await.unwrap();
    until(
        &alone.pool,
        "SELECT count(*) = 1000 FROM queue.job WHERE lease_by IS NOT NULL",
    )
    .await;
    let claimed = alone.written().await;

    let (insert, claim) = ((waiting - empty) / JOBS, (claimed - waiting) / JOBS);
    println!("{insert} bytes to insert a job, {claim} to claim it");
    assert_eq!(made, JOBS.unsigned_abs());
    assert!(insert <= 500, "{insert} bytes to insert a job");
    assert!((1..=250).contains(&claim), "{claim} bytes to claim a job");
    drop(db);
    // What was claimed is given back.
    running.stop(Duration::ZERO).await;
    alone.stop().await;
}

#[tokio::test]
async fn a_day_of_a_million_jobs_is_dropped_as_an_empty_one_is() {
    let alone = Alone::new().await;
    let mut db = alone.pool.acquire().await.unwrap();
    // The day before it is empty; one job is of yesterday.
    sqlx::raw_sql(
        r#"
        SELECT queue.make_history_partition((now() AT TIME ZONE 'UTC')::date - ago) FROM unnest(ARRAY[20, 21]) ago;
        INSERT INTO queue.job_history (id, queue, kind, version, priority, payload, attempt, max_attempts, log, created_at,
            finished_at, outcome, result)
        SELECT n, 'mail', 'send_mail', 1, 0, '{}', 1, 3, '[{"attempt": 1, "line": "sent"}]', now(),
            CASE WHEN n = 0 THEN now() - interval '1 day'
                ELSE date_trunc('day', now(), 'UTC') - interval '20 days' + n * interval '80 ms' END,
            'completed', '{"sent": 1}'
        FROM generate_series(0, 1000000) n;
        "#,
    )
    .execute(&mut *db)
    .await
    .unwrap();

    let mut written = Vec::new();
    for keep in [20, 14] {
        let before = alone.written().await;
        let dropped = history::drop_older(&mut db, keep).await.unwrap();
        assert_eq!(dropped.len(), 1);
        written.push(alone.written().await - before);
    }

    println!("{written:?} bytes to drop an empty day, and one of a million jobs");
    let left = "SELECT array_agg(id) FROM queue.job_history";
    let left: Vec<i64> = sqlx::query_scalar(left).fetch_one(&mut *db).await.unwrap();
    assert_eq!(left, [0]);
    assert!(written[1] < 4 * written[0], "{written:?}");
    drop(db);
    alone.stop().await;
}
