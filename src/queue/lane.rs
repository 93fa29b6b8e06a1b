//! A queue as a process sees it: whether something may be ready there, and how far claims have got.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ruled::{Round, Way};
use crate::store::claim::{Position, Want};
use crate::store::ruled::Start;

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
    rules: Mutex<Rules>,
    /// A limit keeps jobs back until one that runs has ended.
    limited: AtomicBool,
}

/// What is known of the rules that bear on a queue.
#[derive(Debug, Default)]
struct Rules {
    way: Option<Way>,
    start: Start,
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
            rules: Mutex::default(),
            limited: AtomicBool::new(false),
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

    /// Rules bear on it in this way from now on.
    pub(crate) fn ruled(&self, way: Option<Way>) {
        self.rules().way = way;
    }

    /// Whether its lanes take turns.
    pub(crate) fn takes_turns(&self) -> bool {
        self.rules().way.is_some_and(|way| way.turns)
    }

    /// What a claim of so many jobs is to ask for.
    pub(crate) fn want(&self, most: usize) -> Want {
        let rules = self.rules();
        Want {
            queue: self.queue.clone(),
            most,
            after: if rules.way.is_none() {
                self.go_on()
            } else {
                None
            },
            way: rules.way,
            start: rules.start.clone(),
        }
    }

    /// A claim under rules came to this and found `missing` too few, when the count was `seen`.
    pub(crate) fn came_round(&self, round: &Round, missing: usize, seen: u64) {
        self.rules().start = round.start.clone();
        self.limited.store(round.limited, Ordering::Release);
        if missing > 0 && !round.more {
            self.dry.fetch_max(seen, Ordering::AcqRel);
        }
    }

    /// A running job has ended, which may have made room under a limit.
    pub(crate) fn made_room(&self) {
        if self.limited.swap(false, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// Where a claim goes on; `None` if it is to start from the front.
    fn go_on(&self) -> Option<Position> {
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

    /// No code panics while it holds this lock or the next.
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
