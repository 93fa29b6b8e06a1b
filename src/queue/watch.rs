//! Look at the queues: make due what is, see what no wake-up told of, and which jobs are to stop.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::cancel::Cancels;
use crate::desk::Desk;
use crate::outlook::Outlook;
use crate::store;
use crate::store::age;
use crate::store::claim::{self, Glance};

/// The longest time between two looks while jobs run, less up to a quarter by chance: one of them may be asked to stop.
const LONGEST: Duration = Duration::from_secs(1);
/// The same while none does. Whatever comes in is told of; looking as well is for what was not heard.
const LONGEST_IDLE: Duration = Duration::from_millis(2250);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(50);

/// A look that takes longer is given up, its connection with it.
const LONGEST_LOOK: Duration = Duration::from_secs(10);
/// How long a job waits behind more urgent ones before it goes ahead of them.
const AGE: Duration = Duration::from_secs(60);
/// Of so many jobs that are finished one at most is such a job, so that what is urgent stays so. At each look it is one in
/// any case.
const AGED_SHARE: u64 = 8;

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
        let looked = tokio::time::timeout(LONGEST_LOOK, self.see(&mut db, queues)).await;
        match looked.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(glances) => {
                self.tell(&glances);
                Ok(())
            }
            Err(error) => {
                drop(db.detach());
                Err(error)
            }
        }
    }

    /// How the queues stand once what is due is ready, and what has waited for too long goes ahead.
    async fn see(&self, db: &mut PgConnection, queues: &[String]) -> sqlx::Result<Vec<Glance>> {
        let node = *self.node.borrow();
        let mut glances = claim::look(db, queues, node).await?;
        if due(&glances).is_some_and(|due| due <= 0.0) {
            while claim::promote(db, store::MOST_PROMOTED).await? > 0 {}
            glances = claim::look(db, queues, node).await?;
        }
        self.raise(db, &glances).await?;
        Ok(glances)
    }

    /// Lets jobs go ahead that have waited behind more urgent ones for too long.
    async fn raise(&self, db: &mut PgConnection, glances: &[Glance]) -> sqlx::Result<()> {
        for glance in glances.iter().filter(|glance| glance.lower) {
            let share = self.desk.pace(&glance.queue) / AGED_SHARE;
            let most = i64::try_from(share.max(1)).unwrap_or(i64::MAX);
            age::raise(db, &glance.queue, AGE, most).await?;
        }
        Ok(())
    }

    fn tell(&self, glances: &[Glance]) {
        if let Some(due) = due(glances) {
            self.outlook
                .due_in(Duration::from_secs_f64(due.clamp(0.0, 86_400.0)));
        }
        let asked = glances.first().and_then(|glance| {
            let epochs = glance.epochs.iter().flatten();
            Some(glance.cancelled.as_ref()?.iter().zip(epochs))
        });
        for (job, epoch) in asked.into_iter().flatten() {
            self.cancels.ask(*job, *epoch);
        }
        for glance in glances {
            self.desk.ruled(&glance.queue, glance.way());
            if glance.ready_seconds.is_some() || glance.held {
                self.desk.wake(&glance.queue);
            }
            metrics::gauge!("leadmill_oldest_ready_seconds", "queue" => glance.queue.clone())
                .set(glance.ready_seconds.unwrap_or(0.0));
        }
    }
}

/// In how many seconds the next scheduled job is due.
fn due(glances: &[Glance]) -> Option<f64> {
    glances.first().and_then(|glance| glance.due_seconds)
}
