//! The jobs of one pool: those that wait in this process, and room for more.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::time::Instant;

use super::buffer::Buffer;
use super::{BATCH, lock};
use crate::JobId;
use crate::lane::Lane;
use crate::pace::Pace;
use crate::store::claim::Claimed;

/// A job that was claimed ahead and has waited for longer is given back: what runs takes longer than it used to, and
/// another process may have room.
const STALE: Duration = Duration::from_secs(1);

/// The jobs of one pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) concurrency: usize,
    pub(super) queues: Vec<Lane>,
    /// Jobs that are claimed and not begun.
    buffer: Mutex<Buffer>,
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
        let ahead = self.pace.ahead();
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

    /// Whether what would be claimed now would have to wait for others to end.
    pub(super) fn is_busy(&self) -> bool {
        self.held.load(Ordering::Acquire) >= self.concurrency
    }

    /// Makes room for some more than there are to be, for jobs of lanes that may have none here yet: they need not wait until
    /// there is room for a good number.
    pub(super) fn reserve_more(&self, most: usize) -> usize {
        let target = self.concurrency + self.pace.ahead() + self.concurrency;
        let room = |held: usize| target.saturating_sub(held).min(self.concurrency).min(most);
        let reserved = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
                (room(held) > 0).then(|| held + room(held))
            });
        reserved.map_or(0, room)
    }

    /// These were claimed for it.
    pub(super) fn receive(&self, jobs: Vec<Claimed>) {
        let came = Instant::now();
        let queues = self.queues.iter();
        let taking_turns: Vec<&str> = queues
            .filter(|lane| lane.takes_turns())
            .map(|lane| &*lane.queue)
            .collect();
        let mut buffer = lock(&self.buffer);
        for job in jobs {
            let takes_turns = taking_turns.contains(&&*job.queue);
            buffer.push(came, job, takes_turns);
        }
        drop(buffer);
        self.taker.wake();
    }

    /// The next one to run, or else `waker` is woken when there is one.
    pub(super) fn next(&self, waker: &Waker) -> Option<Claimed> {
        let first = || lock(&self.buffer).pop();
        first().or_else(|| {
            self.taker.register(waker);
            first()
        })
    }

    /// Takes out what has not begun.
    pub(super) fn unbegun(&self) -> Vec<Claimed> {
        lock(&self.buffer).drain()
    }

    /// Takes out those of these claims that have not begun.
    pub(super) fn called_off(&self, claims: &HashSet<(JobId, i32)>) -> Vec<Claimed> {
        let is_out = |_, job: &Claimed| claims.contains(&(job.id, job.epoch));
        lock(&self.buffer).take_out(is_out)
    }

    /// One of its jobs in this queue is finished.
    pub(super) fn step(&self, queue: &str) {
        self.pace.step();
        let mut lanes = self.queues.iter();
        if let Some(lane) = lanes.find(|lane| &*lane.queue == queue) {
            lane.finished.step();
        }
    }

    /// How many jobs of this queue were finished since this was asked last.
    pub(super) fn finished_since_asked(&self, queue: &str) -> u64 {
        let mut lanes = self.queues.iter();
        let lane = lanes.find(|lane| &*lane.queue == queue);
        lane.map_or(0, |lane| lane.finished.since_asked())
    }

    /// Takes out what has waited for too long.
    pub(super) fn stale(&self) -> Vec<Claimed> {
        let stale = lock(&self.buffer).older(STALE);
        if !stale.is_empty() {
            self.pace.stalled();
        }
        stale
    }
}
