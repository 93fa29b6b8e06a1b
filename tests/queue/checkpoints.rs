//! What an attempt notes for the one after it.

use std::sync::Arc;

use queue::{CheckpointError, StaleClaim, enqueue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::cast::{Act, Stage, attempt, finished, until, worker};
use crate::harness::World;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    line: u32,
}

async fn noted(pool: &PgPool) -> Option<Value> {
    sqlx::query_scalar("SELECT progress FROM queue.job")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_commits_with_the_work_and_is_refused_under_an_older_claim() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let held = Act::Hold("held".into());
    let job = enqueue(&mut db, &held).await.unwrap().id();
    let running = worker(&world, &stage, 1).await;
    stage.until(1).await;
    let (mine, older) = (attempt(job, 1), attempt(job, 0));

    mine.checkpoint(&mut db, &Place { line: 1 }).await.unwrap();
    let mut tx = world.pool.begin().await.unwrap();
    mine.checkpoint(&mut tx, &Place { line: 2 }).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(noted(&world.pool).await, Some(json!({"line": 1})));
    let stale = older.checkpoint(&mut db, &Place { line: 3 }).await;
    assert!(matches!(stale, Err(CheckpointError::Stale(StaleClaim::Gone(gone))) if gone == job));

    let long = mine.checkpoint(&mut db, &"x".repeat(70_000)).await;
    let long = long.unwrap_err().to_string();
    assert!(
        long.starts_with(&format!(
            "a checkpoint of job {job} has 70002 bytes of JSON, more than 65536; note where"
        )),
        "{long}"
    );
    let nul = mine.checkpoint(&mut db, &"\0").await;
    assert!(matches!(nul, Err(CheckpointError::Nul(_))));
    assert_eq!(noted(&world.pool).await, Some(json!({"line": 1})));

    stage.go.notify_one();
    until(&world.pool, "SELECT NOT EXISTS (SELECT FROM queue.job)").await;
    running.stop(std::time::Duration::from_secs(5)).await;
    assert_eq!(
        finished(&world.pool, job).await.unwrap().outcome,
        "completed"
    );
    let over = mine.checkpoint(&mut db, &Place { line: 4 }).await;
    assert!(matches!(over, Err(CheckpointError::Stale(_))));
}

#[test]
fn what_was_noted_is_read_as_what_it_was_or_refused() {
    let job = queue::JobId(7);
    let mut attempt = attempt(job, 1);
    assert_eq!(attempt.checkpoint_of::<Place>().unwrap(), None);
    attempt.progress = Some(Arc::from(r#"{"line": 3}"#));
    let place: Option<Place> = attempt.checkpoint_of().unwrap();
    assert_eq!(place, Some(Place { line: 3 }));
    let other = attempt.checkpoint_of::<Vec<u32>>().unwrap_err();
    let said = other.to_string();
    assert_eq!(
        said,
        "the checkpoint of job 7 does not decode; its form was changed"
    );
}
