//! Jobs that wait to be written, and how many tasks write them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::key::Clash;
use crate::store::insert::New;
use crate::{EnqueueError, Enqueued};

/// A flush takes no more jobs once it has so many bytes of payload.
const ENOUGH_BYTES: usize = 1024 * 1024;

/// A job whose caller waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) new: New,
    /// What its key does, if it has one.
    pub(super) clash: Option<Clash>,
    pub(super) answer: oneshot::Sender<Result<Enqueued, EnqueueError>>,
    /// Given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

impl Waiting {
    /// Tells its caller, who may have gone.
    pub(super) fn answer(self, result: Result<Enqueued, EnqueueError>) {
        let _ = self.answer.send(result);
        drop(self.room);
    }
}

/// Where jobs wait.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Waiting>,
    turns: usize,
}

impl Line {
    /// Puts `job` at the end; `true` if a task is to take a turn, of which there are `at_once` at most.
    pub(super) fn push(&self, job: Waiting, at_once: usize) -> bool {
        let mut line = self.lock();
        line.waiting.push_back(job);
        let begin = line.turns < at_once;
        line.turns += usize::from(begin);
        begin
    }

    /// The turn that [`Self::push`] asked for.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn {
            line: self,
            is_over: false,
        }
    }

    /// How many jobs wait and are not being written.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody takes jobs out until there are none.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    line: &'a Line,
    is_over: bool,
}

impl Turn<'_> {
    /// The next jobs, at most `most`. If there are none, the turn is over.
    pub(super) fn next(&mut self, most: usize) -> Vec<Waiting> {
        let mut line = self.line.lock();
        let mut bytes = 0;
        let within = line.waiting.iter().take(most).take_while(|job| {
            let take = bytes < ENOUGH_BYTES;
            bytes += job.new.payload.len();
            take
        });
        let count = within.count();
        if count == 0 && !self.is_over {
            self.is_over = true;
            line.turns -= 1;
        }
        line.waiting.drain(..count).collect()
    }
}

impl Drop for Turn<'_> {
    /// A task that ends before its time (it panicked, or the runtime ends) leaves nobody waiting for ever.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut line = self.line.lock();
        line.turns -= 1;
        if line.turns == 0 {
            line.waiting.clear();
        }
    }
}
