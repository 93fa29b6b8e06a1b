//! Look at the queues: make due what is, see what no wake-up told of, and which jobs are to stop.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::JobId;
use crate::cancel::Cancels;
use crate::desk::Desk;
use crate::outlook::Outlook;
use crate::patience::{self, Broken, ask};
use crate::store;
use crate::store::age;
use crate::store::claim::{self, Glance};

/// How much longer than while jobs run the time between two looks may be while none does.
const IDLE: f64 = 2.25;
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(50);
/// What is due is made ready in so many statements at a look, so that a stampede keeps nobody from hearing what was seen. What
/// is left is due at the next look, which comes at once.
const PROMOTIONS: usize = 4;

/// A look that takes longer is given up, its connection with it. It takes milliseconds, and is what finds first that every
/// connection went half-open while nothing ran.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
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
    /// What exchanges go by.
    pub(crate) exchanging: PgPool,
    /// Tells them that the way is broken.
    pub(crate) broken: Arc<Broken>,
    pub(crate) outlook: Arc<Outlook>,
    pub(crate) node: watch::Receiver<Option<i64>>,
    pub(crate) cancels: Arc<Cancels>,
    /// The longest time between two looks while jobs run, less up to a quarter by chance.
    pub(crate) longest: Duration,
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
                    // Once: a server that is only slow is to come to the end of what it is asked.
                    if patience::is_of_the_way(&error) {
                        self.broken.tell(&self.exchanging);
                    }
                }
            }
            tokio::time::sleep_until(began + SHORTEST).await;
            let longest = if self.desk.is_idle() {
                self.longest.mul_f64(IDLE)
            } else {
                self.longest
            };
            let spread = longest.mul_f64(rand::random::<f64>() / 4.0);
            self.outlook.wait(began + longest - spread).await;
        }
    }

    async fn look(&self, queues: &[String]) -> sqlx::Result<()> {
        let look = ask(&self.pool, LONGEST_LOOK, async |db| {
            self.see(db, queues).await
        });
        self.tell(&look.await?);
        Ok(())
    }

    /// How the queues stand once what is due is ready, and what has waited for too long goes ahead.
    async fn see(&self, db: &mut PgConnection, queues: &[String]) -> sqlx::Result<Vec<Glance>> {
        let node = *self.node.borrow();
        let mut glances = claim::look(db, queues, node).await?;
        if due(&glances).is_some_and(|due| due <= 0.0) {
            for _ in 0..PROMOTIONS {
                let promoted = claim::promote(db, store::MOST_PROMOTED).await?;
                if promoted < store::MOST_PROMOTED.unsigned_abs() {
                    break;
                }
            }
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
        let asked: HashSet<(JobId, i32)> = asked
            .into_iter()
            .flatten()
            .map(|(job, epoch)| (*job, *epoch))
            .collect();
        self.desk.call_off(&asked);
        for (job, epoch) in asked {
            self.cancels.ask(job, epoch);
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::desk::Claims;
    use crate::desk::tests::{exchange, holding, job};

    #[tokio::test]
    async fn a_job_that_is_to_stop_does_not_begin() {
        let desk = holding(vec![job(1, 7), job(2, 7)]);
        let (_, node) = watch::channel(Some(1));
        let watch = Watch {
            desk: desk.clone(),
            pool: PgPool::connect_lazy("postgres://localhost").unwrap(),
            exchanging: PgPool::connect_lazy("postgres://localhost").unwrap(),
            broken: Arc::default(),
            outlook: Arc::default(),
            node,
            cancels: Arc::default(),
            longest: SHORTEST,
        };
        let running = watch.cancels.begin(JobId(3), 1);
        watch.tell(&[Glance {
            queue: "q".into(),
            ready_seconds: None,
            held: false,
            ruled: false,
            turns: false,
            each_lane: false,
            limited: false,
            crossing: false,
            lower: false,
            due_seconds: None,
            cancelled: Some(vec![JobId(1), JobId(3)]),
            epochs: Some(vec![1, 1]),
        }]);
        assert!(running.is_asked());
        let next = || desk.next(0, Waker::noop()).map(|job| job.id.0);
        assert_eq!([next(), None], [Some(2), next()]);
        exchange(&desk).unwrap().made(Claims::default());
        assert!(desk.is_quiet());
    }
}
