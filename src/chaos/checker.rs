//! The judge: what the observer saw beside what the queue says in the end. It knows no database and asks nobody.

mod biography;
mod times;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::journal::{Build, Fault, Line, Seen};
use super::store::{Finished, Left};
use biography::Biography;
pub(super) use times::{percentile, resumes};

/// All that is to be judged.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The lease of the workers.
    pub(super) lease: Duration,
    /// What was seen, in the order of time.
    pub(super) lines: Vec<Line>,
    /// What the queue says is finished.
    pub(super) finished: Vec<Finished>,
    /// What it says is not, after all had its time.
    pub(super) left: Vec<Left>,
    /// The places of the effects that the database has.
    pub(super) effects: HashSet<i64>,
}

/// What the judge found, each fault in words.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Accepted work that is gone, that ended without having been done, or that paid for attempts that nothing took.
    pub(super) lost: Vec<String>,
    /// Outcomes and effects of claims that were no longer the job's.
    pub(super) stale_accepted: Vec<String>,
    /// Starts that no fault and no failure accounts for, and two live jobs of one key.
    pub(super) unexplained_duplicates: Vec<String>,
    /// Jobs that are not finished.
    pub(super) stuck: Vec<String>,
    /// Any other promise that was broken.
    pub(super) other: Vec<String>,
    pub(super) counts: Counts,
    /// How long after its process was gone each interrupted job began again.
    pub(super) reruns: Vec<Duration>,
    /// How long after each outage was over the first job began.
    pub(super) resumes: Vec<(Fault, Duration)>,
}

/// How much there was to judge.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// Enqueues that were committed and answered.
    pub(super) accepted: usize,
    /// Enqueues of which it is not known.
    pub(super) unanswered: usize,
    pub(super) starts: usize,
    pub(super) effects: usize,
    pub(super) ends: usize,
    /// Starts after the first of their job.
    pub(super) again: usize,
    /// Claims that the fence told were gone.
    pub(super) refused: usize,
    /// Effects of workers whose clock was wrong.
    pub(super) by_wrong_clocks: usize,
    /// Attempts that went on to their end though their claim was gone.
    pub(super) outlived: usize,
}

impl Verdict {
    /// Whether every promise was kept.
    pub(super) fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// Everything that was found, a line each.
    pub(super) fn faults(&self) -> Vec<String> {
        let parts = [
            ("lost", &self.lost),
            ("stale accepted", &self.stale_accepted),
            ("unexplained", &self.unexplained_duplicates),
            ("stuck", &self.stuck),
            ("other", &self.other),
        ];
        let lines = parts
            .iter()
            .flat_map(|(what, found)| found.iter().map(move |one| format!("{what}: {one}")));
        lines.collect()
    }
}

/// A fault and its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broken {
    pub(super) kind: Fault,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// Judges.
pub(super) fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    let faults = faults(&evidence.lines);
    let mut lives = lives(&evidence.lines);
    for life in lives.values_mut() {
        life.order_starts();
    }
    let finished: HashMap<i64, &Finished> =
        evidence.finished.iter().map(|one| (one.job, one)).collect();
    let left: HashSet<i64> = evidence.left.iter().map(|one| one.job).collect();
    let twice = evidence.finished.len() - finished.len();
    if twice > 0 {
        verdict
            .stale_accepted
            .push(format!("{twice} jobs are finished more than once"));
    }

    let lease = micros(evidence.lease);
    for (number, life) in &lives {
        verdict.count(life);
        let known = life.job.and_then(|job| finished.get(&job).copied());
        life.is_kept(*number, known, &left, &mut verdict);
        life.is_accounted_for(*number, &faults, lease, &mut verdict);
        life.is_fenced(*number, known, &mut verdict);
        for effect in &life.effects {
            if !evidence.effects.contains(&effect.order) {
                let order = effect.order;
                verdict.lost.push(format!(
                    "job {number}: its effect {order} was committed and is gone"
                ));
            }
        }
        verdict.reruns.extend(life.reruns(&faults));
    }
    keys(&lives, &finished, &mut verdict);
    verdict
        .stuck
        .extend(evidence.left.iter().map(|one| one.told.clone()));
    verdict.resumes = resumes(&faults, &evidence.lines);
    verdict
}

impl Verdict {
    fn count(&mut self, life: &Biography) {
        let counts = &mut self.counts;
        match (life.accepted_at, life.folded) {
            (Some(_), _) => counts.accepted += 1,
            (None, false) => counts.unanswered += 1,
            (None, true) => {}
        }
        counts.starts += life.starts.len();
        counts.again += life.starts.len().saturating_sub(1);
        counts.effects += life.effects.len();
        counts.refused += life.refused.len();
        counts.ends += life.ends.len();
        let outlived = life.ends.iter();
        counts.outlived += outlived
            .filter(|end| life.refused.contains(&end.epoch))
            .count();
    }
}

/// What is broken from when to when.
pub(super) fn faults(lines: &[Line]) -> Vec<Broken> {
    let faults = lines.iter().filter_map(|line| match line.seen {
        Seen::Fault { kind, until } => Some(Broken {
            kind,
            from: line.at,
            until,
        }),
        _ => None,
    });
    faults.collect()
}

fn lives(lines: &[Line]) -> BTreeMap<u64, Biography> {
    let mut lives: BTreeMap<u64, Biography> = BTreeMap::new();
    for line in lines {
        let number = match &line.seen {
            Seen::Asked { number, .. }
            | Seen::Accepted { number, .. }
            | Seen::Folded { number }
            | Seen::Start { number, .. }
            | Seen::Effect { number, .. }
            | Seen::Refused { number, .. }
            | Seen::End { number, .. } => *number,
            Seen::Fault { .. } => continue,
        };
        lives.entry(number).or_default().note(line);
    }
    lives
}

/// Two jobs of one key never live at once.
///
/// A job lives at least from the answer to its enqueue until the transaction began that finished it.
fn keys(
    lives: &BTreeMap<u64, Biography>,
    finished: &HashMap<i64, &Finished>,
    verdict: &mut Verdict,
) {
    let mut spans: HashMap<&str, Vec<(i64, i64, u64)>> = HashMap::new();
    for (number, life) in lives {
        let key = life.order.as_ref().and_then(|order| order.key.as_deref());
        let end = life.job.and_then(|job| finished.get(&job));
        if let (Some(key), Some(from), Some(end)) = (key, life.accepted_at, end) {
            let span = (from, end.finished_at, *number);
            spans.entry(key).or_default().push(span);
        }
    }
    for (key, mut spans) in spans {
        spans.sort_unstable();
        for pair in spans.windows(2) {
            if let [(_, until, one), (from, end, other)] = pair
                && from < until
                && from < end
            {
                verdict.unexplained_duplicates.push(format!(
                    "jobs {one} and {other} lived at once under the key {key}"
                ));
            }
        }
    }
}

/// The newest version of `chaos_mixed` that a build reads.
fn reads(build: Build) -> u16 {
    match build {
        Build::Old => 1,
        Build::New => 2,
    }
}

pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
