//! The life of jobs against a model of it: whatever is done to them in whatever order, the tables are what it says.

mod model;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use queue::admin::{self, Scope};
use queue::{
    Attempt, Backoff, Enqueued, Job, JobResult, Key, Outcome, Pool, Registry, Worker, drain,
    enqueue, enqueue_many,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::cast::until;
use crate::harness::World;
use model::{Clash, Model, New};

/// What a job does each time it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    Done,
    Fail,
    Again,
    Snooze,
    Skip,
    Discard,
    Panic,
}

impl Job for Step {
    const NAME: &'static str = "step";
    const QUEUE: &'static str = "steps";
    const MAX_ATTEMPTS: u16 = 3;
    const BACKOFF: Backoff = Backoff::fixed(Duration::from_secs(3600));
    type Ctx = ();

    async fn run(&self, (): &(), _: &Attempt) -> JobResult {
        Ok(match self {
            Self::Done => Outcome::Done,
            Self::Fail => anyhow::bail!("no"),
            Self::Again => Outcome::retry_after(Duration::ZERO, anyhow::anyhow!("again")),
            Self::Snooze => Outcome::snooze(Duration::from_secs(3600)),
            Self::Skip => Outcome::skip("nothing to do"),
            Self::Discard => Outcome::discard("can never work"),
            Self::Panic => panic!("as told"),
        })
    }
}

/// What no worker here knows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Strange {}

impl Job for Strange {
    const NAME: &'static str = "strange";
    const QUEUE: &'static str = Step::QUEUE;
    type Ctx = ();

    async fn run(&self, (): &(), _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

/// Something that is done. Jobs are named by their place among all that ever were.
#[derive(Debug, Clone)]
enum Op {
    Enqueue(New),
    /// In a transaction that is rolled back.
    EnqueueAndLose(New),
    EnqueueMany(Vec<Step>),
    /// Of a kind that nobody knows.
    EnqueueStrange,
    Drain,
    /// The time of a job comes.
    ComeDue(prop::sample::Index),
    Retry(prop::sample::Index),
    Cancel(prop::sample::Index),
    Delete(prop::sample::Index),
    Pause,
    Resume,
    /// A process takes so many jobs and dies.
    Die(usize),
    Rescue,
}

fn steps() -> impl Strategy<Value = Step> {
    prop::sample::select(vec![
        Step::Done,
        Step::Fail,
        Step::Again,
        Step::Snooze,
        Step::Skip,
        Step::Discard,
        Step::Panic,
    ])
}

fn news() -> impl Strategy<Value = New> {
    let clash = prop::sample::select(vec![Clash::Ignore, Clash::Replace, Clash::Postpone]);
    let key = prop::option::of((0..2_u8, clash));
    (steps(), key, -1..=1_i16, prop::bool::weighted(0.3)).prop_map(
        |(step, key, priority, later)| New {
            step,
            key,
            priority,
            later,
        },
    )
}

fn ops() -> impl Strategy<Value = Op> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        6 => news().prop_map(Op::Enqueue),
        1 => news().prop_map(Op::EnqueueAndLose),
        1 => prop::collection::vec(steps(), 0..4).prop_map(Op::EnqueueMany),
        1 => Just(Op::EnqueueStrange),
        5 => Just(Op::Drain),
        4 => which().prop_map(Op::ComeDue),
        2 => which().prop_map(Op::Retry),
        2 => which().prop_map(Op::Cancel),
        1 => which().prop_map(Op::Delete),
        1 => Just(Op::Pause),
        2 => Just(Op::Resume),
        2 => (1..3_usize).prop_map(Op::Die),
        2 => Just(Op::Rescue),
    ]
}

