//! How many jobs to hold ready beyond those that run: as many as run in a moment at the present pace.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Jobs held beyond those that run are gone after about this long, so that other processes find work too.
const AHEAD_SECONDS: f64 = 0.05;
/// The most that is ever held beyond those that run.
const MOST_AHEAD: usize = 2000;
/// The pace is measured over at least this long.
const SPAN: Duration = Duration::from_millis(10);

/// Counts what is finished of a queue.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// One more is.
    pub(crate) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How much was since this was called last.
    pub(crate) fn since_asked(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// The pace at which a pool finishes jobs.
#[derive(Debug)]
pub(crate) struct Pace {
    finished: AtomicU64,
    measured: Mutex<Measured>,
}

#[derive(Debug)]
struct Measured {
    at: Instant,
    finished: u64,
    per_second: f64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            finished: AtomicU64::new(0),
            measured: Mutex::new(Measured {
                at: Instant::now(),
                finished: 0,
                per_second: 0.0,
            }),
        }
    }

    /// One more job is finished.
    pub(crate) fn step(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// What was held was not begun: nothing is to be held until jobs finish again.
    pub(crate) fn stalled(&self) {
        if let Ok(mut measured) = self.measured.lock() {
            *measured = Measured {
                at: Instant::now(),
                finished: self.finished.load(Ordering::Relaxed),
                per_second: 0.0,
            };
        }
    }

    /// How many jobs to hold beyond those that run.
    pub(crate) fn ahead(&self) -> usize {
        let finished = self.finished.load(Ordering::Relaxed);
        let Ok(mut measured) = self.measured.lock() else {
            return 0;
        };
        let span = measured.at.elapsed();
        if span >= SPAN {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let now = (finished - measured.finished) as f64 / span.as_secs_f64();
            // A pool that was idle is believed at once, one that slows down only by and by.
            measured.per_second = now.max(f64::midpoint(measured.per_second, now));
            measured.finished = finished;
            measured.at = Instant::now();
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the most"
        )]
        let ahead = (measured.per_second * AHEAD_SECONDS).min(MOST_AHEAD as f64) as usize;
        ahead
    }
}
