//! Tell workers that there is something to do, after the transaction that says so.
//!
//! Workers also look by themselves, so a wake-up that is lost costs a moment and nothing else. It is no part of the
//! transaction that enqueues: with a notification in each, all commits would queue behind each other. Only where a
//! [`Producer`](crate::Producer) writes a job that came alone, and nobody was told anything a moment ago, its commit takes
//! the wake-up along: so few of them are in nobody's way, and that job is begun sooner by a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::store;

/// Wake-ups of other processes are at least this far apart.
const APART: Duration = Duration::from_millis(3);
/// And so many times as long as it takes to tell one: a server that is busy is told less often.
const TIMES_APART: u32 = 4;

/// Wakes the workers of this process and of all others. Cheap to clone and to call.
#[derive(Debug, Clone)]
pub struct Wake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    /// Told from the others' when its own notification comes back.
    sender: u64,
    local: watch::Sender<u64>,
    told: AtomicU8,
    /// The last try to tell the others failed.
    failing: AtomicBool,
}

/// Nobody is telling the others.
const QUIET: u8 = 0;
/// A task tells the others.
const TELLING: u8 = 1;
/// It has to tell once more.
const AGAIN: u8 = 2;

impl Wake {
    /// One that tells other processes through the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self {
            shared: Arc::new(Shared {
                pool,
                sender: rand::random(),
                local: watch::Sender::new(0),
                told: AtomicU8::new(QUIET),
                failing: AtomicBool::new(false),
            }),
        }
    }

    /// There may be something to do. Call it after the commit.
    pub fn notify(&self) {
        self.notify_local();
        self.tell_others();
    }

    fn tell_others(&self) {
        let told = &self.shared.told;
        let begin = told.fetch_update(Ordering::AcqRel, Ordering::Acquire, |told| match told {
            QUIET => Some(TELLING),
            TELLING => Some(AGAIN),
            _ => None,
        }) == Ok(QUIET);
        if begin && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tell(self.shared.clone()));
        } else if begin {
            told.store(QUIET, Ordering::Release);
        }
    }

    /// A wake-up of the others for a commit to take along, unless somebody is telling them something.
    pub(crate) fn ride(&self) -> Option<Ride> {
        let told = &self.shared.told;
        told.compare_exchange(QUIET, TELLING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
            .then(|| Ride(self.shared.clone()))
    }

    /// Wakes this process only.
    pub(crate) fn notify_local(&self) {
        self.shared.local.send_modify(|times| *times += 1);
    }

    /// Changes whenever this process is woken.
    pub(crate) fn woken(&self) -> watch::Receiver<u64> {
        self.shared.local.subscribe()
    }

    /// What its notifications carry.
    pub(crate) fn sender(&self) -> String {
        self.shared.name()
    }
}

/// Given up when its commit is made, or is not: who was to be told something meanwhile is told then.
#[derive(Debug)]
pub(crate) struct Ride(Arc<Shared>);

impl Ride {
    /// What its notification carries.
    pub(crate) fn sender(&self) -> String {
        self.0.name()
    }
}

impl Drop for Ride {
    fn drop(&mut self) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(tell_what_came_up(self.0.clone()))),
            Err(_) => self.0.told.store(QUIET, Ordering::Release),
        }
    }
}

impl Shared {
    fn name(&self) -> String {
        format!("{:016x}", self.sender)
    }

    /// Lets a moment pass in which nobody is told; says whether nobody was to be.
    async fn stays_quiet(&self, apart: Duration) -> bool {
        tokio::time::sleep(apart).await;
        let told = &self.told;
        let quiet = told
            .compare_exchange(TELLING, QUIET, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if !quiet {
            told.store(TELLING, Ordering::Release);
        }
        quiet
    }
}

async fn tell_what_came_up(shared: Arc<Shared>) {
    if !shared.stays_quiet(APART).await {
        tell(shared).await;
    }
}

/// Tells the others until nobody has asked for it since.
async fn tell(shared: Arc<Shared>) {
    let sender = shared.name();
    loop {
        let began = Instant::now();
        match store::notify(&shared.pool, &sender).await {
            Ok(()) => shared.failing.store(false, Ordering::Relaxed),
            Err(error) if shared.failing.swap(true, Ordering::Relaxed) => {
                debug!("Other processes are still not woken: {error}");
            }
            Err(error) => {
                warn!("Other processes were not woken and will look by themselves: {error}");
            }
        }
        if shared
            .stays_quiet(APART.max(began.elapsed() * TIMES_APART))
            .await
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;

    use super::*;

    #[tokio::test]
    async fn one_commit_at_a_time_takes_a_wake_up_along_and_what_comes_up_is_kept() {
        let nowhere = PgPoolOptions::new()
            .connect_lazy("postgres://nobody@localhost/none")
            .unwrap();
        let wake = Wake::new(nowhere);
        let told = || wake.shared.told.load(Ordering::Acquire);
        let ride = wake.ride().expect("nobody is being told");
        assert!(wake.ride().is_none());
        wake.notify();
        assert_eq!(told(), AGAIN);
        drop(ride);
        assert_eq!(told(), AGAIN, "others were told just now");
        assert!(wake.ride().is_none());
    }
}
