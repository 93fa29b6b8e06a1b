//! Jobs that are claimed and not begun, in the order in which they are to begin.
//!
//! Where lanes take turns they do so here too: what of a lane is far behind because so much of it was claimed is no more in
//! the way of another lane than it was in the database. The first job of a lane has the turn that is up, the next the turn
//! after that, and so on; a job of a queue without turns goes behind all that is there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::store::claim::Claimed;

/// A lane of a queue; all jobs without one are one lane.
type LaneOf = (Arc<str>, Option<Uuid>);

/// So many lanes are known before it is looked which of them can be forgotten.
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
    /// The last turn of each lane; one that is not known may have the turn that is up.
    lanes: HashMap<LaneOf, u64>,
    /// How many lanes were left when it was looked last which of them can be forgotten.
    left: usize,
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
        // Not at every push: one look takes as long as there are lanes.
        if self.lanes.len() > 2 * self.left + SLACK {
            self.forget();
        }
    }

    /// Forgets the lanes of which no job is here. One that has had the turn that is up may have it once more.
    fn forget(&mut self) {
        let up = self.turn;
        let has_it: HashSet<LaneOf> = self
            .jobs
            .range(..(up + 1, 0))
            .map(|(_, (_, job))| (job.queue.clone(), job.lane))
            .collect();
        let lanes = &mut self.lanes;
        lanes.retain(|lane, last| *last > up || has_it.contains(lane));
        self.left = lanes.len();
    }

    /// Forgets all lanes, as no job is here: all have the turn after the one that is up.
    fn begin_anew(&mut self) {
        self.turn += 1;
        self.lanes.clear();
        self.left = 0;
    }

    /// The one that is to begin.
    pub(super) fn pop(&mut self) -> Option<Claimed> {
        let ((turn, _), (_, job)) = self.jobs.pop_first()?;
        self.turn = turn;
        if self.jobs.is_empty() {
            self.begin_anew();
        }
        Some(job)
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> Vec<Claimed> {
        self.take_out(|_, _| true)
    }

    /// Takes out what has waited for so long.
    pub(super) fn older(&mut self, than: Duration) -> Vec<Claimed> {
        self.take_out(|came, _| came.elapsed() >= than)
    }

    /// Takes out those of which `is_out` says so, by when they came and what they are.
    pub(super) fn take_out(
        &mut self,
        mut is_out: impl FnMut(Instant, &Claimed) -> bool,
    ) -> Vec<Claimed> {
        let (out, left): (BTreeMap<_, _>, _) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|(_, (came, job))| is_out(*came, job));
        self.jobs = left;
        if !out.is_empty() {
            self.give_turns_back();
        }
        out.into_values().map(|(_, job)| job).collect()
    }

    /// Jobs were taken out that had not begun: what comes of their lanes next goes behind those that are left, and no
    /// further.
    fn give_turns_back(&mut self) {
        let mut left: HashMap<LaneOf, u64> = HashMap::new();
        for ((turn, _), (_, job)) in &self.jobs {
            left.insert((job.queue.clone(), job.lane), *turn);
        }
        let up = self.turn;
        for (lane, last) in &mut self.lanes {
            *last = (*last).min(left.get(lane).copied().unwrap_or(up));
        }
        if self.jobs.is_empty() {
            self.begin_anew();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::tests::job;

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
        let now = Instant::now();
        let mut buffer = Buffer::default();
        for id in 0..1000 {
            buffer.push(now, job(id, id.unsigned_abs().into()), true);
            buffer.pop();
            assert!(buffer.lanes.is_empty(), "{}", buffer.lanes.len());
        }
        // Nor are they known for as long as some job is here.
        buffer.push(now, job(1000, u128::MAX), true);
        for id in 0..1000 {
            buffer.push(now, job(id, id.unsigned_abs().into()), true);
            buffer.pop();
            let most = SLACK + 2 * (buffer.jobs.len() + 1);
            assert!(buffer.lanes.len() <= most, "{}", buffer.lanes.len());
        }
    }

    #[test]
    fn many_lanes_are_gone_through_seldom() {
        let mut buffer = Buffer::default();
        let now = Instant::now();
        let mut looks = 0;
        let mut left = 0;
        for id in 0..10_000 {
            buffer.push(now, job(id, id.unsigned_abs().into()), true);
            looks += usize::from(buffer.left != left);
            left = buffer.left;
        }
        // Each time twice as many have come as were left the time before, and none can be forgotten.
        assert!((1..10).contains(&looks), "{looks}");
        assert_eq!(buffer.lanes.len(), 10_000);
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

    /// What of a lane is taken out has had no turn.
    #[test]
    fn a_lane_whose_jobs_were_taken_out_does_not_go_behind_all_others() {
        let mut buffer = Buffer::default();
        let now = Instant::now();
        let long_ago = now.checked_sub(Duration::from_secs(5)).unwrap();
        buffer.push(now, job(0, 7), true);
        for id in 1..20 {
            buffer.push(long_ago, job(id, 7), true);
        }
        for id in 20..24 {
            buffer.push(now, job(id, 8), true);
        }
        assert_eq!(buffer.older(Duration::from_secs(1)).len(), 19);
        buffer.push(now, job(30, 7), true);
        assert_eq!(order(&mut buffer), [0, 20, 21, 30, 22, 23]);

        for id in 40..50 {
            buffer.push(now, job(id, 7), true);
        }
        buffer.push(now, job(60, 8), true);
        assert_eq!(buffer.drain().len(), 11);
        for (id, lane) in [(70, 7), (71, 8), (72, 8)] {
            buffer.push(now, job(id, lane), true);
        }
        assert_eq!(order(&mut buffer), [70, 71, 72]);
    }
}
