//! What keeps the tables in order: one loop, in every process that works; doing it twice does no harm.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::patience::ask;
use crate::schedule::ledger;
use crate::store::recall::{self, Step};
use crate::store::{batch, count, history, node};

/// How often the tables are looked after.
const EVERY: Duration = Duration::from_secs(300);
/// How often all jobs are looked at for such as run nowhere and were not told of, by one of all processes.
const RECALL_EVERY: Duration = Duration::from_secs(3600);
/// How often what was noted of jobs that ended is added up.
const FOLD_EVERY: Duration = Duration::from_secs(30);
/// A round that takes longer is given up, its connection with it.
const LONGEST: Duration = Duration::from_secs(30);
/// Partitions made ahead of the day they are needed.
const DAYS_AHEAD: u16 = 7;
/// Days for which the ledger of ticks is kept.
pub(crate) const TICKS_KEPT: i32 = 400;

/// Looks after the tables until it is told to stop.
#[derive(Debug, Clone)]
pub struct Maintenance {
    /// For how many days finished jobs are kept.
    pub keep_days: u16,
}

/// What one round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Partitions made.
    pub made: i64,
    /// Partitions dropped.
    pub dropped: Vec<String>,
    /// Nodes long dead, with nothing left in their name, forgotten.
    pub nodes: u64,
    /// Old rows of the ledger of ticks removed.
    pub ticks: u64,
    /// Batches completed long ago, forgotten.
    pub batches: u64,
}

impl Maintenance {
    /// Works until `stop`; a round that fails is tried again with the next.
    pub async fn run(self, pool: PgPool, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tell_of_all(&pool, &stop).await;
            match self.once(&pool).await {
                Ok(done) if done == Maintained::default() => {}
                Ok(done) => info!(
                    made = done.made,
                    dropped = done.dropped.len(),
                    nodes = done.nodes,
                    "Looked after the queue's tables"
                ),
                Err(error) => warn!("Cannot look after the queue's tables for now: {error}"),
            }
            self.wait(&pool, &stop).await;
        }
    }

    /// Waits for the next round; the counts are looked after meanwhile.
    async fn wait(&self, pool: &PgPool, stop: &CancellationToken) {
        let until = Instant::now() + EVERY;
        while Instant::now() < until && !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(FOLD_EVERY) => {
                    if let Err(error) = fold(pool).await {
                        warn!("Cannot add up the counts of the queue for now: {error}");
                    }
                }
            }
        }
    }

    /// Finds jobs that no living process runs and of which no claim tells, by a look at every job; they run again soon.
    /// Gives the number of claims that they are from.
    pub async fn recall(pool: &PgPool) -> sqlx::Result<u64> {
        let (mut position, mut told) = (0, 0);
        loop {
            let step = ask(pool, LONGEST, async |db| {
                recall::step(db, position, recall::STEP).await
            });
            let step = step.await?;
            told += step.told.unsigned_abs();
            match step.last {
                Some(last) => position = last,
                None => return Ok(told),
            }
        }
    }

    /// One round.
    pub async fn once(&self, pool: &PgPool) -> sqlx::Result<Maintained> {
        ask(pool, LONGEST, async |db| {
            count::fold(db).await?;
            Ok(Maintained {
                made: history::make_partitions(db, DAYS_AHEAD).await?,
                dropped: history::drop_older(db, self.keep_days).await?,
                nodes: node::forget(db).await?,
                ticks: ledger::forget(db, TICKS_KEPT).await?,
                batches: batch::forget(db, self.keep_days).await?,
            })
        })
        .await
    }
}

/// Goes on with the look at every job, if one is due and nobody else does, until it has come to its end.
async fn tell_of_all(pool: &PgPool, stop: &CancellationToken) {
    let mut told = 0;
    while !stop.is_cancelled() {
        let step = ask(pool, LONGEST, async |db| next_step(db, RECALL_EVERY).await);
        match step.await {
            Ok(Some(step)) => told += step.told,
            Ok(None) => break,
            Err(error) => {
                warn!("Cannot look for jobs that run nowhere for now: {error}");
                break;
            }
        }
    }
    if told > 0 {
        warn!("Nothing told of jobs of {told} claims that run nowhere; they will run again");
    }
}

/// One step of the look at every job that is made `every` so often; `None` if none is to be made now.
async fn next_step(db: &mut PgConnection, every: Duration) -> sqlx::Result<Option<Step>> {
    let mut tx = db.begin().await?;
    let Some(position) = recall::begin(&mut tx, every).await? else {
        return Ok(None);
    };
    let step = recall::step(&mut tx, position, recall::STEP).await?;
    recall::note(&mut tx, step.last).await?;
    tx.commit().await?;
    Ok(Some(step))
}

async fn fold(pool: &PgPool) -> sqlx::Result<u64> {
    ask(pool, LONGEST, async |db| count::fold(db).await).await
}
