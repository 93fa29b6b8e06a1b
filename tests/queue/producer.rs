//! Single enqueues that share commits: each caller hears of its own job, whatever happens to the others.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use queue::{Enqueue, EnqueueError, Enqueued, JobId, Key, Producer, Wake, enqueue, job};
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::task::JoinHandle;

use super::cast::{Act, Only, count, until};
use crate::harness::World;
use crate::processes::proxy::Line;

type Answer = Result<Enqueued, EnqueueError>;

/// Waits until so many statements wait for the lock on the live jobs.
const ONE_WAITS: &str =
    "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'queue.job'::regclass AND NOT granted)";

fn producer(pool: &PgPool) -> Producer {
    Producer::new(pool.clone(), Wake::new(pool.clone()))
}

fn note(text: impl Into<String>) -> Act {
    Act::Note(text.into())
}

fn ask(producer: &Producer, job: impl Into<Enqueue>) -> JoinHandle<Answer> {
    let (producer, job) = (producer.clone(), job.into());
    tokio::spawn(async move { producer.enqueue(job).await })
}

async fn answers(asked: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let all = tokio::time::timeout(Duration::from_secs(40), join_all(asked)).await;
    let all = all.expect("every caller is answered");
    all.into_iter().map(Result::unwrap).collect()
}

async fn payload(pool: &PgPool, job: JobId) -> Act {
    let sql = "SELECT payload::text FROM queue.job WHERE id = $1";
    let payload: String = sqlx::query_scalar(sql)
        .bind(job)
        .fetch_one(pool)
        .await
        .unwrap();
    serde_json::from_str(&payload).unwrap()
}

