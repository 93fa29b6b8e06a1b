//! What keeps the tables in order: one loop, in every process that works; doing it twice does no harm.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::history;
use crate::patience::ask;
use crate::store::{count, node};

/// How often the tables are looked after.
const EVERY: Duration = Duration::from_secs(300);
/// After so many rounds all jobs are looked at for such as run nowhere and were not told of.
const ROUNDS_A_RECALL: u32 = 12;
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
        for round in 0_u32.. {
            if stop.is_cancelled() {
                return;
            }
            if round % ROUNDS_A_RECALL == ROUNDS_A_RECALL - 1 {
                told_of_all(&pool).await;
            }
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
        ask(pool, LONGEST, async |db| node::recall(db).await).await
    }

    /// One round.
    pub async fn once(&self, pool: &PgPool) -> sqlx::Result<Maintained> {
        ask(pool, LONGEST, async |db| {
            count::fold(db).await?;
            Ok(Maintained {
                made: history::make_partitions(db, DAYS_AHEAD).await?,
                dropped: history::drop_older(db, self.keep_days).await?,
                nodes: forget_nodes(db).await?,
                ticks: forget_ticks(db).await?,
                batches: forget_batches(db, self.keep_days).await?,
            })
        })
        .await
    }
}

async fn told_of_all(pool: &PgPool) {
    match Maintenance::recall(pool).await {
        Ok(0) => {}
        Ok(claims) => {
            warn!("Nothing told of jobs of {claims} claims that run nowhere; they will run again")
        }
        Err(error) => warn!("Cannot look for jobs that run nowhere for now: {error}"),
    }
}

async fn fold(pool: &PgPool) -> sqlx::Result<u64> {
    ask(pool, LONGEST, async |db| count::fold(db).await).await
}

/// Nodes are shown for an hour after their end.
async fn forget_nodes(db: &mut PgConnection) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        r#"
        DELETE FROM queue.node n
        WHERE n.lease_until < now() - interval '1 hour'
            AND NOT EXISTS (SELECT FROM queue.claim c WHERE c.node = n.id)
        "#,
    )
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}

async fn forget_ticks(db: &mut PgConnection) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        r#"
        DELETE FROM queue.schedule_tick
        WHERE due_at < now() - make_interval(days => $1)
        "#,
    )
    .bind(TICKS_KEPT)
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}

/// Batches go with the history of their jobs.
async fn forget_batches(db: &mut PgConnection, keep_days: u16) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        r#"
        DELETE FROM queue.batch
        WHERE completed_at < now() - make_interval(days => $1)
        "#,
    )
    .bind(i32::from(keep_days))
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
