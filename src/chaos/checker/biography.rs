//! The life of one job as the observer saw it.

use std::collections::HashSet;
use std::time::Duration;

use super::{Broken, Verdict, reads};
use crate::chaos::journal::{Build, End, Fault, Line, Order, Seen};
use crate::chaos::store::Finished;

/// An attempt that began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) at: i64,
    pub(super) by: u32,
    pub(super) epoch: i32,
    attempt: u16,
    max: u16,
    build: Build,
}

/// An effect that was committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effect {
    epoch: i32,
    pub(super) order: i64,
}

/// An attempt that came to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    at: i64,
    by: u32,
    pub(super) epoch: i32,
    how: End,
}

#[derive(Debug, Default)]
pub(super) struct Biography {
    pub(super) order: Option<Order>,
    asked_at: Option<i64>,
    pub(super) job: Option<i64>,
    pub(super) accepted_at: Option<i64>,
    pub(super) folded: bool,
    pub(super) starts: Vec<Start>,
    pub(super) effects: Vec<Effect>,
    pub(super) refused: HashSet<i32>,
    pub(super) ends: Vec<Ended>,
}

impl Biography {
    pub(super) fn note(&mut self, line: &Line) {
        let (at, by) = (line.at, line.by);
        match &line.seen {
            Seen::Asked { order, .. } => {
                self.order = Some(order.clone());
                self.asked_at = Some(at);
            }
            Seen::Accepted { job, .. } => {
                self.accepted_at = Some(at);
                self.job = Some(*job);
            }
            Seen::Folded { .. } => self.folded = true,
            Seen::Start {
                job,
                epoch,
                attempt,
                max,
                build,
                ..
            } => {
                self.job.get_or_insert(*job);
                self.starts.push(Start {
                    at,
                    by,
                    epoch: *epoch,
                    attempt: *attempt,
                    max: *max,
                    build: *build,
                });
            }
            Seen::Effect { epoch, order, .. } => self.effects.push(Effect {
                epoch: *epoch,
                order: *order,
            }),
            Seen::Refused { epoch, .. } => drop(self.refused.insert(*epoch)),
            Seen::End { epoch, how, .. } => self.ends.push(Ended {
                at,
                by,
                epoch: *epoch,
                how: *how,
            }),
            Seen::Fault { .. } => {}
        }
    }

    /// Claims follow each other; their starts may be written down in another order.
    pub(super) fn order_starts(&mut self) {
        self.starts.sort_by_key(|start| (start.epoch, start.at));
        self.effects.sort_by_key(|effect| effect.order);
    }

    /// What was accepted is there, and ended as it had to.
    pub(super) fn is_kept(
        &self,
        number: u64,
        finished: Option<&Finished>,
        left: &HashSet<i64>,
        verdict: &mut Verdict,
    ) {
        let there = finished.is_some() || self.job.is_some_and(|job| left.contains(&job));
        if self.accepted_at.is_some() && !there {
            verdict
                .lost
                .push(format!("job {number} was accepted and is gone"));
        }
        let Some(finished) = finished else { return };
        let poison = self.order.as_ref().is_some_and(|order| order.poison);
        let due = if poison { "discarded" } else { "completed" };
        if finished.outcome != due {
            let outcome = &finished.outcome;
            verdict
                .lost
                .push(format!("job {number} is {outcome} and was to be {due}"));
        } else if poison && finished.attempt != finished.max_attempts {
            let (attempt, max) = (finished.attempt, finished.max_attempts);
            verdict.lost.push(format!(
                "job {number} was given up at attempt {attempt} of {max}"
            ));
        } else if let Some(told) = finished.epoch
            && !self.effects.iter().any(|effect| effect.epoch == told)
        {
            verdict
                .lost
                .push(format!("job {number} is completed without its effect"));
        }
    }