#[test]
fn whatever_is_done_to_jobs_leaves_what_the_model_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::new());
    let config = Config {
        cases: std::env::var("PROPTEST_CASES").map_or(40, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(ops(), 1..40), |ops| {
        runtime.block_on(play(&world.pool, &ops))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let _inside = runtime.enter();
    drop(world);
}

async fn play(pool: &PgPool, ops: &[Op]) -> Result<(), TestCaseError> {
    sqlx::raw_sql("TRUNCATE queue.job, queue.job_history, queue.node, queue.rule RESTART IDENTITY")
        .execute(pool)
        .await
        .unwrap();
    let mut model = Model::default();
    for (number, op) in ops.iter().enumerate() {
        let said = act(pool, &mut model, op).await;
        prop_assert!(
            said.0 == said.1,
            "{number}: {op:?} said {} for {}",
            said.0,
            said.1
        );
        let (is, ought) = (table(pool).await, model.table());
        prop_assert!(is == ought, "{number}: {op:?} left {is:#?} for {ought:#?}");
    }
    Ok(())
}

/// Does it; gives what was said, and what the model says.
async fn act(pool: &PgPool, model: &mut Model, op: &Op) -> (String, String) {
    let mut db = pool.acquire().await.unwrap();
    let pick = |index: &prop::sample::Index| index.index(model.made.max(1)) as i64 + 1;
    match op {
        Op::Enqueue(new) => {
            let said = builder(new).enqueue(&mut db).await.unwrap();
            (format!("{said:?}"), format!("{:?}", model.enqueue(new)))
        }
        Op::EnqueueAndLose(new) => {
            let mut tx = pool.begin().await.unwrap();
            let said = builder(new).enqueue(&mut tx).await.unwrap();
            tx.rollback().await.unwrap();
            // A number that was given is not given again.
            let exists = matches!(said, Enqueued::Exists(_));
            (exists.to_string(), model.lose(new).to_string())
        }
        Op::EnqueueMany(steps) => {
            let said = enqueue_many(&mut db, steps).await.unwrap();
            (said.to_string(), model.enqueue_many(steps).to_string())
        }
        Op::EnqueueStrange => {
            let said = enqueue(&mut db, &Strange {}).await.unwrap();
            (format!("{said:?}"), format!("{:?}", model.strange()))
        }
        Op::Drain => {
            drop(db);
            let registry = Registry::new().add::<Step>();
            let drained = drain(pool, &registry, &()).await.unwrap();
            let runs = drained.runs.iter().map(|ran| (ran.job.0, ran.outcome));
            let runs: Vec<_> = runs.collect();
            (format!("{runs:?}"), format!("{:?}", model.drain()))
        }
        Op::ComeDue(index) => {
            let due =
                sqlx::query("UPDATE queue.job SET run_at = now() WHERE id = $1 AND state = 1");
            let job = pick(index);
            let due = due.bind(job).execute(&mut *db).await.unwrap();
            (
                due.rows_affected().to_string(),
                u64::from(model.come_due(job)).to_string(),
            )
        }
        Op::Retry(index) => {
            let job = pick(index);
            (told(admin::retry(&mut db, job).await), model.retry(job))
        }
        Op::Cancel(index) => {
            let job = pick(index);
            let said = admin::cancel(&mut db, job, "not wanted").await;
            (told(said), model.cancel(job))
        }
        Op::Delete(index) => {
            let job = pick(index);
            (told(admin::delete(&mut db, job).await), model.delete(job))
        }
        Op::Pause => {
            admin::pause(&mut db, Scope::Queue, Step::QUEUE)
                .await
                .unwrap();
            model.paused = true;
            Default::default()
        }
        Op::Resume => {
            admin::resume(&mut db, Scope::Queue, Step::QUEUE)
                .await
                .unwrap();
            model.paused = false;
            Default::default()
        }
        Op::Die(count) => {
            drop(db);
            let died = die(pool, *count).await;
            (format!("{died:?}"), format!("{:?}", model.die(*count)))
        }
        Op::Rescue => {
            drop(db);
            let back = model.rescue();
            rescue(pool, &back).await;
            Default::default()
        }
    }
}

fn builder(new: &New) -> queue::Enqueue {
    let mut builder = queue::job(&new.step).priority(new.priority);
    if new.later {
        builder = builder.after(Duration::from_secs(3600));
    }
    match new.key {
        None => builder,
        Some((key, Clash::Ignore)) => builder.key(Key::of(key)),
        Some((key, Clash::Replace)) => builder.key(Key::of(key).replacing()),
        Some((key, Clash::Postpone)) => builder.key(Key::of(key).debounced()),
    }
}

fn told(said: Result<admin::Act, admin::Refused>) -> String {
    match said {
        Ok(act) => format!("{act:?}"),
        Err(refused) => refused.to_string(),
    }
}

/// The first jobs that are ready are claimed by a process of which nothing is heard any more.
async fn die(pool: &PgPool, count: usize) -> Vec<i64> {
    let mut died: Vec<i64> = sqlx::query_scalar(
        "WITH dead AS (
            INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
            VALUES ('dead', 1, '0', '{steps}', '{step}', now() - interval '1 second') RETURNING id
         ), claimed AS (
            UPDATE queue.job SET attempt = attempt + 1, epoch = epoch + 1, started_at = now(),
                lease_by = (SELECT id FROM dead)
            WHERE id IN (SELECT id FROM queue.job WHERE state = 0 AND lease_by IS NULL
                ORDER BY priority, run_at, id LIMIT $1)
            RETURNING id
         ), noted AS (
            INSERT INTO queue.claim (node, number, jobs)
            SELECT (SELECT id FROM dead), 1, array_agg(id) FROM claimed HAVING count(*) > 0
         )
         SELECT id FROM claimed",
    )
    .bind(i64::try_from(count).unwrap())
    .fetch_all(pool)
    .await
    .unwrap();
    died.sort_unstable();
    died
}

/// A process that has nothing else to do takes back what dead ones held; the times at which it comes due again, which are
/// left to chance, are then those of the model.
async fn rescue(pool: &PgPool, back: &[i64]) {
    let idle = Pool {
        name: "idle".into(),
        queues: vec!["idle".into()],
        concurrency: 1,
    };
    let running = Worker::builder(pool.clone(), Registry::<()>::new(), ())
        .pools(vec![idle])
        .start()
        .await
        .unwrap();
    let settled = "SELECT NOT EXISTS
        (SELECT FROM queue.job WHERE lease_by IS NOT NULL OR state = 1 AND run_at <= now())";
    until(pool, settled).await;
    running.stop(Duration::from_secs(5)).await;
    sqlx::query(
        "UPDATE queue.job SET state = 1, run_at = now() + interval '1 hour' WHERE id = ANY ($1)",
    )
    .bind(back)
    .execute(pool)
    .await
    .unwrap();
}

/// What the database has: live jobs and finished ones, a line each.
async fn table(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT line FROM (
            SELECT 1 AS part, id, format('%s %s %s %s p%s a%s e%s k%s %s errors stop %s', id, kind, payload,
                queue.state_name(state, lease_by), priority, attempt, epoch, unique_key,
                jsonb_array_length(errors), cancel_reason IS NOT NULL) AS line
            FROM queue.job
            UNION ALL
            SELECT 2, id, format('%s %s %s %s p%s a%s k%s %s errors from %s', id, kind, payload, outcome, priority,
                attempt, unique_key, jsonb_array_length(errors), retried_from)
            FROM queue.job_history
         ) lines ORDER BY part, id",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}
