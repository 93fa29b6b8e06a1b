//! Jobs that do as they are told, and what they note down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use queue::{
    Attempt, Backoff, Job, JobId, JobResult, Key, Outcome, Pool, Registry, Running, StaleClaim,
    Worker,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::harness::World;

/// What jobs of tests share.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    /// What was noted, in order.
    notes: Arc<Mutex<Vec<String>>>,
    /// Told at each note.
    pub noted: Arc<Notify>,
    /// Lets one job go on that holds.
    pub go: Arc<Notify>,
}

impl Stage {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap().push(text.into());
        self.noted.notify_one();
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    /// Waits until so many notes are there.
    pub(crate) async fn until(&self, count: usize) {
        let all = async {
            while self.notes.lock().unwrap().len() < count {
                self.noted.notified().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), all).await;
        assert!(waited.is_ok(), "only these notes came: {:?}", self.notes());
    }
}

/// Does what its payload says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Act {
    Note(String),
    Give(Value),
    Skip,
    Discard,
    Snooze,
    Fail(String),
    RetrySoon,
    Panic,
    /// Notes that it began, waits until it is let go, and notes that it ended.
    Hold(String),
    /// Notes that it began, waits until it is asked to stop, and stops.
    Heed,
    /// Notes that it began, waits until it is asked to stop, and says that it can never work, or that there is nothing to do.
    HeedAndSay {
        never: bool,
    },
    /// Asks for the longest wait that there is, as one that failed or not.
    WaitForEver {
        failed: bool,
    },
    /// Writes these lines, and fails if it is told to.
    Log(Vec<String>, bool),
}

impl Job for Act {
    const NAME: &'static str = "act";
    const QUEUE: &'static str = "stage";
    const ALIASES: &'static [&'static str] = &["former_act"];
    const MAX_ATTEMPTS: u16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(20);
    const BACKOFF: Backoff = Backoff::fixed(Duration::from_secs(3600));
    type Ctx = Stage;

    async fn run(&self, stage: &Stage, attempt: &Attempt) -> JobResult {
        match self {
            Self::Note(text) => stage.note(text),
            Self::Give(value) => return Ok(Outcome::DoneWith(value.clone())),
            Self::Skip => return Ok(Outcome::skip("nothing to do")),
            Self::Discard => return Ok(Outcome::discard("can never work")),
            Self::Snooze => return Ok(Outcome::snooze(Duration::from_secs(60))),
            // No payload can have a NUL.
            Self::Fail(text) => anyhow::bail!("{}", text.replace("<NUL>", "\0")),
            Self::RetrySoon => {
                let wait = Duration::from_secs(5);
                return Ok(Outcome::retry_after(wait, anyhow::anyhow!("busy")));
            }
            Self::Panic => panic!("as told"),
            Self::Hold(text) => {
                stage.note(format!("{text} began {}", attempt.number));
                stage.go.notified().await;
                stage.note(format!("{text} ended {}", attempt.number));
            }
            Self::Heed => {
                stage.note("began");
                attempt.cancel.asked().await;
                stage.note("asked");
                anyhow::bail!("stopped");
            }
            Self::HeedAndSay { never } => {
                stage.note("began");
                attempt.cancel.asked().await;
                return Ok(if *never {
                    Outcome::discard("can never work")
                } else {
                    Outcome::skip("nothing to do")
                });
            }
            Self::WaitForEver { failed: true } => {
                let busy = anyhow::anyhow!("busy");
                return Ok(Outcome::retry_after(Duration::MAX, busy));
            }
            Self::WaitForEver { failed: false } => return Ok(Outcome::snooze(Duration::MAX)),
            Self::Log(lines, fail) => {
                for line in lines {
                    attempt.log.write(line.replace("<NUL>", "\0"));
                }
                anyhow::ensure!(!fail, "no");
            }
        }
        Ok(Outcome::Done)
    }
}

/// Gives up at once where it takes long.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hurry;

impl Job for Hurry {
    const NAME: &'static str = "hurry";
    const QUEUE: &'static str = "stage";
    const TIMEOUT: Duration = Duration::from_millis(1);
    type Ctx = Stage;

    async fn run(&self, _: &Stage, _: &Attempt) -> JobResult {
        std::future::pending().await
    }
}

