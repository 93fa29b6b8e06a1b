//! Tell workers that there is something to do, after the transaction that says so.
//!
//! Workers also look by themselves, so a wake-up that is lost costs a moment and nothing else. It is never part of the
//! transaction that enqueues: a notification there would make all commits queue behind each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::store;

/// Wake-ups of other processes are at least this far apart.
const APART: Duration = Duration::from_millis(10);

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
        format!("{:016x}", self.shared.sender)
    }
}

/// Tells the others until nobody has asked for it since.
async fn tell(shared: Arc<Shared>) {
    let sender = format!("{:016x}", shared.sender);
    loop {
        match store::notify(&shared.pool, &sender).await {
            Ok(()) => shared.failing.store(false, Ordering::Relaxed),
            Err(error) if shared.failing.swap(true, Ordering::Relaxed) => {
                debug!("Other processes are still not woken: {error}");
            }
            Err(error) => {
                warn!("Other processes were not woken and will look by themselves: {error}");
            }
        }
        tokio::time::sleep(APART).await;
        let told = &shared.told;
        if told
            .compare_exchange(TELLING, QUIET, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            return;
        }
        told.store(TELLING, Ordering::Release);
    }
}
