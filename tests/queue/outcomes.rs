//! What becomes of a job, whatever it does.

use queue::{CheckError, JobId, drain, enqueue};
use serde_json::{Value, json};

use super::cast::{Act, Finished, Hurry, Stage, finished, live, make_due, registry};
use crate::harness::World;

async fn run(world: &World, act: Act) -> JobId {
    let mut db = world.pool.acquire().await.unwrap();
    let id = enqueue(&mut db, &act).await.unwrap().id();
    drop(db);
    drain(&world.pool, &registry(), &Stage::default())
        .await
        .unwrap();
    id
}

async fn again(world: &World, id: JobId) {
    make_due(&world.pool, id).await;
    drain(&world.pool, &registry(), &Stage::default())
        .await
        .unwrap();
}

fn ended(
    outcome: &str,
    reason: Option<&str>,
    result: Option<Value>,
    errors: Value,
) -> Option<Finished> {
    Some(Finished {
        outcome: outcome.into(),
        attempt: 1,
        reason: reason.map(str::to_owned),
        result,
        errors,
    })
}

#[tokio::test]
async fn each_outcome_is_kept_as_it_was_told() {
    let world = World::new().await;
    let none = json!([]);
    for (act, expected) in [
        (
            Act::Note("done".into()),
            ended("completed", None, None, none.clone()),
        ),
        (
            Act::Give(json!({"rows": 3})),
            ended("completed", None, Some(json!({"rows": 3})), none.clone()),
        ),
        (
            Act::Skip,
            ended("skipped", Some("nothing to do"), None, none.clone()),
        ),
        (
            Act::Discard,
            ended("discarded", Some("can never work"), None, none),
        ),
    ] {
        let id = run(&world, act).await;
        assert_eq!(finished(&world.pool, id).await, expected);
        assert_eq!(live(&world.pool, id).await, None);
    }
}

#[tokio::test]
async fn a_snooze_costs_no_attempt_and_a_failure_does() {
    let world = World::new().await;
    for (act, attempt, wait, errors) in [
        (Act::Snooze, 0, 60.0, json!([])),
        (Act::RetrySoon, 1, 5.0, json!(["busy"])),
        (Act::Fail("no".into()), 1, 3600.0, json!(["no"])),
    ] {
        let id = run(&world, act).await;
        let row = live(&world.pool, id).await.unwrap();
        assert_eq!((row.state, row.attempt, row.epoch), (1, attempt, 1));
        assert_eq!(row.errors, errors);
        let near = (row.wait_seconds / wait - 1.0).abs() < 0.25;
        assert!(near, "{row:?}");
    }
}

#[tokio::test]
async fn the_error_of_every_attempt_is_kept_and_the_last_one_makes_a_dead_letter() {
    let world = World::new().await;
    let id = run(&world, Act::Fail("no".into())).await;
    again(&world, id).await;
    assert_eq!(live(&world.pool, id).await.unwrap().attempt, 2);
    again(&world, id).await;

    let row = finished(&world.pool, id).await.unwrap();
    assert_eq!((&*row.outcome, row.attempt), ("discarded", 3));
    assert_eq!(row.reason.as_deref(), Some("failed 3 times"));
    assert_eq!(row.errors, json!(["no", "no", "no"]));
}

#[tokio::test]
async fn a_job_that_always_panics_stops_at_its_last_attempt() {
    let world = World::new().await;
    let id = run(&world, Act::Panic).await;
    again(&world, id).await;
    again(&world, id).await;

    let row = finished(&world.pool, id).await.unwrap();
    assert_eq!((&*row.outcome, row.attempt), ("discarded", 3));
    assert_eq!(row.errors, json!(vec!["it panicked: as told"; 3]));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_ended() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let id = enqueue(&mut db, &Hurry).await.unwrap().id();
    drain(&world.pool, &registry(), &Stage::default())
        .await
        .unwrap();
    let row = live(&world.pool, id).await.unwrap();
    assert_eq!(row.errors, json!(["it took longer than 1ms"]));
}

#[tokio::test]
async fn nul_and_oversize_in_what_a_job_says_are_mended() {
    let world = World::new().await;
    let id = run(&world, Act::Fail(format!("a<NUL>b{}", "x".repeat(20_000)))).await;
    let row = live(&world.pool, id).await.unwrap();
    let error = row.errors[0].as_str().unwrap();
    assert!(error.starts_with("a\u{fffd}bxxx") && error.ends_with('…'));
    assert!(error.len() < 8_300, "{}", error.len());

    let long = json!("y".repeat(300_000));
    let id = run(&world, Act::Give(long)).await;
    let row = finished(&world.pool, id).await.unwrap();
    assert_eq!(row.result, Some(json!({"left_out_bytes": 300_002})));
}

