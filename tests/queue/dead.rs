//! Dead letters: found by their cause, run again, edited, forgotten.

use std::time::Duration;

use queue::admin::{self, Act as Did, Counted, DeadFilter, Redrive, Redriven, Refused};
use queue::{CheckError, Fingerprint, JobId, enqueue, enqueue_many};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::cast::{Act, Only, Stage, count, finished, registry};
use crate::harness::World;

/// Lets these jobs die for good.
async fn let_die(world: &World, jobs: &[Act]) {
    let mut db = world.pool.acquire().await.unwrap();
    enqueue_many(&mut db, jobs).await.unwrap();
    sqlx::query("UPDATE queue.job SET max_attempts = 1")
        .execute(&mut *db)
        .await
        .unwrap();
    queue::drain(&world.pool, &registry(), &Stage::default())
        .await
        .unwrap();
}

async fn letters(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar(
        "SELECT id FROM queue.job_history WHERE outcome = 'discarded' ORDER BY finished_at, id",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn groups(db: &mut PgConnection, filter: &DeadFilter) -> Vec<(String, String)> {
    let groups = admin::dead(db, filter).await.unwrap();
    groups
        .iter()
        .map(|group| (group.count.to_string(), group.error.clone()))
        .collect()
}

fn fail(text: &str) -> Act {
    Act::Fail(text.into())
}

#[tokio::test]
async fn letters_of_one_cause_are_one_group_and_are_run_again_alone() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let_die(
        &world,
        &[
            fail("host 10.0.0.1 answered 503"),
            fail("host 10.0.0.2 answered 503"),
            fail("no column \"x\""),
            Act::Discard,
            Act::Skip,
        ],
    )
    .await;

    let all = DeadFilter::default();
    let text = |text: &str| text.to_owned();
    let [three, one, discarded] = [
        (text("2"), text("host #.#.#.# answered #")),
        (text("1"), text("no column #")),
        (text("1"), text("can never work")),
    ];
    let mut found = groups(&mut db, &all).await;
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
    assert_eq!(found, [three.clone(), one, discarded]);
    let first = &admin::dead(&mut db, &all).await.unwrap()[0];
    let cause = Fingerprint::of("host 1.2.3.4 answered 500");
    assert_eq!(first.fingerprint, Some(cause));
    assert_eq!(first.sample, letters(&world.pool).await[1]);
    let filter = DeadFilter {
        fingerprint: Some(cause),
        ..DeadFilter::default()
    };
    assert_eq!(groups(&mut db, &filter).await, [three]);
    assert_eq!(
        admin::count_dead(&mut db, &filter).await.unwrap(),
        Counted(2)
    );
    for other in [
        json!({"kind": "other"}),
        json!({"queue": "other"}),
        json!({"lane": "00000000-0000-0000-0000-000000000001"}),
        json!({"since": "2999-01-01T00:00:00Z"}),
    ] {
        let filter: DeadFilter = serde_json::from_value(other.clone()).unwrap();
        assert_eq!(groups(&mut db, &filter).await, [], "{other}");
        assert_eq!(
            admin::count_dead(&mut db, &filter).await.unwrap(),
            Counted(0)
        );
    }

    let done = admin::redrive(&mut db, &filter, Redrive::default()).await;
    let done = done.unwrap();
    assert_eq!((done.retried, done.key_taken), (2, 0));
    assert_eq!(letters(&world.pool).await.len(), 2);
    let back: Vec<(i16, i16, bool)> =
        sqlx::query_as("SELECT state, attempt, retried_from IS NOT NULL FROM queue.job")
            .fetch_all(&mut *db)
            .await
            .unwrap();
    assert_eq!(back, [(0, 0, true); 2]);

    // Whatever else is forgotten, for good.
    assert_eq!(admin::forget_dead(&mut db, &all).await.unwrap(), 2);
    assert_eq!(letters(&world.pool).await, [0_i64; 0]);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM queue.job_history")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(kept, 1, "what was skipped is no dead letter");
}

#[tokio::test]
async fn letters_are_spread_over_time_the_oldest_first() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let_die(
        &world,
        &(0..2500)
            .map(|n| fail(&format!("no {n}")))
            .collect::<Vec<_>>(),
    )
    .await;
    let oldest = letters(&world.pool).await;
    let how = Redrive {
        every: Some(Duration::from_secs(1)),
        most: Some(2100),
    };

    let done = admin::redrive(&mut db, &DeadFilter::default(), how)
        .await
        .unwrap();

    assert_eq!((done.retried, done.key_taken), (2100, 0));
    assert_eq!(letters(&world.pool).await, oldest[2100..]);
    let (evenly, in_order, span): (bool, bool, f64) = sqlx::query_as(
        "SELECT bool_and(gap IS NULL OR gap = interval '1 second'), bool_and(was IS NULL OR was < retried_from),
            extract(epoch FROM max(run_at) - min(run_at))::float8
         FROM (SELECT run_at, retried_from, run_at - lag(run_at) OVER by_time AS gap,
            lag(retried_from) OVER by_time AS was FROM queue.job WINDOW by_time AS (ORDER BY run_at)) jobs",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert!(evenly && in_order);
    assert_eq!(span, 2099.0);
    let last: Option<chrono::DateTime<chrono::Utc>> =
        sqlx::query_scalar("SELECT max(run_at) FROM queue.job WHERE state = 1")
            .fetch_one(&mut *db)
            .await
            .unwrap();
    assert_eq!(done.last_at, last);
}

#[tokio::test]
async fn a_letter_whose_key_is_taken_stays_and_the_others_go() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let_die(&world, &(0..3).map(|_| Act::Discard).collect::<Vec<_>>()).await;
    // Two with one key, and one whose key a live job has.
    sqlx::query(
        "UPDATE queue.job_history SET kind = 'only', unique_key = CASE WHEN id = (SELECT max(id) FROM queue.job_history)
            THEN '2' ELSE '1' END",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    let live = Only {
        number: 2,
        text: "live".into(),
    };
    enqueue(&mut db, &live).await.unwrap();

    let how = Redrive::default();
    let done = admin::redrive(&mut db, &DeadFilter::default(), how)
        .await
        .unwrap();

    assert_eq!((done.retried, done.key_taken), (1, 2));
    assert_eq!(letters(&world.pool).await.len(), 2);
    assert_eq!(count(&world.pool).await, 2);
    let again = admin::redrive(&mut db, &DeadFilter::default(), how).await;
    let none = Redriven {
        key_taken: 2,
        ..Redriven::default()
    };
    assert_eq!(again.unwrap(), none);
}

