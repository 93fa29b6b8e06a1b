//! Stop working: let what runs end, give the rest back, write everything down.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Parts;
use crate::Wake;
use crate::store::node;
use crate::supervise::Task;

/// For how long outcomes are still written when everything has ended.
const WRITING: Duration = Duration::from_secs(5);
/// How long the connections may take to close.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often it is looked whether they are.
const LOOK: Duration = Duration::from_millis(5);

/// A worker at work. One that is dropped leaves off at once, as if its process had died.
#[derive(Debug)]
pub struct Running {
    pub(super) parts: Parts,
    pub(super) exchanges: Vec<Task>,
    pub(super) others: Vec<Task>,
    /// Those that end what they are at when they are told to stop.
    pub(super) keepers: Vec<Task>,
    pub(super) pools: Vec<Task>,
}

/// How a worker stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// Every job that ran came to its end.
    pub in_time: bool,
    /// Outcomes that could not be written; their jobs run again when the lease has run out.
    pub unwritten: usize,
}

/// Ends the patience of a [`Running::stop`].
#[derive(Debug, Clone)]
pub struct StopNow(CancellationToken);

impl StopNow {
    /// Jobs that still run are given back at once.
    pub fn stop(&self) {
        self.0.cancel();
    }
}

impl Running {
    /// Wakes this worker and those of other processes.
    pub fn wake(&self) -> Wake {
        self.parts.wake.clone()
    }

    /// The node that this process is, once the database has said so and while its lease holds.
    pub fn node(&self) -> Option<i64> {
        *self.parts.lease.node.borrow()
    }

    /// Cuts short a stop that is under way or to come: nothing is waited for but that outcomes are written.
    pub fn stopper(&self) -> StopNow {
        StopNow(self.parts.now.clone())
    }

    /// Claims nothing more, gives back what has not begun, waits up to `grace` for what runs, gives back the rest with
    /// its attempt, and writes everything down.
    pub async fn stop(mut self, grace: Duration) -> StopReport {
        info!("Stopping work");
        self.parts.stop.cancel();
        self.parts.desk.close();
        let now = self.parts.now.clone();
        let ended = futures::future::join_all(self.pools.iter_mut().map(Task::done));
        let cut_before = self.parts.cancels.count_cut_off();
        tokio::select! {
            () = now.cancelled() => {}
            _ = ended => {}
            () = tokio::time::sleep(grace) => {}
        }
        let in_haste = now.is_cancelled();
        self.parts.now.cancel();
        for pool in &mut self.pools {
            pool.done().await;
        }
        let cut_off = self.parts.cancels.count_cut_off() - cut_before;
        if cut_off > 0 {
            warn!("{cut_off} jobs had not ended; they are given back");
        }
        let unwritten = self.write().await;
        if unwritten > 0 {
            warn!("{unwritten} outcomes could not be written");
        }
        let patience = if in_haste { Duration::ZERO } else { WRITING };
        let kept = futures::future::join_all(self.keepers.iter_mut().map(Task::done));
        if tokio::time::timeout(patience, kept).await.is_err() {
            warn!("What looks after schedules and tables is cut short");
        }
        self.keepers.clear();
        self.exchanges.clear();
        self.others.clear();
        let (own, exchanging) = (self.parts.own.clone(), self.parts.exchanging.clone());
        self.parts.lease.end().await;
        // If this cannot be done, the next that looks for jobs of dead processes does it.
        let _ = tokio::time::timeout(GOODBYE, bury(&own)).await;
        // A server that does not answer need not be told.
        let close = async { tokio::join!(own.close(), exchanging.close()) };
        let _ = tokio::time::timeout(GOODBYE, close).await;
        StopReport {
            in_time: cut_off == 0,
            unwritten,
        }
    }

    /// Gives back what runs, at once.
    pub async fn stop_now(self) -> StopReport {
        self.parts.now.cancel();
        self.stop(Duration::ZERO).await
    }

    async fn write(&self) -> usize {
        let until = Instant::now() + WRITING;
        loop {
            if self.parts.desk.is_quiet() || Instant::now() >= until {
                return self.parts.desk.unwritten();
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Removes what tells of claims of which nothing runs.
async fn bury(own: &PgPool) -> sqlx::Result<()> {
    let mut db = own.acquire().await?;
    node::bury(&mut db).await
}
