//! Finished jobs are kept by the day and forgotten by the day.

use std::time::Duration;

use queue::history;
use queue::maintenance::{Maintained, Maintenance};
use sqlx::PgConnection;

use super::cast::{Act, Stage, until, worker};
use super::schedules::single;
use crate::harness::World;
use crate::processes::proxy::Line;

async fn finished(db: &mut PgConnection, id: i64, days_ago: i32) {
    sqlx::query(
        r#"
        INSERT INTO queue.job_history (id, queue, kind, version, priority, payload, attempt, max_attempts, errors, log,
            created_at, finished_at, outcome, result)
        VALUES ($1, 'mail', 'send_mail', 1, 0, '{}', 2, 3, '[{"attempt": 1, "error": "no"}]',
            '[{"attempt": 2, "line": "sent"}]', now(), now() - make_interval(days => $2), 'completed', '{"sent": 1}')
        "#,
    )
    .bind(id)
    .bind(days_ago)
    .execute(db)
    .await
    .unwrap();
}

async fn ids(db: &mut PgConnection) -> Vec<i64> {
    sqlx::query_scalar("SELECT id FROM queue.job_history ORDER BY id")
        .fetch_all(db)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_finished_before_its_day_was_ready_moves_there_whole() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    finished(&mut db, 1, 0).await;

    assert_eq!(history::make_partitions(&mut db, 2).await.unwrap(), 3);
    assert_eq!(history::make_partitions(&mut db, 2).await.unwrap(), 0);

    let place: String =
        sqlx::query_scalar("SELECT tableoid::regclass::text FROM queue.job_history WHERE id = 1")
            .fetch_one(&mut *db)
            .await
            .unwrap();
    assert!(place.starts_with("queue.job_history_2"), "{place}");
    let job = queue::admin::show(&mut db, 1).await.unwrap().unwrap();
    assert_eq!(job.result, Some(serde_json::json!({"sent": 1})));
    assert_eq!(
        job.errors,
        serde_json::json!([{"attempt": 1, "error": "no"}])
    );
    assert_eq!(job.log, serde_json::json!([{"attempt": 2, "line": "sent"}]));
    assert_eq!(history::partitions(&mut db).await.unwrap().len(), 4);
}

#[tokio::test]
async fn days_that_are_too_old_are_dropped_and_no_others() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    for (id, days) in [(1, 0), (2, 7), (3, 8), (4, 40)] {
        finished(&mut db, id, days).await;
    }
    // The days of 2 and 3 have partitions; 4 stays in the default one.
    sqlx::query(
        "SELECT queue.make_history_partition((now() AT TIME ZONE 'UTC')::date - ago) FROM unnest(ARRAY[7, 8]) ago",
    )
    .execute(&mut *db)
    .await
    .unwrap();

    let dropped = history::drop_older(&mut db, 7).await.unwrap();

    assert_eq!(dropped.len(), 1);
    assert_eq!(ids(&mut db).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_look_after_the_tables_at_once_do_it_once() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    finished(&mut db, 1, 0).await;
    sqlx::query(
        r#"
        INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
        VALUES ('gone', 1, '0', '{}', '{}', now() - interval '2 hours'),
            ('shown', 2, '0', '{}', '{}', now() - interval '1 minute')
        "#,
    )
    .execute(&mut *db)
    .await
    .unwrap();

    let maintenance = Maintenance { keep_days: 30 };
    let rounds = (0..4).map(|_| maintenance.once(&world.pool));
    let rounds = futures::future::join_all(rounds).await;

    let made: i64 = rounds.iter().map(|done| done.as_ref().unwrap().made).sum();
    assert_eq!(made, 8);
    assert_eq!(ids(&mut db).await, [1]);
    let hosts: Vec<String> = sqlx::query_scalar("SELECT host FROM queue.node")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    assert_eq!(hosts, ["shown"]);
    let again = maintenance.once(&world.pool).await.unwrap();
    assert_eq!(again, Maintained::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_job_of_all_is_kept_in_its_day() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let note = Act::Note("first".into());
    let job = queue::enqueue(&mut db, &note).await.unwrap().id();
    // The week cannot be made meanwhile, as somebody looks at what no day was ready for; the worker waits for the day.
    let mut looking = world.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE queue.job_history_default IN ACCESS SHARE MODE")
        .execute(&mut *looking)
        .await
        .unwrap();
    let stage = Stage::default();
    let running = worker(&world, &stage, 1).await;
    until(
        &world.pool,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'queue.job_history_default'::regclass AND NOT granted)",
    )
    .await;
    assert_eq!(stage.notes(), [] as [String; 0]);
    looking.rollback().await.unwrap();

    until(&world.pool, "SELECT NOT EXISTS (SELECT FROM queue.job)").await;
    let place: String =
        sqlx::query_scalar("SELECT tableoid::regclass::text FROM queue.job_history WHERE id = $1")
            .bind(job)
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert!(place.starts_with("queue.job_history_2"), "{place}");
    running.stop(std::time::Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_line_that_falls_silent_keeps_the_tables_in_disorder_for_a_round_only() {
    let world = World::new().await;
    let line = Line::to(world.database_url()).await;
    let pool = single(&line).await;
    line.fall_silent();
    let maintenance = Maintenance { keep_days: 30 };

    let round = tokio::time::timeout(Duration::from_secs(60), maintenance.once(&pool));
    let round = round.await.expect("a round is given up");
    assert!(round.is_err());
    maintenance.once(&pool).await.unwrap();
}