/// Of each number at most one is live.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Only {
    pub number: i64,
    pub text: String,
}

impl Job for Only {
    const NAME: &'static str = "only";
    const QUEUE: &'static str = "stage";
    type Ctx = Stage;

    fn key(&self) -> Option<Key> {
        Some(Key::of(self.number))
    }

    fn lane(&self) -> Option<Uuid> {
        Some(Uuid::from_u128(self.number.unsigned_abs().into()))
    }

    async fn run(&self, stage: &Stage, _: &Attempt) -> JobResult {
        stage.note(&self.text);
        Ok(Outcome::Done)
    }
}

pub(crate) fn registry() -> Registry<Stage> {
    Registry::new().add::<Act>().add::<Hurry>().add::<Only>()
}

/// Runs so many jobs of the stage at once.
pub(crate) fn pools(concurrency: usize) -> Vec<Pool> {
    vec![Pool {
        name: "stage".into(),
        queues: vec!["stage".into()],
        concurrency,
    }]
}

/// A worker on this world's database that runs so many jobs at once.
pub(crate) async fn worker(world: &World, stage: &Stage, concurrency: usize) -> Running {
    Worker::builder(world.pool.clone(), registry(), stage.clone())
        .pools(pools(concurrency))
        .start()
        .await
        .unwrap()
}

/// Waits until the database says yes to `question`.
pub(crate) async fn until(pool: &PgPool, question: &'static str) {
    let yes = async {
        while !sqlx::query_scalar(question)
            .fetch_one(pool)
            .await
            .unwrap_or(false)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(40), yes).await;
    assert!(answer.is_ok(), "never: {question}");
}

/// A live row.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Live {
    pub state: i16,
    pub attempt: i16,
    pub epoch: i32,
    pub wait_seconds: f64,
    pub errors: Value,
}

/// The live row of a job.
pub(crate) async fn live(pool: &PgPool, job: JobId) -> Option<Live> {
    sqlx::query_as(
        "SELECT state, attempt, epoch, extract(epoch FROM run_at - now())::float8 AS wait_seconds,
            coalesce((SELECT jsonb_agg(e -> 'error') FROM jsonb_array_elements(errors) e), '[]') AS errors
         FROM queue.job WHERE id = $1",
    )
    .bind(job)
    .fetch_optional(pool)
    .await
    .unwrap()
}

/// A finished row.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Finished {
    pub outcome: String,
    pub attempt: i16,
    pub reason: Option<String>,
    pub result: Option<Value>,
    pub errors: Value,
}

/// The finished row of a job.
pub(crate) async fn finished(pool: &PgPool, job: JobId) -> Option<Finished> {
    sqlx::query_as(
        "SELECT outcome, attempt, reason, result,
            coalesce((SELECT jsonb_agg(e -> 'error') FROM jsonb_array_elements(errors) e), '[]') AS errors
         FROM queue.job_history WHERE id = $1",
    )
    .bind(job)
    .fetch_optional(pool)
    .await
    .unwrap()
}

/// Makes a scheduled job due.
pub(crate) async fn make_due(pool: &PgPool, job: JobId) {
    sqlx::query("UPDATE queue.job SET run_at = now() - interval '1 second' WHERE id = $1")
        .bind(job)
        .execute(pool)
        .await
        .unwrap();
}

pub(crate) async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM queue.job")
        .fetch_one(pool)
        .await
        .unwrap()
}

pub(crate) async fn db_now(pool: &PgPool) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Whether a job may go on under a claim, and if not, why.
pub(crate) async fn fence(db: &mut PgConnection, job: JobId, epoch: i32) -> Result<(), StaleClaim> {
    attempt(job, epoch).fence(db).await
}

/// An attempt at a job under a claim.
pub(crate) fn attempt(job: JobId, epoch: i32) -> Attempt {
    Attempt {
        job,
        epoch,
        number: 1,
        max: 3,
        queue: "stage".into(),
        kind: Act::NAME,
        lane: None,
        scheduled_at: DateTime::UNIX_EPOCH,
        created_at: DateTime::UNIX_EPOCH,
        trace: None,
        batch: None,
        progress: None,
        cancel: Default::default(),
        log: Default::default(),
    }
}