/// In how many transactions the live jobs were enqueued.
async fn commits(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM queue.job")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// A call as a property test has it.
#[derive(Debug, Clone)]
struct Call {
    text: String,
    key: Option<u8>,
    later: bool,
    priority: i16,
}

impl Call {
    fn job(&self, number: usize) -> Enqueue {
        let mut job = job(&note(format!("{number} {}", self.text))).priority(self.priority);
        if let Some(key) = self.key {
            job = job.key(Key::of(key));
        }
        if self.later {
            job = job.after(Duration::from_secs(3600));
        }
        job
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let text = prop_oneof![
        8 => "\\PC{0,40}",
        1 => Just("\0".to_owned()),
        1 => Just("poison".to_owned()),
        1 => Just("\\ \t\n\r \\N {} \" ' \\u0000".to_owned()),
    ];
    let key = prop::option::weighted(0.2, 0..3_u8);
    let call = (text, key, any::<bool>(), -3..3_i16);
    let call = call.prop_map(|(text, key, later, priority)| Call {
        text,
        key,
        later,
        priority,
    });
    prop::collection::vec(call, 1..120)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_callers_is_told_of_its_own_job_or_its_own_error() {
    let world = World::new().await;
    sqlx::raw_sql(
        "ALTER TABLE queue.job ADD CONSTRAINT healthy CHECK (payload::text NOT LIKE '%poison%')",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let mut runner = TestRunner::default();
    for _ in 0..24 {
        let calls = calls().new_tree(&mut runner).unwrap().current();
        let producer = producer(&world.pool);
        let asked = calls.iter().enumerate();
        let asked = asked.map(|(number, call)| ask(&producer, call.job(number)));
        let answers = answers(asked.collect()).await;

        let mut told = HashSet::new();
        for ((number, call), answer) in calls.iter().enumerate().zip(&answers) {
            match answer {
                Err(EnqueueError::Nul("act")) => assert!(call.text.contains('\0')),
                Err(EnqueueError::Database(sqlx::Error::Database(error))) => {
                    assert_eq!(error.constraint(), Some("healthy"));
                    assert!(call.text.contains("poison"));
                }
                Ok(Enqueued::New(id)) => {
                    assert!(told.insert(*id), "two callers were told of {id}");
                    let expected = note(format!("{number} {}", call.text));
                    let kept = payload(&world.pool, *id).await;
                    assert_eq!(format!("{kept:?}"), format!("{expected:?}"));
                    let (state, priority): (i16, i16) =
                        sqlx::query_as("SELECT state, priority FROM queue.job WHERE id = $1")
                            .bind(*id)
                            .fetch_one(&world.pool)
                            .await
                            .unwrap();
                    assert_eq!((state == 1, priority), (call.later, call.priority));
                }
                Ok(Enqueued::Exists(id)) => {
                    assert!(call.key.is_some(), "{id} is not there twice");
                }
                other => panic!("{call:?}: {other:?}"),
            }
        }
        let exist = answers.iter().flatten().map(|enqueued| enqueued.id());
        assert_eq!(exist.collect::<HashSet<_>>(), told);
        assert_eq!(
            usize::try_from(count(&world.pool).await).unwrap(),
            told.len()
        );
        sqlx::raw_sql("DELETE FROM queue.job")
            .execute(&world.pool)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_come_while_others_are_written_share_a_commit() {
    let world = World::new().await;
    let producer = producer(&world.pool);
    for number in 0..3 {
        producer.enqueue(&note(number.to_string())).await.unwrap();
    }
    assert_eq!(commits(&world.pool).await, 3);

    let mut tx = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE queue.job IN SHARE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let asked = (0..300).map(|number| ask(&producer, &note(format!("late {number}"))));
    let asked = asked.collect();
    until(&world.pool, ONE_WAITS).await;
    tx.commit().await.unwrap();

    assert!(answers(asked).await.iter().all(Result::is_ok));
    assert_eq!(count(&world.pool).await, 303);
    let commits = commits(&world.pool).await - 3;
    assert!(commits <= 30, "300 jobs took {commits} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_callers_at_one_key_one_enqueues_and_the_policy_of_the_key_is_kept() {
    let world = World::new().await;
    let producer = producer(&world.pool);
    let only = |text: &str| Only {
        number: 7,
        text: text.to_owned(),
    };

    let asked = (0..64).map(|number| ask(&producer, &only(&number.to_string())));
    let answers = answers(asked.collect()).await;
    let new = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Enqueued::New(_))));
    assert_eq!(new.count(), 1);
    let ids: HashSet<_> = answers.into_iter().map(|one| one.unwrap().id()).collect();
    assert_eq!(ids.len(), 1);

    let replacing = job(&only("replaced")).key(Key::of(7).replacing());
    let replaced = producer.enqueue(replacing).await.unwrap();
    assert!(matches!(replaced, Enqueued::Exists(id) if ids.contains(&id)));
    let text: String = sqlx::query_scalar("SELECT payload ->> 'text' FROM queue.job")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(text, "replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_somebody_holds_keeps_only_its_own_callers_waiting() {
    let world = World::new().await;
    let producer = producer(&world.pool);
    let held = Only {
        number: 1,
        text: "held".into(),
    };
    let mut tx = world.pool.begin().await.unwrap();
    let holder = enqueue(&mut tx, &held).await.unwrap().id();

    let waiting = (0..8).map(|_| ask(&producer, &held)).collect();
    until(
        &world.pool,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)",
    )
    .await;
    for number in 0..10 {
        producer.enqueue(&note(number.to_string())).await.unwrap();
    }

    tx.commit().await.unwrap();
    for answer in answers(waiting).await {
        assert_eq!(answer.unwrap(), Enqueued::Exists(holder));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_spoils_nothing() {
    let world = World::new().await;
    let producer = producer(&world.pool);
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE queue.job IN SHARE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let stay = (0..20).map(|number| ask(&producer, &note(format!("stays {number}"))));
    let stay = stay.collect();
    for number in 0..20 {
        let act = note(format!("goes {number}"));
        let mut going = Box::pin(producer.enqueue(&act));
        assert!(futures::poll!(&mut going).is_pending());
        drop(going);
    }
    tx.commit().await.unwrap();

    assert!(answers(stay).await.iter().all(Result::is_ok));
    producer.close().await;
    // What was handed over is enqueued, heard of or not.
    assert_eq!(count(&world.pool).await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_writes_what_was_taken_and_takes_nothing_more() {
    let world = World::new().await;
    let producer = producer(&world.pool);
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE queue.job IN SHARE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let acts: Vec<Act> = (0..50).map(|number| note(number.to_string())).collect();
    let mut taken: Vec<_> = acts
        .iter()
        .map(|act| Box::pin(producer.enqueue(act)))
        .collect();
    for call in &mut taken {
        assert!(futures::poll!(call).is_pending());
    }
    let closing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.close().await }
    });
    until(&world.pool, ONE_WAITS).await;
    tx.commit().await.unwrap();

    closing.await.unwrap();
    assert_eq!(count(&world.pool).await, 50);
    assert!(join_all(taken).await.iter().all(Result::is_ok));
    let late = producer.enqueue(&note("late")).await;
    assert!(matches!(late, Err(EnqueueError::Closed)), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_in_the_commit_leaves_it_open_and_sends_nothing_twice() {
    let world = World::new().await;
    let line = Line::to(world.database_url()).await;
    // One connection, on which the statement is known: on a new one it would wait before it can be sent.
    let through = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy(&line.url)
        .unwrap();
    let producer = producer(&through);
    producer.enqueue(&note("before")).await.unwrap();
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE queue.job IN SHARE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let asked = ask(&producer, &note("caught"));
    until(&world.pool, ONE_WAITS).await;

    line.cut();
    let caught = answers(vec![asked]).await.remove(0);
    assert!(
        matches!(caught, Err(EnqueueError::Unknown(_))),
        "{caught:?}"
    );
    line.mend();
    let after = ask(&producer, &note("after"));
    tx.commit().await.unwrap();
    let after = answers(vec![after]).await.remove(0);
    assert!(after.is_ok(), "{after:?}");

    // The server went on without us: what nobody heard of is there, once.
    until(
        &world.pool,
        "SELECT count(*) = 3 FROM queue.job WHERE payload ->> 'Note' IN ('before', 'caught', 'after')",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_no_to_all_says_so_for_certain() {
    let world = World::new().await;
    let producer = producer(&world.pool);
    producer.enqueue(&note("before")).await.unwrap();
    // As when a disk is full.
    sqlx::raw_sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'no space' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON queue.job EXECUTE FUNCTION full_disk()",
    )
    .execute(&world.pool)
    .await
    .unwrap();

    let asked = (0..20).map(|number| ask(&producer, &note(number.to_string())));
    for answer in answers(asked.collect()).await {
        let error = answer.unwrap_err();
        let certain = matches!(
            error,
            EnqueueError::NotWritten(_) | EnqueueError::Database(_)
        );
        assert!(certain, "{error:?}");
        let code = error.database().and_then(sqlx::Error::as_database_error);
        assert_eq!(
            code.and_then(|error| error.code()).as_deref(),
            Some("53100")
        );
    }
    assert_eq!(count(&world.pool).await, 1);

    sqlx::raw_sql("DROP TRIGGER full_disk ON queue.job")
        .execute(&world.pool)
        .await
        .unwrap();
    producer.enqueue(&note("again")).await.unwrap();
}

#[tokio::test]
async fn workers_elsewhere_are_told_after_the_commit() {
    let world = World::new().await;
    let mut listener = PgListener::connect_with(&world.pool).await.unwrap();
    listener.listen("leadmill_queue").await.unwrap();

    let id = producer(&world.pool).enqueue(&note("told")).await.unwrap();

    let told = tokio::time::timeout(Duration::from_secs(30), listener.recv()).await;
    told.expect("others are told").unwrap();
    assert!(matches!(id, Enqueued::New(_)));
}

#[tokio::test]
async fn a_job_that_comes_alone_is_told_of_by_its_own_commit() {
    let world = World::new().await;
    let mut listener = PgListener::connect_with(&world.pool).await.unwrap();
    listener.listen("leadmill_queue").await.unwrap();
    let closed = PgPoolOptions::new().connect_lazy_with((*world.pool.connect_options()).clone());
    closed.close().await;
    let producer = Producer::new(world.pool.clone(), Wake::new(closed));

    producer.enqueue(&note("alone")).await.unwrap();

    let told = tokio::time::timeout(Duration::from_secs(30), listener.recv()).await;
    told.expect("others are told without another transaction")
        .unwrap();
}

#[tokio::test]
async fn what_is_enqueued_right_after_is_told_of_too() {
    let world = World::new().await;
    let mut listener = PgListener::connect_with(&world.pool).await.unwrap();
    listener.listen("leadmill_queue").await.unwrap();
    let producer = producer(&world.pool);

    producer.enqueue(&note("first")).await.unwrap();
    let second = job(&note("second")).key(Key::of(2));
    producer.enqueue(second).await.unwrap();

    for which in ["first", "second"] {
        let told = tokio::time::timeout(Duration::from_secs(30), listener.recv()).await;
        told.expect(which).unwrap();
    }
}
