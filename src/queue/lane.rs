//! A queue as a process sees it: whether something may be ready there, and how far claims have got.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::claim::{Position, Want};

/// A claim goes on where the one before ended for so long; then one looks from the start for what has come in there.
const GO_ON: Duration = Duration::from_millis(50);

/// One queue.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) queue: Arc<str>,
    /// Counts the times that something may have become ready.
    woken: AtomicU64,
    /// The count at which it was found to be empty.
    dry: AtomicU64,
    reach: Mutex<Reach>,
}

/// How far into a queue claims have got.
#[derive(Debug)]
struct Reach {
    /// Where the next claim goes on.
    after: Option<Position>,
    /// When one last went from the start.
    started: Instant,
}

impl Lane {
    /// A queue in which something may be ready.
    pub(crate) fn new(queue: Arc<str>) -> Self {
        Self {
            queue,
            woken: AtomicU64::new(1),
            dry: AtomicU64::new(0),
            reach: Mutex::new(Reach {
                after: None,
                started: Instant::now(),
            }),
        }
    }

    /// Something may have become ready.
    pub(crate) fn wake(&self) {
        self.woken.fetch_add(1, Ordering::AcqRel);
    }

    /// How often that was so.
    pub(crate) fn count(&self) -> u64 {
        self.woken.load(Ordering::Acquire)
    }

    /// Whether it is worth a claim.
    pub(crate) fn may_be_ready(&self) -> bool {
        self.dry.load(Ordering::Acquire) < self.count()
    }

    /// Where a claim goes on; `None` if it is to start from the front.
    pub(crate) fn go_on(&self) -> Option<Position> {
        let mut reach = self.reach();
        if reach.started.elapsed() > GO_ON {
            reach.after = None;
        }
        if reach.after.is_none() {
            reach.started = Instant::now();
        }
        reach.after
    }

    /// A claim of `want` found `missing` too few, up to `last`, when the count was `seen`.
    pub(crate) fn reached(&self, want: &Want, missing: usize, last: Option<Position>, seen: u64) {
        let mut reach = self.reach();
        if missing == 0 {
            reach.after = reach.after.max(last);
            return;
        }
        reach.after = None;
        // Nothing is left behind where it went on; whether anything is left at all, a claim from the start will tell.
        if want.after.is_none() {
            self.dry.fetch_max(seen, Ordering::AcqRel);
        }
    }

    /// No code panics while it holds the lock.
    fn reach(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