    /// Each start but the first has a reason, and each attempt that was paid for too.
    pub(super) fn is_accounted_for(
        &self,
        number: u64,
        faults: &[Broken],
        lease: i64,
        verdict: &mut Verdict,
    ) {
        let version = self.order.as_ref().map_or(0, |order| order.version);
        for start in &self.starts {
            if start.attempt > start.max {
                let (attempt, max) = (start.attempt, start.max);
                verdict
                    .lost
                    .push(format!("job {number} began attempt {attempt} of {max}"));
            }
            if version > reads(start.build) {
                verdict.other.push(format!(
                    "job {number}: an old program began a payload of version {version}"
                ));
            }
        }
        if let (Some(first), Some(asked)) = (self.starts.first(), self.asked_at)
            && first.attempt > 1
            && !faults
                .iter()
                .any(|fault| fault.hits(None, asked, first.at, lease) && fault.counts())
        {
            let attempt = first.attempt;
            verdict.lost.push(format!(
                "job {number}: its first start is attempt {attempt}, and nothing took those before"
            ));
        }
        for pair in self.starts.windows(2) {
            let [one, next] = pair else { continue };
            if one.epoch == next.epoch {
                let (one, next, epoch) = (one.by, next.by, one.epoch);
                verdict.unexplained_duplicates.push(format!(
                    "job {number} was begun twice under claim {epoch}, by workers {one} and {next}"
                ));
                continue;
            }
            let told = self.ends.iter().any(|end| {
                end.epoch == one.epoch
                    && end.by == one.by
                    && end.how != End::Done
                    && end.at <= next.at
            });
            let hit: Vec<&Broken> = faults
                .iter()
                .filter(|fault| fault.hits(Some(one.by), one.at, next.at, lease))
                .collect();
            if !told && hit.is_empty() {
                let (one, next) = (one.by, next.by);
                verdict.unexplained_duplicates.push(format!(
                    "job {number} was begun by worker {next} though nothing had befallen worker {one}"
                ));
            }
            let free = next.attempt > one.attempt
                && !told
                && !faults
                    .iter()
                    .any(|fault| fault.hits(None, one.at, next.at, lease) && fault.counts());
            if free && !hit.is_empty() {
                let (from, to) = (one.attempt, next.attempt);
                verdict.lost.push(format!(
                    "job {number} was given back by a stop and paid for it: attempt {from}, then {to}"
                ));
            }
        }
    }

    /// Nothing was accepted from a claim after a later one had been made.
    pub(super) fn is_fenced(
        &self,
        number: u64,
        finished: Option<&Finished>,
        verdict: &mut Verdict,
    ) {
        for pair in self.effects.windows(2) {
            if let [one, next] = pair
                && one.epoch > next.epoch
            {
                let (late, after) = (next.epoch, one.epoch);
                verdict.stale_accepted.push(format!(
                    "job {number}: claim {late} had an effect after claim {after} had had one"
                ));
            }
        }
        let Some(finished) = finished else { return };
        let Some(told) = finished.epoch else { return };
        let newest = self.starts.iter().map(|start| start.epoch).max();
        if newest.is_some_and(|newest| newest > told) {
            verdict.stale_accepted.push(format!(
                "job {number}: the outcome of claim {told} was accepted after claim {} was made",
                newest.unwrap_or_default()
            ));
        }
        if self.refused.contains(&told) {
            verdict.stale_accepted.push(format!(
                "job {number}: claim {told} was refused its effect and its outcome was accepted"
            ));
        }
        if let Some(by) = finished.told_attempt
            && by != i32::from(finished.attempt)
        {
            let kept = finished.attempt;
            verdict.stale_accepted.push(format!(
                "job {number}: attempt {by} told the outcome that attempt {kept} has"
            ));
        }
    }

    /// How long after its process was gone it began again, for each time that it was.
    pub(super) fn reruns(&self, faults: &[Broken]) -> Vec<Duration> {
        let mut reruns = Vec::new();
        for pair in self.starts.windows(2) {
            let [one, next] = pair else { continue };
            let gone = faults.iter().find(|fault| {
                let is_death = matches!(
                    fault.kind,
                    Fault::Kill { .. } | Fault::Pause { .. } | Fault::Poison { .. }
                );
                is_death
                    && fault.kind.worker() == Some(one.by)
                    && (one.at..=next.at).contains(&fault.from)
            });
            let ended = self
                .ends
                .iter()
                .any(|end| end.epoch == one.epoch && gone.is_some_and(|gone| end.at <= gone.from));
            // An outage makes everything wait, and is measured by itself.
            let outage = faults.iter().any(|fault| {
                fault.kind.worker().is_none() && fault.from <= next.at && fault.until >= one.at
            });
            if let Some(gone) = gone
                && !ended
                && !outage
            {
                let micros = u64::try_from(next.at - gone.from).unwrap_or(0);
                reruns.push(Duration::from_micros(micros));
            }
        }
        reruns
    }
}

impl Broken {
    /// Whether it can be why something of `worker` between the two times was interrupted.
    ///
    /// What hits the database hits all, and a lease that could not be renewed runs out later.
    pub(super) fn hits(&self, worker: Option<u32>, from: i64, to: i64, lease: i64) -> bool {
        let late = match self.kind {
            // It begins what it had claimed before, until it looks at its lease again.
            Fault::Pause { .. } => lease / 3,
            _ if self.kind.worker().is_some() => 0,
            _ => lease,
        };
        let theirs = match (self.kind.worker(), worker) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        theirs && self.from <= to && self.until + late >= from
    }

    /// Whether it takes attempts.
    fn counts(&self) -> bool {
        !matches!(self.kind, Fault::Deploy { .. })
    }
}
