//! The claims that this process knows it has.
//!
//! A claim whose commit was not heard of is nobody's: the row says that this process runs the job, and this process does
//! not know. Such rows are found by comparing the two.
//!
//! What runs here is counted here too, by lane: a claim under a limit need not have the database look up each job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::JobId;
use crate::store::claim::{Claimed, Receipt};
use crate::store::settle::Settlement;

/// Claims from the moment they are heard of until their outcome is written.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    jobs: HashMap<(JobId, i32), Job>,
    /// How many jobs of each are left.
    left: HashMap<Receipt, usize>,
    /// Those of which none is left.
    ended: Vec<Receipt>,
}

#[derive(Debug)]
struct Job {
    receipt: Receipt,
    queue: Arc<str>,
    /// The lane in which it runs, or is about to.
    lane: Option<Uuid>,
}

impl Claims {
    /// These were made.
    pub(crate) fn made(&self, claimed: &[Claimed]) {
        let mut known = self.known();
        for job in claimed {
            let at = Job {
                receipt: job.receipt,
                queue: job.queue.clone(),
                lane: job.lane,
            };
            known.jobs.insert((job.id, job.epoch), at);
            *known.left.entry(job.receipt).or_default() += 1;
        }
    }

    /// It does not run any more, and what came of it is to be written.
    pub(crate) fn ended(&self, job: JobId, epoch: i32) {
        if let Some(job) = self.known().jobs.get_mut(&(job, epoch)) {
            job.lane = None;
        }
    }

    /// The lanes of the jobs of a queue that run, each as often as it has some.
    pub(crate) fn lanes(&self, queue: &str) -> Vec<Uuid> {
        let known = self.known();
        let jobs = known.jobs.values().filter(|job| &*job.queue == queue);
        jobs.filter_map(|job| job.lane).collect()
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
        let Some(Job { receipt, .. }) = self.jobs.remove(&(job, epoch)) else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::tests::job;
    use crate::store::settle::Fate;

    #[test]
    fn a_lane_has_room_again_when_its_job_has_ended_before_that_is_written() {
        let claims = Claims::default();
        claims.made(&[job(1, 7), job(2, 7), job(3, 8)]);
        let lanes = |queue| {
            let mut lanes: Vec<u128> = claims.lanes(queue).iter().map(Uuid::as_u128).collect();
            lanes.sort_unstable();
            lanes
        };
        assert_eq!(lanes("q"), [7, 7, 8]);
        assert!(lanes("other").is_empty());
        claims.ended(JobId(2), 2);
        assert_eq!(lanes("q"), [7, 7, 8], "that is another claim");
        claims.ended(JobId(2), 1);
        assert_eq!(lanes("q"), [7, 8]);
        claims.settled(&[Settlement::new(JobId(2), 1, false, Fate::Done)]);
        assert_eq!(lanes("q"), [7, 8]);
    }
}
