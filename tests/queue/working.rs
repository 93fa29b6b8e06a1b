//! A worker at work: feeding, stopping, living beside others.

use std::time::Duration;

use queue::{
    Attempt, Job, JobResult, Outcome, Pool, Registry, StartError, Worker, enqueue, enqueue_many,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cast::{Act, Stage, count, finished, live, make_due, pools, registry, until, worker};
use crate::harness::World;

const GRACE: Duration = Duration::from_secs(20);
const NONE_LEFT: &str = "SELECT NOT EXISTS (SELECT FROM queue.job)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_enqueued_is_run_once() {
    let world = World::new().await;
    let stage = Stage::default();
    let running = worker(&world, &stage, 8).await;
    let mut db = world.pool.acquire().await.unwrap();
    for batch in 0..10 {
        let notes: Vec<Act> = (0..300)
            .map(|note| Act::Note(format!("{batch} {note}")))
            .collect();
        enqueue_many(&mut db, &notes).await.unwrap();
        running.wake().notify();
    }
    stage.until(3000).await;
    until(&world.pool, NONE_LEFT).await;

    let report = running.stop(GRACE).await;
    assert!(report.in_time && report.unwritten == 0);
    let mut notes = stage.notes();
    notes.sort();
    notes.dedup();
    assert_eq!(notes.len(), 3000);
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM queue.job_history WHERE outcome = 'completed'")
            .fetch_one(&mut *db)
            .await
            .unwrap();
    assert_eq!(kept, 3000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_wake_up_told_of_is_found_all_the_same() {
    let world = World::new().await;
    let stage = Stage::default();
    let running = worker(&world, &stage, 2).await;
    until(&world.pool, "SELECT EXISTS (SELECT FROM queue.node)").await;
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, &Act::Note("quiet".into())).await.unwrap();
    stage.until(1).await;
    running.stop(GRACE).await;
}

/// Each job that is made ready brings another that is due, so that making them ready has no end.
const STAMPEDE: &str = r#"
    CREATE FUNCTION another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO queue.job (queue, kind, payload, max_attempts, state, run_at)
            VALUES ('far', 'act', '"Skip"', 1, 1, now() - interval '1 minute');
        RETURN NULL;
    END $$;
    CREATE TRIGGER another AFTER UPDATE ON queue.job FOR EACH ROW
        WHEN (NEW.queue = 'far' AND OLD.state = 1 AND NEW.state = 0) EXECUTE FUNCTION another();
    INSERT INTO queue.job (queue, kind, payload, max_attempts, state, run_at)
        VALUES ('far', 'act', '"Skip"', 1, 1, now() - interval '1 minute');
    INSERT INTO queue.job (queue, kind, payload, max_attempts) VALUES ('stage', 'act', '{"Note": "seen"}', 1);
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_elsewhere_keeps_no_look_from_telling_what_it_saw() {
    let world = World::new().await;
    world.leave_jobs();
    let stage = Stage::default();
    let running = worker(&world, &stage, 2).await;
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, &Act::Note("first".into())).await.unwrap();
    stage.until(1).await;
    until(&world.pool, NONE_LEFT).await;
    // Nobody tells of these.
    sqlx::raw_sql(STAMPEDE).execute(&mut *db).await.unwrap();
    stage.until(2).await;
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_job_that_somebody_has_hold_of_keeps_no_other_parked() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    sqlx::query(
        "INSERT INTO queue.job (queue, kind, payload, max_attempts, state)
         SELECT 'stage', 'act', '\"Skip\"', 3, 3 FROM generate_series(1, 3)",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    let mut other = world.pool.begin().await.unwrap();
    let hold = "SELECT FROM queue.job WHERE id = (SELECT min(id) FROM queue.job) FOR UPDATE";
    sqlx::query(hold).execute(&mut *other).await.unwrap();
    let stage = Stage::default();
    let running = Worker::builder(world.pool.clone(), registry(), stage)
        .pools(pools(2))
        .lease(Duration::from_secs(2))
        .start()
        .await
        .unwrap();
    until(&world.pool, "SELECT count(*) = 1 FROM queue.job").await;
    other.rollback().await.unwrap();
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_job_runs_when_it_is_due_and_a_retry_too() {
    let world = World::new().await;
    let stage = Stage::default();
    let running = worker(&world, &stage, 2).await;
    let mut db = world.pool.acquire().await.unwrap();
    let soon = Act::Note("soon".into());
    let soon = queue::job(&soon).after(Duration::from_millis(300));
    let soon = soon.enqueue(&mut db).await.unwrap().id();
    running.wake().notify();
    stage.until(1).await;
    until(&world.pool, NONE_LEFT).await;
    let late: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM started_at - created_at)::float8 FROM queue.job_history WHERE id = $1",
    )
    .bind(soon)
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert!((0.3..3.0).contains(&late), "{late}");

    let failing = enqueue(&mut db, &Act::Fail("no".into()))
        .await
        .unwrap()
        .id();
    running.wake().notify();
    for failed in [
        "SELECT attempt = 1 AND state = 1 FROM queue.job",
        "SELECT attempt = 2 AND state = 1 FROM queue.job",
    ] {
        until(&world.pool, failed).await;
        make_due(&world.pool, failing).await;
    }
    until(&world.pool, NONE_LEFT).await;
    let row = finished(&world.pool, failing).await.unwrap();
    assert_eq!(row.errors, json!(["no", "no", "no"]));
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_run_side_by_side_up_to_the_limit() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let holds: Vec<Act> = (0..5).map(|hold| Act::Hold(hold.to_string())).collect();
    enqueue_many(&mut db, &holds).await.unwrap();
    let running = worker(&world, &stage, 3).await;
    stage.until(3).await;
    let running_now: i64 =
        sqlx::query_scalar("SELECT count(*) FROM queue.job WHERE lease_by IS NOT NULL")
            .fetch_one(&mut *db)
            .await
            .unwrap();
    assert_eq!(running_now, 3);
    assert!(stage.notes().iter().all(|note| note.contains("began")));

    for notes in [5, 7, 8, 9, 10] {
        stage.go.notify_one();
        stage.until(notes).await;
    }
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_gives_back_what_has_not_begun_and_what_does_not_end() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    // Many quick ones, so that many are held ahead, and some that never end.
    let quick: Vec<Act> = (0..2000).map(|note| Act::Note(note.to_string())).collect();
    enqueue_many(&mut db, &quick).await.unwrap();
    let holds: Vec<Act> = (0..50).map(|hold| Act::Hold(hold.to_string())).collect();
    enqueue_many(&mut db, &holds).await.unwrap();
    let running = worker(&world, &stage, 4).await;
    let began = || {
        let notes = stage.notes();
        notes.iter().filter(|note| note.contains("began")).count()
    };
    while began() < 4 {
        stage.noted.notified().await;
    }

    let report = running.stop(Duration::from_millis(1)).await;
    assert!(!report.in_time && report.unwritten == 0);
    // What was claimed first may have come behind the others; nothing runs after the stop.
    let noted = stage.notes().len();
    let left = 2054 - noted;
    assert_eq!(count(&world.pool).await, i64::try_from(left).unwrap());
    let intact: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM queue.job WHERE state = 0 AND attempt = 0 AND lease_by IS NULL AND errors = '[]'",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert_eq!(intact, i64::try_from(left).unwrap());
    let alive: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM queue.node WHERE lease_until > now())")
            .fetch_one(&mut *db)
            .await
            .unwrap();
    assert!(!alive);

    // Another worker takes over; the attempts that were cut short do not count.
    let running = worker(&world, &stage, 60).await;
    stage.until(2054).await;
    let again = stage.notes().split_off(noted);
    let again = again.iter().filter(|note| note.contains("began"));
    assert_eq!(again.filter(|note| note.ends_with("began 1")).count(), 50);
    for notes in 2055..=2104 {
        stage.go.notify_one();
        stage.until(notes).await;
    }
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_ahead_of_a_long_job_is_left_to_others() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let quick = |from: usize| -> Vec<Act> {
        (from..from + 2000)
            .map(|note| Act::Note(note.to_string()))
            .collect()
    };
    enqueue_many(&mut db, &quick(0)).await.unwrap();
    enqueue(&mut db, &Act::Hold("long".into())).await.unwrap();
    enqueue_many(&mut db, &quick(2000)).await.unwrap();
    let busy = worker(&world, &stage, 1).await;
    let only_the_long_one = "SELECT count(*) = 1 FROM queue.job WHERE lease_by IS NOT NULL";
    let began = async {
        while !stage.notes().contains(&"long began 1".to_owned()) {
            stage.noted.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), began)
        .await
        .unwrap();
    until(&world.pool, only_the_long_one).await;

    let other = worker(&world, &stage, 1).await;
    stage.until(4001).await;
    other.stop(GRACE).await;
    stage.go.notify_one();
    until(&world.pool, NONE_LEFT).await;
    busy.stop(GRACE).await;
    let once: i64 = sqlx::query_scalar("SELECT count(*) FROM queue.job_history WHERE attempt = 1")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(once, 4001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_not_heard_of_is_given_back() {
    let world = World::new().await;
    let stage = Stage::default();
    let running = Worker::builder(world.pool.clone(), registry(), stage.clone())
        .pools(vec![Pool {
            name: "stage".into(),
            queues: vec!["stage".into()],
            concurrency: 1,
        }])
        .lease(Duration::from_secs(2))
        .start()
        .await
        .unwrap();
    until(&world.pool, "SELECT EXISTS (SELECT FROM queue.node)").await;
    let mut db = world.pool.acquire().await.unwrap();
    // The commit was made, and the line was cut before the answer came.
    sqlx::query(
        "WITH unheard AS (
            INSERT INTO queue.job (queue, kind, payload, max_attempts, attempt, epoch, started_at, lease_by)
            SELECT 'stage', 'act', '{\"Note\": \"unheard\"}', 3, 1, 1, now() - interval '1 minute', max(id) FROM queue.node
            RETURNING id, started_at, lease_by
         )
         INSERT INTO queue.claim (node, number, at, jobs) SELECT lease_by, 0, started_at, ARRAY[id] FROM unheard",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    stage.until(1).await;
    until(&world.pool, NONE_LEFT).await;
    // Nor does anything tell of it any more, though the process lives.
    until(
        &world.pool,
        "SELECT NOT EXISTS (SELECT FROM queue.claim WHERE number = 0)",
    )
    .await;
    running.stop(GRACE).await;
    let attempt: i16 = sqlx::query_scalar("SELECT attempt FROM queue.job_history")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(attempt, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_what_runs_come_to_its_end() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let held = enqueue(&mut db, &Act::Hold("held".into())).await.unwrap();
    let running = worker(&world, &stage, 2).await;
    stage.until(1).await;

    let stopping = tokio::spawn(running.stop(GRACE));
    stage.go.notify_one();
    let report = stopping.await.unwrap();
    assert!(report.in_time && report.unwritten == 0);
    assert_eq!(stage.notes(), ["held began 1", "held ended 1"]);
    let row = finished(&world.pool, held.id()).await.unwrap();
    assert_eq!(row.outcome, "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_job_that_panics_or_cannot_be_read_harms_no_other() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let panics = enqueue(&mut db, &Act::Panic).await.unwrap().id();
    let nul = enqueue(&mut db, &Act::Fail("<NUL>".into()))
        .await
        .unwrap()
        .id();
    sqlx::query(
        "INSERT INTO queue.job (queue, kind, payload, max_attempts) VALUES ('stage', 'act', '7', 1)",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    let notes: Vec<Act> = (0..20).map(|note| Act::Note(note.to_string())).collect();
    enqueue_many(&mut db, &notes).await.unwrap();

    let running = worker(&world, &stage, 4).await;
    stage.until(20).await;
    until(
        &world.pool,
        "SELECT NOT EXISTS (SELECT FROM queue.job WHERE state <> 1)",
    )
    .await;
    running.stop(GRACE).await;
    let errors = async |job| live(&world.pool, job).await.unwrap().errors;
    assert_eq!(errors(panics).await, json!(["it panicked: as told"]));
    assert_eq!(errors(nul).await, json!(["\u{fffd}"]));
    let unread: String = sqlx::query_scalar(
        "SELECT errors -> 0 ->> 'error' FROM queue.job_history WHERE outcome = 'discarded'",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert!(
        unread.starts_with("its payload does not decode"),
        "{unread}"
    );
}

/// What a newer program enqueues.
#[derive(Debug, Serialize, Deserialize)]
struct Novel(String);

impl Job for Novel {
    const NAME: &'static str = "novel";
    const QUEUE: &'static str = "stage";
    type Ctx = Stage;

    async fn run(&self, stage: &Stage, _: &Attempt) -> JobResult {
        stage.note(&self.0);
        Ok(Outcome::Done)
    }
}

/// [`Act`] in a version that only a newer program has.
#[derive(Debug, Serialize, Deserialize)]
struct NewAct(String);

impl Job for NewAct {
    const NAME: &'static str = "act";
    const QUEUE: &'static str = "stage";
    const VERSION: u16 = 2;
    type Ctx = Stage;

    async fn run(&self, stage: &Stage, _: &Attempt) -> JobResult {
        stage.note(&self.0);
        Ok(Outcome::Done)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_and_a_new_program_live_side_by_side() {
    let world = World::new().await;
    let old_stage = Stage::default();
    let old = worker(&world, &old_stage, 4).await;
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, &Novel("novel".into())).await.unwrap();
    enqueue(&mut db, &NewAct("new act".into())).await.unwrap();
    enqueue(&mut db, &Act::Note("old act".into()))
        .await
        .unwrap();
    old.wake().notify();
    until(
        &world.pool,
        "SELECT count(*) = 2 FROM queue.job WHERE state = 3 AND attempt = 0",
    )
    .await;
    old_stage.until(1).await;
    assert_eq!(old_stage.notes(), ["old act"]);

    let new_stage = Stage::default();
    let registry = Registry::new().add::<Novel>().add::<NewAct>();
    let new = Worker::builder(world.pool.clone(), registry, new_stage.clone())
        .pools(vec![Pool {
            name: "stage".into(),
            queues: vec!["stage".into()],
            concurrency: 4,
        }])
        .start()
        .await
        .unwrap();
    new_stage.until(2).await;
    until(&world.pool, NONE_LEFT).await;
    assert_eq!(old_stage.notes(), ["old act"]);
    old.stop(GRACE).await;
    new.stop(GRACE).await;
}

#[tokio::test]
async fn pools_that_make_no_sense_are_refused() {
    let world = World::new().await;
    let start = async |pools: &[(&str, &str, usize)]| {
        let pools = pools.iter().map(|(name, queue, concurrency)| Pool {
            name: (*name).to_owned(),
            queues: vec![(*queue).to_owned()],
            concurrency: *concurrency,
        });
        Worker::builder(world.pool.clone(), registry(), Stage::default())
            .pools(pools.collect())
            .start()
            .await
    };
    let idle = start(&[("a", "stage", 0)]).await;
    assert!(matches!(idle, Err(StartError::Idle(pool)) if pool == "a"));
    let shared = start(&[("a", "stage", 1), ("b", "stage", 1)]).await;
    assert!(matches!(shared, Err(StartError::Shared(queue)) if queue == "stage"));
}
