//! Jobs that are claimed and not begun, in the order in which they are to begin.
//!
//! Where lanes take turns they do so here too: what of a lane is far behind because so much of it was claimed is no more in
//! the way of another lane than it was in the database. The first job of a lane has the turn that is up, the next the turn
//! after that, and so on; a job of a queue without turns goes behind all that is there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::store::claim::Claimed;

/// A lane of a queue; all jobs without one are one lane.
type LaneOf = (Arc<str>, Option<Uuid>);

/// Lanes are forgotten when there are so many more of them than jobs.
const SLACK: usize = 64;

/// The jobs of one pool, each with the time it came.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// By their turns, and in one turn in the order in which they came.
    jobs: BTreeMap<(u64, u64), (Instant, Claimed)>,
    /// The turn that is up.
    turn: u64,
    /// How many jobs came.
    count: u64,
    /// The last turn of each lane.
    lanes: HashMap<LaneOf, u64>,
}

impl Buffer {
    /// One more came.
    pub(super) fn push(&mut self, came: Instant, job: Claimed, takes_turns: bool) {
        let turn = if takes_turns {
            let lane = (job.queue.clone(), job.lane);
            let turn = self.lanes.get(&lane).map_or(0, |last| last + 1);
            let turn = turn.max(self.turn);
            self.lanes.insert(lane, turn);
            turn
        } else {
            let last = self.jobs.last_key_value();
            last.map_or(self.turn, |((turn, _), _)| *turn)
        };
        self.count += 1;
        self.jobs.insert((turn, self.count), (came, job));
        if self.lanes.len() > 2 * self.jobs.len() + SLACK {
            let up = self.turn;
            self.lanes.retain(|_, turn| *turn >= up);
        }
    }

    /// The one that is to begin.
    pub(super) fn pop(&mut self) -> Option<Claimed> {
        let ((turn, _), (_, job)) = self.jobs.pop_first()?;
        self.turn = turn;
        Some(job)
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> Vec<Claimed> {
        let jobs = std::mem::take(&mut self.jobs);
        jobs.into_values().map(|(_, job)| job).collect()
    }

    /// Takes out what has waited for so long.
    pub(super) fn older(&mut self, than: Duration) -> Vec<Claimed> {
        let (old, young): (BTreeMap<_, _>, _) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|(_, (came, _))| came.elapsed() >= than);
        self.jobs = young;
        old.into_values().map(|(_, job)| job).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::JobId;
    use crate::store::claim::Receipt;

    fn job(id: i64, lane: u128) -> Claimed {
        Claimed {
            id: JobId(id),
            epoch: 1,
            queue: "q".into(),
            kind: "k".into(),
            version: 1,
            priority: 0,
            attempt: 1,
            max_attempts: 1,
            lane: Some(Uuid::from_u128(lane)),
            payload: "{}".into(),
            trace: None,
            run_at: DateTime::UNIX_EPOCH,
            created_at: DateTime::UNIX_EPOCH,
            progress: None,
            batch: None,
            search: Duration::ZERO,
            receipt: Receipt { node: 1, number: 1 },
        }
    }

    fn order(buffer: &mut Buffer) -> Vec<i64> {
        std::iter::from_fn(|| buffer.pop())
            .map(|job| job.id.0)
            .collect()
    }

    #[test]
    fn a_lane_that_comes_late_waits_for_one_job_of_each_other() {
        let mut buffer = Buffer::default();
        let now = Instant::now();
        for id in 0..6 {
            buffer.push(now, job(id, 7), true);
        }
        assert_eq!(buffer.pop().map(|job| job.id.0), Some(0));
        buffer.push(now, job(10, 8), true);
        buffer.push(now, job(11, 8), true);
        buffer.push(now, job(12, 9), true);
        assert_eq!(order(&mut buffer), [10, 12, 1, 11, 2, 3, 4, 5]);
        // Having had its turns, a lane is not kept waiting for others that had none.
        buffer.push(now, job(20, 7), true);
        assert_eq!(order(&mut buffer), [20]);
    }

    #[test]
    fn without_turns_jobs_begin_as_they_came() {
        let mut buffer = Buffer::default();
        let now = Instant::now();
        buffer.push(now, job(1, 7), true);
        buffer.push(now, job(2, 7), true);
        for id in 3..6 {
            buffer.push(now, job(id, 8), false);
        }
        assert_eq!(order(&mut buffer), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn lanes_without_jobs_are_forgotten() {
        let mut buffer = Buffer::default();
        for id in 0..1000 {
            buffer.push(Instant::now(), job(id, id.unsigned_abs().into()), true);
            buffer.pop();
            // The turn moves on with a lane that has more.
            buffer.push(Instant::now(), job(id, u128::MAX), true);
            buffer.pop();
        }
        assert!(buffer.lanes.len() <= SLACK + 2, "{}", buffer.lanes.len());
    }

    #[test]
    fn what_waits_too_long_is_taken_out_wherever_it_stands() {
        let mut buffer = Buffer::default();
        let now = Instant::now();
        let long_ago = now.checked_sub(Duration::from_secs(5)).unwrap();
        for (id, came) in [(1, long_ago), (2, now), (3, long_ago)] {
            buffer.push(came, job(id, 7), true);
        }
        let old = buffer.older(Duration::from_secs(1));
        assert_eq!(old.iter().map(|job| job.id.0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(order(&mut buffer), [2]);
    }
}
