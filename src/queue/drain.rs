//! Run everything that is due, here and now: how tests work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool};

use crate::exchange::claim_all;
use crate::execute::{self, execute};
use crate::ruled::Limited;
use crate::store::claim::{self, Claimed, Glance, Want};
use crate::store::settle::{Fate, settle};
use crate::store::{self, node};
use crate::{Cancel, JobId, Registry};

/// How long the work may take before it looks as if the process had died.
const LEASE: Duration = Duration::from_secs(600);
/// More runs than this are a job that enqueues itself for ever.
const MOST_RUNS: usize = 10_000;
const BATCH: usize = 50;
/// How long to wait for a job that somebody else holds, as a transaction does that is just being rolled back.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether it is free.
const LOOK: Duration = Duration::from_millis(2);

/// What was run, in order.
#[derive(Debug, Default)]
pub struct Drained {
    /// One entry an attempt.
    pub runs: Vec<Ran>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The job.
    pub job: JobId,
    /// Its kind; `None` if it is not in the registry.
    pub kind: Option<&'static str>,
    /// `completed`, `skipped`, `discarded`, `retried`, `snoozed` or `parked`.
    pub outcome: &'static str,
    /// What went wrong, or why there was nothing to do.
    pub said: Option<String>,
}

/// Why not everything could be run.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The database refused.
    #[error("could not work on the queue")]
    Database(#[from] sqlx::Error),
    /// There is always one more.
    #[error("still something due after {MOST_RUNS} attempts")]
    Endless,
}

impl Drained {
    /// How many attempts were made at jobs of this kind.
    pub fn count(&self, kind: &str) -> usize {
        let runs = self.runs.iter();
        runs.filter(|ran| ran.kind == Some(kind)).count()
    }

    /// What went wrong, by kind.
    pub fn failures(&self) -> Vec<(&'static str, String)> {
        let failed = self.runs.iter().filter(|ran| {
            let failed = ["retried", "discarded", "parked"];
            failed.contains(&ran.outcome)
        });
        failed
            .map(|ran| {
                (
                    ran.kind.unwrap_or("unknown"),
                    ran.said.clone().unwrap_or_default(),
                )
            })
            .collect()
    }
}

/// Runs everything that is due, one after the other in the order of the queue, until nothing is: what jobs enqueue
/// meanwhile included, what waits for its time not.
pub async fn drain<Ctx: Clone + Send + Sync + 'static>(
    pool: &PgPool,
    registry: &Registry<Ctx>,
    ctx: &Ctx,
) -> Result<Drained, DrainError> {
    let mut wants: Vec<Want> = registry
        .queues()
        .into_iter()
        .map(|queue| Want::first(Arc::from(queue), BATCH))
        .collect();
    let (kinds, versions) = registry.understood();
    let about = node::About {
        host: "drain".to_owned(),
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues: wants.iter().map(|want| want.queue.to_string()).collect(),
        kinds: kinds.clone(),
        schedules: Vec::new(),
    };
    let mut db = pool.acquire().await?;
    let node = node::register(&mut db, &about, LEASE).await?;
    claim::unpark(&mut db, &kinds, &versions).await?;
    drop(db);

    let mut drained = Drained::default();
    let mut held_since = None;
    loop {
        let mut db = pool.acquire().await?;
        while claim::promote(&mut db, store::MOST_PROMOTED).await? > 0 {}
        let glances = claim::look(&mut db, &about.queues, None).await?;
        for want in &mut wants {
            let glance = glances.iter().find(|glance| *glance.queue == *want.queue);
            want.way = glance.and_then(Glance::way);
        }
        let claimed = claim(&mut db, node, &wants).await?;
        if claimed.is_empty() {
            let is_held = glances.iter().any(|glance| glance.ready_seconds.is_some());
            let since = *held_since.get_or_insert_with(Instant::now);
            if !is_held || since.elapsed() > PATIENCE {
                break;
            }
            drop(db);
            tokio::time::sleep(LOOK).await;
            continue;
        }
        held_since = None;
        drop(db);
        for job in claimed {
            let id = job.id;
            let executed = execute(registry, ctx, job, Cancel::default()).await;
            let fate = &executed.settlement.fate;
            drained.runs.push(Ran {
                job: id,
                kind: executed.kind,
                outcome: execute::label(fate),
                said: said(fate),
            });
            let mut tx = pool.begin().await?;
            settle(&mut tx, &[executed.settlement]).await?;
            tx.commit().await?;
        }
        if drained.runs.len() > MOST_RUNS {
            return Err(DrainError::Endless);
        }
    }
    let mut db = pool.acquire().await?;
    node::resign(&mut db, node).await?;
    node::bury(&mut db).await?;
    Ok(drained)
}

async fn claim(db: &mut PgConnection, node: i64, wants: &[Want]) -> sqlx::Result<Vec<Claimed>> {
    let mut tx = db.begin().await?;
    if let Some(limited) = Limited::of(wants) {
        limited.lock(&mut tx).await?;
    }
    let claims = claim_all(&mut tx, node, wants, &[]).await?;
    tx.commit().await?;
    let mut jobs = claims.jobs;
    for (_, mut round) in claims.rounds {
        jobs.append(&mut round.jobs);
    }
    Ok(jobs)
}

fn said(fate: &Fate) -> Option<String> {
    match fate {
        Fate::Retry { error, .. } => Some(error.clone()),
        Fate::Finished { reason, error, .. } => error.clone().or_else(|| reason.clone()),
        Fate::Done | Fate::Snooze { .. } | Fate::Cancel | Fate::Release | Fate::Park => None,
    }
}
