//! Jobs are enqueued with the transaction, under keys, in bulk.

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use queue::{EnqueueError, Enqueued, Key, drain, enqueue, enqueue_many, job};
use sqlx::Connection;

use super::cast::{Act, Only, Stage, count, db_now, live, registry};
use crate::harness::World;

#[tokio::test]
async fn a_job_is_there_if_and_only_if_the_transaction_commits() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();

    let mut tx = db.begin().await.unwrap();
    enqueue(&mut tx, &Act::Note("rolled back".into()))
        .await
        .unwrap();
    enqueue_many(&mut tx, &[Act::Skip, Act::Skip])
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(count(&world.pool).await, 0);

    let mut tx = db.begin().await.unwrap();
    enqueue(&mut tx, &Act::Note("committed".into()))
        .await
        .unwrap();
    assert_eq!(count(&world.pool).await, 0);
    tx.commit().await.unwrap();
    assert_eq!(count(&world.pool).await, 1);

    let stage = Stage::default();
    drain(&world.pool, &registry(), &stage).await.unwrap();
    assert_eq!(stage.notes(), ["committed"]);
    assert_eq!(count(&world.pool).await, 0);
}

#[tokio::test]
async fn lower_priority_numbers_go_first_then_the_older() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    for (text, priority) in [("c", 5), ("d", 5), ("a", -1), ("b", 0)] {
        let note = Act::Note(text.into());
        job(&note)
            .priority(priority)
            .enqueue(&mut db)
            .await
            .unwrap();
    }

    let stage = Stage::default();
    drain(&world.pool, &registry(), &stage).await.unwrap();
    assert_eq!(stage.notes(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn what_waits_for_its_time_is_left_alone_until_then() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let later = Act::Note("later".into());
    let in_an_hour = job(&later).after(Duration::from_secs(3600));
    let in_an_hour = in_an_hour.enqueue(&mut db).await.unwrap().id();
    let tomorrow = db_now(&world.pool).await + TimeDelta::days(1);
    let tomorrow = job(&later).at(tomorrow).enqueue(&mut db).await.unwrap();
    let past = db_now(&world.pool).await - TimeDelta::days(1);
    let late = Act::Note("late".into());
    job(&late).at(past).enqueue(&mut db).await.unwrap();

    let stage = Stage::default();
    drain(&world.pool, &registry(), &stage).await.unwrap();
    assert_eq!(stage.notes(), ["late"]);
    let waits = [
        live(&world.pool, in_an_hour).await.unwrap().wait_seconds,
        live(&world.pool, tomorrow.id()).await.unwrap().wait_seconds,
    ];
    assert!((3590.0..3601.0).contains(&waits[0]), "{waits:?}");
    assert!((86390.0..86401.0).contains(&waits[1]), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_writers_at_one_key_one_enqueues() {
    let world = World::new().await;

    let writers = (0..64).map(|number| {
        let pool = world.pool.clone();
        tokio::spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            let text = number.to_string();
            let enqueued = enqueue(&mut tx, &Only { number: 7, text }).await.unwrap();
            tx.commit().await.unwrap();
            enqueued
        })
    });
    let enqueued: Vec<Enqueued> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    let new = enqueued
        .iter()
        .filter(|enqueued| matches!(enqueued, Enqueued::New(_)));
    assert_eq!(new.count(), 1);
    assert!(enqueued.iter().all(|one| one.id() == enqueued[0].id()));
    assert_eq!(count(&world.pool).await, 1);
}

#[tokio::test]
async fn a_key_is_free_again_when_its_job_is_finished() {
    let world = World::new().await;
    let stage = Stage::default();
    for text in ["first", "second"] {
        let mut db = world.pool.acquire().await.unwrap();
        let text = text.to_owned();
        let enqueued = enqueue(&mut db, &Only { number: 1, text }).await.unwrap();
        assert!(matches!(enqueued, Enqueued::New(_)));
        drop(db);
        drain(&world.pool, &registry(), &stage).await.unwrap();
    }
    assert_eq!(stage.notes(), ["first", "second"]);
}

#[tokio::test]
async fn a_key_may_replace_the_payload_or_put_the_job_off() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let mut enqueue = async |key: Key, text: &str, wait: u64| {
        let only = Only {
            number: 0,
            text: text.into(),
        };
        let wait = Duration::from_secs(wait);
        let job = job(&only).key(key).after(wait);
        job.enqueue(&mut db).await.unwrap()
    };

    let kept = enqueue(Key::of("a"), "first", 0).await;
    assert_eq!(
        enqueue(Key::of("a"), "ignored", 60).await,
        Enqueued::Exists(kept.id())
    );
    let replaced = enqueue(Key::of("b").replacing(), "ignored", 0).await;
    let again = enqueue(Key::of("b").replacing(), "replaced", 60).await;
    assert_eq!(again, Enqueued::Exists(replaced.id()));
    let debounced = enqueue(Key::of("c").and(1).debounced(), "ignored", 0).await;
    enqueue(Key::of("c").and(1).debounced(), "put off", 60).await;

    let stage = Stage::default();
    drain(&world.pool, &registry(), &stage).await.unwrap();
    assert_eq!(stage.notes(), ["first", "replaced"]);
    let waiting = live(&world.pool, debounced.id()).await.unwrap();
    assert!((55.0..61.0).contains(&waiting.wait_seconds), "{waiting:?}");
}