#[tokio::test]
async fn a_letter_is_edited_and_run_again_if_its_payload_is_one_of_its_kind() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let_die(&world, &[fail("no")]).await;
    let id = letters(&world.pool).await[0];
    let wrong = registry().make("act", &json!({"Nothing": 1})).unwrap_err();
    assert!(matches!(wrong, CheckError::Payload { .. }));

    let edited = |text: &str| registry().make("act", &json!({ "Note": text })).unwrap();
    let Did::Retried(new) = admin::retry_edited(&mut db, id, edited("mended"))
        .await
        .unwrap()
    else {
        panic!("it was finished");
    };

    let shown = admin::show(&mut db, new).await.unwrap().unwrap();
    assert_eq!(shown.payload, json!({"Note": "mended"}));
    assert_eq!((shown.retried_from, shown.job.max_attempts), (Some(id), 1));
    let live = admin::retry_edited(&mut db, new, edited("x")).await;
    assert!(matches!(live, Err(Refused::Live(_))));
    let gone = admin::retry_edited(&mut db, id, edited("x")).await;
    assert!(matches!(gone, Err(Refused::Unknown(_))));
    let stage = Stage::default();
    queue::drain(&world.pool, &registry(), &stage)
        .await
        .unwrap();
    assert_eq!(stage.notes(), ["mended"]);
    let row = finished(&world.pool, JobId(new)).await.unwrap();
    assert_eq!(row.outcome, "completed");
}