#[tokio::test]
async fn a_payload_that_does_not_decode_is_that_jobs_own_error() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let bad: JobId = sqlx::query_scalar(
        "INSERT INTO queue.job (queue, kind, payload, max_attempts)
         VALUES ('stage', 'act', '{\"Sing\": 1}', 3) RETURNING id",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    enqueue(&mut db, &Act::Note("fine".into())).await.unwrap();
    drop(db);

    let stage = Stage::default();
    let drained = drain(&world.pool, &registry(), &stage).await.unwrap();
    assert_eq!(stage.notes(), ["fine"]);
    let (kind, error) = &drained.failures()[0];
    assert_eq!(*kind, "act");
    assert!(
        error.starts_with("its payload does not decode: unknown variant `Sing`"),
        "{error}"
    );
    assert_eq!(live(&world.pool, bad).await.unwrap().attempt, 1);
}

#[tokio::test]
async fn a_payload_can_be_checked_before_it_is_enqueued() {
    let registry = registry();
    registry.check("act", &json!({"Note": "x"})).unwrap();
    registry.check("former_act", &json!("Skip")).unwrap();
    let wrong = registry.check("act", &json!({"Note": 1})).unwrap_err();
    assert!(matches!(wrong, CheckError::Payload { kind: "act", .. }));
    let unknown = registry.check("sing", &json!({})).unwrap_err();
    assert_eq!(unknown.to_string(), "no job is called sing");
}

#[tokio::test]
async fn the_lines_of_every_attempt_are_kept() {
    let world = World::new().await;
    let lines = vec!["first".to_owned(), "second<NUL>".to_owned()];
    let id = run(&world, Act::Log(lines, true)).await;
    again(&world, id).await;
    again(&world, id).await;
    let (log, ordered): (Value, bool) = sqlx::query_as(
        "SELECT jsonb_agg(jsonb_build_array(l -> 'attempt', l -> 'line')),
            bool_and((l ->> 'at')::timestamptz BETWEEN created_at AND finished_at)
         FROM queue.job_history, jsonb_array_elements(log) l WHERE id = $1",
    )
    .bind(id)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert!(ordered);
    let second = "second\u{fffd}";
    assert_eq!(
        log,
        json!([
            [1, "first"],
            [1, second],
            [2, "first"],
            [2, second],
            [3, "first"],
            [3, second]
        ])
    );
}

#[tokio::test]
async fn of_many_lines_the_newest_are_kept() {
    let world = World::new().await;
    let lines: Vec<String> = (1..=150)
        .map(|line| format!("{line} {}", "x".repeat(9000)))
        .collect();
    let id = run(&world, Act::Log(lines.clone(), true)).await;
    again(&world, id).await;
    again(&world, id).await;
    let (kept, oldest, longest): (i32, String, i32) = sqlx::query_as(
        "SELECT jsonb_array_length(log), left(log -> 0 ->> 'line', 3),
            (SELECT max(length(l ->> 'line')) FROM jsonb_array_elements(log) l)
         FROM queue.job_history WHERE id = $1",
    )
    .bind(id)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((kept, &*oldest), (200, "51 "));
    assert!(longest < 2100, "{longest}");

    let id = run(&world, Act::Log(vec!["all is well".into()], false)).await;
    let row = finished(&world.pool, id).await.unwrap();
    assert_eq!((&*row.outcome, row.result), ("completed", None));
}

#[tokio::test]
async fn no_wait_is_too_long_to_be_kept() {
    const TEN_YEARS: f64 = 10.0 * 366.0 * 86_400.0;
    let world = World::new().await;
    world.leave_jobs();
    for (failed, attempt) in [(true, 1), (false, 0)] {
        let id = run(&world, Act::WaitForEver { failed }).await;
        let row = live(&world.pool, id).await.unwrap();
        assert_eq!((row.state, row.attempt), (1, attempt));
        assert!((row.wait_seconds - TEN_YEARS).abs() < 60.0, "{row:?}");
    }
    // What it would spoil is the caller's transaction.
    let mut db = world.pool.acquire().await.unwrap();
    let far = queue::job(&Act::Skip).after(std::time::Duration::MAX);
    let id = far.enqueue(&mut db).await.unwrap().id();
    let row = live(&world.pool, id).await.unwrap();
    assert!((row.wait_seconds - TEN_YEARS).abs() < 60.0, "{row:?}");
}

#[tokio::test]
async fn the_priority_that_a_job_was_given_is_its_own_again_after_the_attempt() {
    let world = World::new().await;
    world.leave_jobs();
    let mut db = world.pool.acquire().await.unwrap();
    let again = Act::Fail("no".into());
    let again = queue::job(&again).priority(7).enqueue(&mut db).await;
    let done = queue::job(&Act::Skip).priority(8).enqueue(&mut db).await;
    let raise = "UPDATE queue.job SET raised_from = priority, priority = -5";
    sqlx::query(raise).execute(&mut *db).await.unwrap();
    drain(&world.pool, &registry(), &Stage::default())
        .await
        .unwrap();
    let lives: (i16, Option<i16>) =
        sqlx::query_as("SELECT priority, raised_from FROM queue.job WHERE id = $1")
            .bind(again.unwrap().id())
            .fetch_one(&mut *db)
            .await
            .unwrap();
    assert_eq!(lives, (7, None));
    let ended: i16 = sqlx::query_scalar("SELECT priority FROM queue.job_history WHERE id = $1")
        .bind(done.unwrap().id())
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(ended, 8);
}
