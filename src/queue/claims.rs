//! The claims that this process knows it has.
//!
//! A claim whose commit was not heard of is nobody's: the row says that this process runs the job, and this process does
//! not know. Such rows are found by comparing the two.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::JobId;
use crate::store::claim::{Claimed, Receipt};
use crate::store::settle::Settlement;

/// Claims from the moment they are heard of until their outcome is written.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    jobs: HashMap<(JobId, i32), Receipt>,
    /// How many jobs of each are left.
    left: HashMap<Receipt, usize>,
    /// Those of which none is left.
    ended: Vec<Receipt>,
}

impl Claims {
    /// These were made.
    pub(crate) fn made(&self, claimed: &[Claimed]) {
        let mut known = self.known();
        for job in claimed {
            known.jobs.insert((job.id, job.epoch), job.receipt);
            *known.left.entry(job.receipt).or_default() += 1;
        }
    }

    /// What came of these is written.
    pub(crate) fn settled(&self, settlements: &[Settlement]) {
        let mut known = self.known();
        for settlement in settlements {
            known.settled(settlement.id, settlement.epoch);
        }
    }

    /// How many claims have ended whose rows are still there.
    pub(crate) fn count_ended(&self) -> usize {
        self.known().ended.len()
    }

    /// The claims that have ended; whoever asks sees to it that their rows go.
    pub(crate) fn take_ended(&self) -> Vec<Receipt> {
        std::mem::take(&mut self.known().ended)
    }

    /// Of these claims those that are not known.
    pub(crate) fn unknown(&self, mut claims: Vec<(JobId, i32)>) -> Vec<(JobId, i32)> {
        let known = self.known();
        claims.retain(|claim| !known.jobs.contains_key(claim));
        claims
    }

    /// No code panics while it holds the lock.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn settled(&mut self, job: JobId, epoch: i32) {
        let Some(receipt) = self.jobs.remove(&(job, epoch)) else {
            return;
        };
        let Some(left) = self.left.get_mut(&receipt) else {
            return;
        };
        *left -= 1;
        if *left == 0 {
            self.left.remove(&receipt);
            self.ended.push(receipt);
        }
    }
}
