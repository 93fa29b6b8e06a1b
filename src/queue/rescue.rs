//! Take back the jobs of processes that died, those that this one has and does not know of, and those that were parked and
//! are understood here.
//!
//! A running job is leased to a node, and the node renews its lease. When that runs out its jobs wait again and the lost
//! attempt counts, so that a job that kills its process cannot do so for ever.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::watch;
use tracing::warn;

use crate::desk::Desk;
use crate::exchange::LONGEST;
use crate::patience::ask;
use crate::store::settle::{Fate, Settlement, settle};
use crate::store::{claim, node};
use crate::{JobId, Wake};

/// A look that takes longer is given up, its connection with it.
const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// Most jobs of one statement.
const MOST: i64 = 1000;

/// Looks for jobs to take back, for ever.
#[derive(Clone)]
pub(crate) struct Rescue {
    pub(crate) pool: PgPool,
    pub(crate) wake: Wake,
    pub(crate) desk: Arc<Desk>,
    pub(crate) node: watch::Receiver<Option<i64>>,
    pub(crate) every: Duration,
    pub(crate) kinds: Vec<String>,
    pub(crate) versions: Vec<i16>,
}

impl Rescue {
    pub(crate) async fn run(self) {
        loop {
            match self.once().await {
                Ok(0) => {}
                Ok(_) => self.wake.notify(),
                Err(error) => warn!("Cannot look for jobs of dead processes for now: {error}"),
            }
            tokio::time::sleep(self.every.mul_f64(0.75 + rand::random::<f64>() / 4.0)).await;
        }
    }

    /// Says how many jobs wait again.
    async fn once(&self) -> sqlx::Result<u64> {
        ask(&self.pool, LONGEST_LOOK, async |db| self.on(db).await).await
    }

    async fn on(&self, db: &mut PgConnection) -> sqlx::Result<u64> {
        // Of younger claims it may still hear.
        let age = LONGEST + Duration::from_secs(5);
        let node = *self.node.borrow();
        let seen = node::neglected(db, node, age, &self.kinds, &self.versions).await?;
        let mut back = 0;
        if seen.lost {
            back += self.take_back(db).await?;
        }
        back += self.give_back(db, seen.claims.into_pairs()).await?;
        let ended = self.desk.claims.take_ended();
        if !ended.is_empty() {
            claim::forget(db, &ended).await?;
        }
        if let Some(node) = node.filter(|_| seen.old) {
            node::tidy(db, node, age).await?;
        }
        if seen.parked {
            back += claim::unpark(db, &self.kinds, &self.versions).await?;
        }
        Ok(back)
    }

    /// Takes back jobs of processes that died.
    async fn take_back(&self, db: &mut PgConnection) -> sqlx::Result<u64> {
        let mut back = 0;
        loop {
            let rescued = node::rescue(db, MOST, self.every).await?;
            if rescued == node::Rescued::default() {
                return Ok(back);
            }
            back += rescued.back;
            warn!(
                back = rescued.back,
                discarded = rescued.discarded,
                "Took back {} jobs of processes that died, {} of them for the last time",
                rescued.back + rescued.discarded,
                rescued.discarded
            );
            metrics::counter!("leadmill_rescued_jobs_total")
                .increment(rescued.back + rescued.discarded);
        }
    }

    /// Gives back what was claimed for this process in an exchange of whose end it did not hear.
    async fn give_back(
        &self,
        db: &mut PgConnection,
        claims: Vec<(JobId, i32)>,
    ) -> sqlx::Result<u64> {
        let unknown = self.desk.claims.unknown(claims);
        if unknown.is_empty() {
            return Ok(0);
        }
        let given_back = unknown
            .iter()
            .map(|(job, epoch)| Settlement::new(*job, *epoch, true, Fate::Release));
        let mut tx = db.begin().await?;
        let settled = settle(&mut tx, &given_back.collect::<Vec<_>>()).await?;
        tx.commit().await?;
        let given_back = settled.accepted;
        // Those that were told of meanwhile are not given back.
        if given_back > 0 {
            warn!("Gave back {given_back} jobs of whose claim nothing was heard");
        }
        Ok(given_back)
    }
}
