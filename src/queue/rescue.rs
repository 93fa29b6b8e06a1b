//! Take back the jobs of processes that died, and those that were parked and are understood here.
//!
//! A running job is leased to a node, and the node renews its lease. When that runs out its jobs wait again and the lost
//! attempt counts, so that a job that kills its process cannot do so for ever.

use std::time::Duration;

use sqlx::PgPool;
use tracing::warn;

use crate::Wake;
use crate::store::{claim, node};

/// Most jobs of one statement.
const MOST: i64 = 1000;

/// Looks for jobs to take back, for ever.
#[derive(Clone)]
pub(crate) struct Rescue {
    pub(crate) pool: PgPool,
    pub(crate) wake: Wake,
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

    /// Says how many jobs are ready again.
    async fn once(&self) -> sqlx::Result<u64> {
        let mut ready = 0;
        loop {
            let mut db = self.pool.acquire().await?;
            let rescued = node::rescue(&mut db, MOST).await?;
            if rescued == node::Rescued::default() {
                return Ok(ready + claim::unpark(&mut db, &self.kinds, &self.versions).await?);
            }
            ready += rescued.ready;
            warn!(
                ready = rescued.ready,
                discarded = rescued.discarded,
                "Took back {} jobs of processes that died, {} of them for the last time",
                rescued.ready + rescued.discarded,
                rescued.discarded
            );
            metrics::counter!("leadmill_rescued_jobs_total")
                .increment(rescued.ready + rescued.discarded);
        }
    }
}
