//! The jobs of one pool: those that wait in this process, and room for more.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::time::Instant;

use super::{BATCH, lock};
use crate::lane::Lane;
use crate::pace::Pace;
use crate::store::claim::Claimed;

/// A job that was claimed ahead and has waited for longer is given back: what runs takes longer than it used to, and
/// another process may have room.
const STALE: Duration = Duration::from_secs(1);

/// Where lanes take turns so many times fewer jobs are claimed ahead: a lane whose turn has come waits behind all of them.
const LESS_AHEAD: usize = 5;

/// The jobs of one pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) concurrency: usize,
    pub(super) queues: Vec<Lane>,
    /// Jobs that are claimed and not begun, each with the time it came.
    buffer: Mutex<VecDeque<(Instant, Claimed)>>,
    taker: AtomicWaker,
    /// Jobs claimed, or about to be, whose outcome is not told.
    pub(super) held: AtomicUsize,
    pub(super) pace: Pace,
}

impl Pool {
    pub(super) fn new(name: String, queues: Vec<Arc<str>>, concurrency: usize) -> Self {
        Self {
            name,
            concurrency,
            queues: queues.into_iter().map(Lane::new).collect(),
            buffer: Mutex::default(),
            taker: AtomicWaker::new(),
            held: AtomicUsize::new(0),
            pace: Pace::new(),
        }
    }

    /// Makes room for up to `most` jobs. A pool that is busy waits until there is room for a good number, so that
    /// claims are few.
    pub(super) fn reserve(&self, most: usize) -> usize {
        let ahead = if self.queues.iter().any(Lane::takes_turns) {
            self.pace.ahead() / LESS_AHEAD
        } else {
            self.pace.ahead()
        };
        let target = self.concurrency + ahead;
        let reserved = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
                let room = target.saturating_sub(held);
                let worth = held < self.concurrency || room >= BATCH.min(ahead / 2);
                (worth && room > 0).then(|| held + room.min(most))
            });
        reserved.map_or(0, |held| (target - held).min(most))
    }

    /// These were claimed for it.
    pub(super) fn receive(&self, jobs: Vec<Claimed>) {
        let came = Instant::now();
        lock(&self.buffer).extend(jobs.into_iter().map(|job| (came, job)));
        self.taker.wake();
    }

    /// The next one to run, or else `waker` is woken when there is one.
    pub(super) fn next(&self, waker: &Waker) -> Option<Claimed> {
        let first = || lock(&self.buffer).pop_front().map(|(_, job)| job);
        first().or_else(|| {
            self.taker.register(waker);
            first()
        })
    }

    /// Takes out what has not begun.
    pub(super) fn unbegun(&self) -> Vec<Claimed> {
        let mut buffer = lock(&self.buffer);
        buffer.drain(..).map(|(_, job)| job).collect()
    }

    /// Takes out what has waited for too long.
    pub(super) fn stale(&self) -> Vec<Claimed> {
        let mut buffer = lock(&self.buffer);
        let count = buffer.partition_point(|(came, _)| came.elapsed() >= STALE);
        if count > 0 {
            self.pace.stalled();
        }
        buffer.drain(..count).map(|(_, job)| job).collect()
    }
}