#[tokio::test]
async fn many_jobs_are_few_statements_and_known_keys_are_left_out() {
    let world = World::new().await;
    let mut tx = world.pool.begin().await.unwrap();
    let jobs: Vec<Only> = (0..12_000)
        .map(|number| Only {
            number: number % 9_000,
            text: String::new(),
        })
        .collect();

    assert_eq!(enqueue_many(&mut tx, &jobs).await.unwrap(), 9_000);
    assert_eq!(enqueue_many(&mut tx, &jobs).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(count(&world.pool).await, 9_000);
    let lanes: i64 = sqlx::query_scalar("SELECT count(DISTINCT lane) FROM queue.job")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(lanes, 9_000);
}

/// A text with everything that means something to a copy.
fn odd(number: usize) -> Act {
    Act::Note(format!("{number} \\ \t\n\r \\N \\. \u{10ffff} \""))
}

#[tokio::test]
async fn a_million_jobs_are_enqueued_in_bulk_or_not_at_all() {
    let world = World::new().await;
    let jobs: Vec<Act> = (0..1_000_000).map(|_| Act::Skip).collect();
    let mut tx = world.pool.begin().await.unwrap();
    assert_eq!(
        enqueue_many(&mut tx, &jobs[..10_000]).await.unwrap(),
        10_000
    );
    tx.rollback().await.unwrap();
    assert_eq!(count(&world.pool).await, 0);

    let mut tx = world.pool.begin().await.unwrap();
    assert_eq!(enqueue_many(&mut tx, &jobs).await.unwrap(), 1_000_000);
    tx.commit().await.unwrap();
    assert_eq!(count(&world.pool).await, 1_000_000);
}

#[tokio::test]
async fn whatever_is_enqueued_in_bulk_comes_out_as_it_went_in() {
    let world = World::new().await;
    let jobs: Vec<Act> = (0..300).map(odd).collect();
    let mut tx = world.pool.begin().await.unwrap();
    let mut with_nul = jobs.iter().map(|_| Act::Skip).collect::<Vec<_>>();
    with_nul.push(Act::Note("a\0b".into()));
    let refused = enqueue_many(&mut tx, &with_nul).await;
    assert!(
        matches!(refused, Err(EnqueueError::Nul("act"))),
        "{refused:?}"
    );
    assert_eq!(enqueue_many(&mut tx, &jobs).await.unwrap(), 300);
    tx.commit().await.unwrap();

    let stage = Stage::default();
    drain(&world.pool, &registry(), &stage).await.unwrap();
    let expected: Vec<String> = (0..300)
        .map(|number| match odd(number) {
            Act::Note(text) => text,
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(stage.notes(), expected);
}

#[tokio::test]
async fn what_the_database_cannot_hold_is_refused_and_spoils_no_transaction() {
    let world = World::new().await;
    let mut tx = world.pool.begin().await.unwrap();

    let nul = enqueue(&mut tx, &Act::Note("a\0b".into())).await;
    assert!(matches!(nul, Err(EnqueueError::Nul("act"))), "{nul:?}");
    let long = job(&Act::Skip)
        .key(Key::of("k".repeat(1001)))
        .enqueue(&mut tx)
        .await;
    assert!(
        matches!(long, Err(EnqueueError::LongKey("act"))),
        "{long:?}"
    );
    let odd = "back\\u0000slash \u{fffd} \u{10ffff} \"' \n";
    enqueue(&mut tx, &Act::Note(odd.into())).await.unwrap();
    tx.commit().await.unwrap();

    let stage = Stage::default();
    drain(&world.pool, &registry(), &stage).await.unwrap();
    assert_eq!(stage.notes(), [odd]);
}
