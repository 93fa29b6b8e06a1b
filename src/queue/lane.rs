//! A queue as a process sees it: whether something may be ready there, and how far claims have got.
//!
//! What was claimed stays in the index while it runs, and then until it is vacuumed; while somebody holds an old snapshot
//! nothing is. A claim from the front goes over all of that, so its cost decides how often there is one: never does it take
//! more than a twentieth of the time. In between, claims go on where the last one ended, or a little before where they keep
//! pace with what comes in. What comes to lie further in front (a more urgent job, one that was given back, one whose
//! transaction took long) is found by the next claim from the front, and as long as that is cheap, every claim is one.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::pace::Tally;
use crate::ruled::{Round, Way};
use crate::store::claim::{Position, Want};
use crate::store::ruled::Start;

/// A claim goes on where the one before ended for so long; then one looks from the front for what has come in there.
const GO_ON: Duration = Duration::from_millis(50);
/// The longest that one goes on.
const GO_ON_AT_MOST: Duration = Duration::from_secs(1);
/// One goes on for so many times as long as it took to search from the front.
const SHARE: u32 = 20;
/// A search from the front that takes longer is not made for every job that comes in.
const DEAR: Duration = Duration::from_millis(1);
/// Transactions that take no longer than this put their jobs where claims that keep pace still look.
const MARGIN: TimeDelta = TimeDelta::milliseconds(200);

/// One queue.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) queue: Arc<str>,
    /// Counts the times that something may have become ready.
    woken: AtomicU64,
    /// The count at which a claim that found anything new was last asked for.
    known: AtomicU64,
    /// Counts the times that something new may have come in.
    news: AtomicU64,
    /// The count at which it was found to be empty.
    dry: AtomicU64,
    /// The count at which nothing was found where claims go on.
    dry_behind: AtomicU64,
    reach: Mutex<Reach>,
    rules: Mutex<Rules>,
    /// A limit keeps jobs back until one that runs has ended.
    limited: AtomicBool,
    /// Jobs of it that this process finished.
    pub(crate) finished: Tally,
}

/// What is known of the rules that bear on a queue.
#[derive(Debug, Default)]
struct Rules {
    way: Option<Way>,
    start: Start,
}

/// What a claim brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Got {
    pub(crate) count: usize,
    pub(crate) last: Option<Position>,
    /// How long the search took, if anything was found.
    pub(crate) search: Option<Duration>,
}

/// How far into a queue claims have got.
#[derive(Debug)]
struct Reach {
    /// Where the last claim ended, unless the next is to go from the front.
    after: Option<Position>,
    /// It took all that there was.
    keeps_pace: bool,
    /// When one last went from the front.
    started: Instant,
    /// How long the search took then.
    search: Duration,
}

impl Reach {
    /// For how long claims go on before one goes from the front.
    fn rest(&self) -> Duration {
        self.search
            .saturating_mul(SHARE)
            .clamp(GO_ON, GO_ON_AT_MOST)
    }
}

impl Lane {
    /// A queue in which something may be ready.
    pub(crate) fn new(queue: Arc<str>) -> Self {
        Self {
            queue,
            woken: AtomicU64::new(1),
            known: AtomicU64::new(0),
            news: AtomicU64::new(0),
            dry: AtomicU64::new(0),
            dry_behind: AtomicU64::new(0),
            reach: Mutex::new(Reach {
                after: None,
                keeps_pace: false,
                started: Instant::now(),
                search: Duration::ZERO,
            }),
            rules: Mutex::default(),
            limited: AtomicBool::new(false),
            finished: Tally::default(),
        }
    }

    /// Something new may be ready.
    pub(crate) fn wake(&self) {
        self.news.fetch_add(1, Ordering::AcqRel);
        self.woken.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether its lanes take turns and one may have come that no claim has looked for.
    pub(crate) fn has_news(&self) -> bool {
        self.known.load(Ordering::Acquire) < self.news.load(Ordering::Acquire) && self.takes_turns()
    }

    /// How often that was so.
    pub(crate) fn count(&self) -> u64 {
        self.woken.load(Ordering::Acquire)
    }

    /// Whether it is worth a claim.
    pub(crate) fn may_be_ready(&self) -> bool {
        let count = self.count();
        self.dry.load(Ordering::Acquire) < count
            && (self.dry_behind.load(Ordering::Acquire) < count
                || self.owes().is_none_or(|due| due <= Instant::now()))
    }

    /// When a claim from the front is due, if one that went on found nothing.
    pub(crate) fn owes(&self) -> Option<Instant> {
        let count = self.count();
        if self.dry.load(Ordering::Acquire) >= count
            || self.dry_behind.load(Ordering::Acquire) < count
        {
            return None;
        }
        let reach = self.reach();
        Some(reach.started + reach.rest())
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
        let news = self.news.load(Ordering::Acquire);
        self.known.fetch_max(news, Ordering::AcqRel);
        let rules = self.rules();
        Want {
            queue: self.queue.clone(),
            most,
            each: None,
            after: if rules.way.is_none() {
                self.go_on()
            } else {
                None
            },
            way: rules.way,
            start: rules.start.clone(),
            running: None,
        }
    }

    /// What a claim is to ask for that looks for lanes of which there may be nothing here: one job of each.
    pub(crate) fn want_one_of_each(&self, most: usize) -> Want {
        Want {
            each: Some(NonZeroUsize::MIN),
            ..self.want(most)
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
            self.woken.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Where a claim goes on; `None` if it is to start from the front.
    fn go_on(&self) -> Option<Position> {
        let mut reach = self.reach();
        if reach.started.elapsed() >= reach.rest() {
            reach.after = None;
        }
        let Some(after) = reach.after else {
            reach.started = Instant::now();
            return None;
        };
        Some(if reach.keeps_pace {
            after.earlier(MARGIN)
        } else {
            after
        })
    }

    /// A claim of `want` brought `got`, which is `missing` too few, when the count was `seen`.
    pub(crate) fn reached(&self, want: &Want, missing: usize, got: &Got, seen: u64) {
        let mut reach = self.reach();
        let from_front = want.after.is_none();
        if from_front && let Some(search) = got.search {
            reach.search = search;
        }
        reach.keeps_pace = missing > 0;
        if missing == 0 {
            reach.after = reach.after.max(got.last);
            return;
        }
        // Nothing is left behind where it went on; whether anything is left at all, a claim from the front will tell.
        if from_front {
            self.dry.fetch_max(seen, Ordering::AcqRel);
        }
        if reach.search < DEAR {
            reach.after = None;
            return;
        }
        reach.after = reach.after.max(got.last);
        if !from_front {
            self.dry_behind.fetch_max(seen, Ordering::AcqRel);
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

#[cfg(test)]
mod tests;
