//! Look at the queues: make due what is, see what no wake-up told of, and which jobs are to stop.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::cancel::Cancels;
use crate::desk::Desk;
use crate::outlook::Outlook;
use crate::store;
use crate::store::claim::{self, Glance};

/// The longest time between two looks while jobs run, less up to a quarter by chance: one of them may be asked to stop.
const LONGEST: Duration = Duration::from_secs(1);
/// The same while none does. Whatever comes in is told of; looking as well is for what was not heard.
const LONGEST_IDLE: Duration = Duration::from_millis(2250);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(50);

/// Looks at the queues for ever.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) desk: Arc<Desk>,
    pub(crate) pool: PgPool,
    pub(crate) outlook: Arc<Outlook>,
    pub(crate) node: watch::Receiver<Option<i64>>,
    pub(crate) cancels: Arc<Cancels>,
}

impl Watch {
    pub(crate) async fn run(self) {
        let queues: Vec<String> = self.desk.queues().iter().map(ToString::to_string).collect();
        let mut failing = false;
        loop {
            let began = Instant::now();
            self.desk.release_stale();
            match self.look(&queues).await {
                Ok(()) => failing = false,
                Err(error) if failing => debug!("Still cannot look at the queues: {error}"),
                Err(error) => {
                    warn!("Cannot look at the queues for now: {error}");
                    failing = true;
                }
            }
            tokio::time::sleep_until(began + SHORTEST).await;
            let longest = if self.desk.is_idle() {
                LONGEST_IDLE
            } else {
                LONGEST
            };
            let spread = longest.mul_f64(rand::random::<f64>() / 4.0);
            self.outlook.wait(began + longest - spread).await;
        }
    }

    async fn look(&self, queues: &[String]) -> sqlx::Result<()> {
        let mut db = self.pool.acquire().await?;
        let node = *self.node.borrow();
        let looked = async {
            let glances = claim::look(&mut db, queues, node).await?;
            let due = glances.first().and_then(|glance| glance.due_seconds);
            if due.is_none_or(|due| due > 0.0) {
                return Ok((glances, due));
            }
            while claim::promote(&mut db, store::MOST_PROMOTED).await? > 0 {}
            let glances = claim::look(&mut db, queues, node).await?;
            let due = glances.first().and_then(|glance| glance.due_seconds);
            Ok((glances, due))
        };
        let looked = tokio::time::timeout(Duration::from_secs(30), looked).await;
        match looked.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok((glances, due)) => {
                if let Some(due) = due {
                    self.outlook
                        .due_in(Duration::from_secs_f64(due.clamp(0.0, 86_400.0)));
                }
                self.tell(&glances);
                Ok(())
            }
            Err(error) => {
                drop(db.detach());
                Err(error)
            }
        }
    }

    fn tell(&self, glances: &[Glance]) {
        let asked = glances.first().and_then(|glance| {
            let epochs = glance.epochs.iter().flatten();
            Some(glance.cancelled.as_ref()?.iter().zip(epochs))
        });
        for (job, epoch) in asked.into_iter().flatten() {
            self.cancels.ask(*job, *epoch);
        }
        for glance in glances {
            if glance.ready_seconds.is_some() {
                self.desk.wake(&glance.queue);
            }
            metrics::gauge!("leadmill_oldest_ready_seconds", "queue" => glance.queue.clone())
                .set(glance.ready_seconds.unwrap_or(0.0));
        }
    }
}
