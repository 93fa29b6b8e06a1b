//! Jobs that tell the outside observer what they do.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use queue::{Attempt, Backoff, Job, JobResult, Key, Outcome, Registry, StaleClaim};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgPool};

use super::clock;
use super::journal::{Build, End, Journal, Seen};
use super::store;

/// Where jobs wait that can be done.
pub(super) const QUEUE: &str = "chaos";
/// Where those wait that cannot.
pub(super) const POISON_QUEUE: &str = "chaos_poison";
/// The attempts that a poison has.
pub(super) const POISON_ATTEMPTS: u16 = 3;
/// The attempts of everything else: more than faults can take.
const ATTEMPTS: u16 = 200;
/// After a failed attempt.
const BACKOFF: Backoff = Backoff::fixed(Duration::from_millis(300));
/// So much is asked for at once by a job that wants all memory.
const MOUTHFUL: usize = 64 << 20;

/// What jobs need to run.
#[derive(Debug, Clone)]
pub(super) struct Ctx {
    pub(super) pool: PgPool,
    pub(super) journal: Arc<Journal>,
    pub(super) build: Build,
}

impl Ctx {
    /// One attempt at something that takes `time`, with one effect in the middle of it.
    async fn attempt(&self, number: u64, time: Duration, attempt: &Attempt) -> JobResult {
        let epoch = attempt.epoch;
        self.journal.saw(Seen::Start {
            number,
            job: attempt.job.0,
            epoch,
            attempt: attempt.number,
            max: attempt.max,
            build: self.build,
        })?;
        tokio::time::sleep(time / 2).await;
        match self.effect(number, attempt).await {
            Ok(order) => {
                self.journal.saw(Seen::Effect {
                    number,
                    epoch,
                    order,
                })?;
            }
            Err(StaleClaim::Gone(_)) => {
                self.journal.saw(Seen::Refused { number, epoch })?;
                // It goes on as one that never asks would: what it tells in the end must be refused as well.
            }
            Err(error) => {
                let how = End::Failed;
                self.journal.saw(Seen::End { number, epoch, how })?;
                return Err(error.into());
            }
        }
        tokio::time::sleep(time / 2).await;
        let how = End::Done;
        self.journal.saw(Seen::End { number, epoch, how })?;
        let worker = self.journal.by();
        Ok(Outcome::DoneWith(serde_json::json!({
            "number": number, "epoch": epoch, "attempt": attempt.number, "worker": worker,
        })))
    }

    async fn effect(&self, number: u64, attempt: &Attempt) -> Result<i64, StaleClaim> {
        let mut db = self.pool.acquire().await?;
        let made = async {
            let mut tx = db.begin().await?;
            attempt.fence(&mut tx).await?;
            let order = store::effect(&mut tx, number, attempt.epoch, clock::believed()).await?;
            tx.commit().await?;
            Ok(order)
        };
        let made = tokio::time::timeout(Duration::from_secs(5), made).await;
        let made = made.unwrap_or(Err(StaleClaim::Database(sqlx::Error::PoolTimedOut)));
        if matches!(made, Err(StaleClaim::Database(_))) {
            drop(db.detach());
        }
        made
    }
}

macro_rules! work {
    ($(#[$doc:meta])* $type:ident, $name:literal, $version:literal) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, Deserialize)]
        pub(super) struct $type {
            pub(super) number: u64,
            pub(super) millis: u64,
            pub(super) key: Option<String>,
        }

        impl Job for $type {
            const NAME: &'static str = $name;
            const QUEUE: &'static str = QUEUE;
            const VERSION: u16 = $version;
            const MAX_ATTEMPTS: u16 = ATTEMPTS;
            const BACKOFF: Backoff = BACKOFF;
            type Ctx = Ctx;

            fn key(&self) -> Option<Key> {
                self.key.as_deref().map(Key::of)
            }

            async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
                let time = Duration::from_millis(self.millis);
                ctx.attempt(self.number, time, attempt).await
            }
        }
    };
}

work!(
    /// Everyday work.
    Work, "chaos_work", 1
);
work!(
    /// A kind whose payload changes with a deploy, as the old program knows it.
    MixedOld, "chaos_mixed", 1
);
work!(
    /// The same kind, as the new program knows it.
    MixedNew, "chaos_mixed", 2
);
work!(
    /// A kind that only the new program knows.
    Novel, "chaos_novel", 1
);

/// What recurs every minute, whatever the clocks of the workers say.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Minute {
    pub(super) due: DateTime<Utc>,
}

impl Job for Minute {
    const NAME: &'static str = "chaos_minute";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: u16 = ATTEMPTS;
    const BACKOFF: Backoff = BACKOFF;
    type Ctx = Ctx;

    async fn run(&self, _: &Ctx, _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

/// How a job harms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Harm {
    /// Its process ends at once.
    Abort,
    /// It panics.
    Panic,
    /// It takes all the memory that its process may have.
    Hog,
}

/// A job that harms whoever runs it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Poison {
    pub(super) number: u64,
    pub(super) harm: Harm,
}

impl Job for Poison {
    const NAME: &'static str = "chaos_poison";
    const QUEUE: &'static str = POISON_QUEUE;
    const MAX_ATTEMPTS: u16 = POISON_ATTEMPTS;
    const BACKOFF: Backoff = BACKOFF;
    type Ctx = Ctx;

    #[expect(clippy::panic, reason = "that is what it is for")]
    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let (number, epoch) = (self.number, attempt.epoch);
        ctx.journal.saw(Seen::Start {
            number,
            job: attempt.job.0,
            epoch,
            attempt: attempt.number,
            max: attempt.max,
            build: ctx.build,
        })?;
        let how = match self.harm {
            Harm::Panic => End::Failed,
            Harm::Abort | Harm::Hog => End::Deadly,
        };
        ctx.journal.saw(Seen::End { number, epoch, how })?;
        match self.harm {
            Harm::Panic => panic!("a poison"),
            Harm::Abort => std::process::abort(),
            Harm::Hog => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(Vec::<u8>::with_capacity(MOUTHFUL));
                }
            }
        }
    }
}

/// What is enqueued that [`Garbled`] cannot read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Garble {
    pub(super) number: u64,
    pub(super) when: String,
}

/// A job whose payload is never one of it.
#[derive(Debug, Serialize, Deserialize)]
struct Garbled {
    number: u64,
    when: u64,
}

impl Job for Garble {
    const NAME: &'static str = Garbled::NAME;
    const QUEUE: &'static str = Garbled::QUEUE;
    const MAX_ATTEMPTS: u16 = Garbled::MAX_ATTEMPTS;
    type Ctx = Ctx;

    async fn run(&self, _: &Ctx, _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

impl Job for Garbled {
    const NAME: &'static str = "chaos_garbled";
    const QUEUE: &'static str = POISON_QUEUE;
    const MAX_ATTEMPTS: u16 = POISON_ATTEMPTS;
    const BACKOFF: Backoff = BACKOFF;
    type Ctx = Ctx;

    async fn run(&self, _: &Ctx, _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

/// What a worker of this build knows.
pub(super) fn registry(build: Build) -> Registry<Ctx> {
    let all = Registry::new()
        .add::<Work>()
        .add::<Minute>()
        .add::<Poison>()
        .add::<Garbled>();
    match build {
        Build::Old => all.add::<MixedOld>(),
        Build::New => all.add::<MixedNew>().add::<Novel>(),
    }
}
