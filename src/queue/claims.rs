//! The claims that this process knows it has.
//!
//! A claim whose commit was not heard of is nobody's: the row says that this process runs the job, and this process does
//! not know. Such rows are found by comparing the two.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::JobId;
use crate::store::claim::Claimed;
use crate::store::settle::Settlement;

/// Claims from the moment they are heard of until their outcome is written.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<(JobId, i32)>>);

impl Claims {
    /// These were made.
    pub(crate) fn made(&self, claimed: &[Claimed]) {
        let made = claimed.iter().map(|job| (job.id, job.epoch));
        self.known().extend(made);
    }

    /// What came of these is written.
    pub(crate) fn settled(&self, settlements: &[Settlement]) {
        let mut known = self.known();
        for settlement in settlements {
            known.remove(&(settlement.id, settlement.epoch));
        }
    }

    /// Of these claims those that are not known.
    pub(crate) fn unknown(&self, mut claims: Vec<(JobId, i32)>) -> Vec<(JobId, i32)> {
        let known = self.known();
        claims.retain(|claim| !known.contains(claim));
        claims
    }

    /// No code panics while it holds the lock.
    fn known(&self) -> MutexGuard<'_, HashSet<(JobId, i32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
