//! Outcomes that cannot be written now keep no others from it.

use std::time::Duration;

use queue::{JobId, enqueue};
use sqlx::{Postgres, Transaction};

use super::cast::{Act, Stage, attempt, count, finished, until, worker};
use crate::harness::World;

const GRACE: Duration = Duration::from_secs(20);
const NONE_LEFT: &str = "SELECT NOT EXISTS (SELECT FROM queue.job)";
const ONE_LEFT: &str = "SELECT count(*) = 1 FROM queue.job";

/// Starts jobs that hold, and gives the number of the first.
async fn hold(world: &World, stage: &Stage, jobs: usize) -> (JobId, queue::Running) {
    let mut db = world.pool.acquire().await.unwrap();
    let mut ids = Vec::new();
    for job in 0..jobs {
        let hold = Act::Hold(job.to_string());
        ids.push(enqueue(&mut db, &hold).await.unwrap().id());
    }
    let running = worker(world, stage, jobs).await;
    stage.until(jobs).await;
    (ids[0], running)
}

/// What a job does in its transaction goes on, though nobody waits for it any more.
async fn fenced(world: &World, job: JobId) -> Transaction<'static, Postgres> {
    let mut tx = world.pool.begin().await.unwrap();
    attempt(job, 1).fence(&mut tx).await.unwrap();
    tx
}

/// Lets all end at once, so that their outcomes are written together.
async fn let_go(stage: &Stage, jobs: usize) {
    while stage.notes().len() < 2 * jobs {
        stage.go.notify_waiters();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_somebody_has_hold_of_keeps_no_other_outcome_waiting() {
    let world = World::new().await;
    let stage = Stage::default();
    let (held, running) = hold(&world, &stage, 8).await;
    let tx = fenced(&world, held).await;
    let_go(&stage, 8).await;
    until(&world.pool, ONE_LEFT).await;
    assert_eq!(finished(&world.pool, held).await, None);

    tx.rollback().await.unwrap();
    until(&world.pool, NONE_LEFT).await;
    let report = running.stop(GRACE).await;
    assert!(report.in_time && report.unwritten == 0);
    let row = finished(&world.pool, held).await.unwrap();
    assert_eq!((&*row.outcome, row.attempt), ("completed", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_stop_only_the_outcome_is_lost_whose_job_somebody_has_hold_of() {
    let world = World::new().await;
    world.leave_jobs();
    let stage = Stage::default();
    let (held, running) = hold(&world, &stage, 8).await;
    let tx = fenced(&world, held).await;
    let stopping = tokio::spawn(running.stop(GRACE));
    let_go(&stage, 8).await;
    let report = stopping.await.unwrap();
    assert_eq!((report.in_time, report.unwritten), (true, 1));
    assert_eq!(count(&world.pool).await, 1);
    drop(tx);
}

/// Refuses that a job ends, and counts how often it was asked.
const REFUSE: &str = r#"
    CREATE SEQUENCE asked;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM nextval('asked');
        RAISE EXCEPTION 'no' USING ERRCODE = '22000';
    END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON queue.job FOR EACH ROW
        WHEN (OLD.id = (1)) EXECUTE FUNCTION refuse();
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_is_refused_whatever_is_left_out_is_not_tried_all_the_time() {
    let world = World::new().await;
    world.leave_jobs();
    sqlx::raw_sql(REFUSE).execute(&world.pool).await.unwrap();
    let stage = Stage::default();
    let (refused, running) = hold(&world, &stage, 1).await;
    assert_eq!(refused, JobId(1));
    let_go(&stage, 1).await;
    // There are many exchanges with which it could have been tried again.
    let mut db = world.pool.acquire().await.unwrap();
    for note in 1..=50 {
        enqueue(&mut db, &Act::Note(note.to_string()))
            .await
            .unwrap();
        running.wake().notify();
        stage.until(2 + note).await;
    }
    until(&world.pool, ONE_LEFT).await;
    let asked: i64 = sqlx::query_scalar("SELECT last_value FROM asked")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert!((2..=3).contains(&asked), "{asked}");
    assert_eq!(running.stop(GRACE).await.unwritten, 1);
}
