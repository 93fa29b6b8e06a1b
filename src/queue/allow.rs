//! Decide which of the jobs that could run next may start, under the rules in force.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use crate::rule::Scope;

/// A job that could run next.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Candidate {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) lane: Option<Uuid>,
    /// Empty: none.
    pub(crate) limit_key: String,
    /// It has been put out of the way before.
    pub(crate) held: bool,
}

/// A rule that some candidate is under.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(crate) struct InForce {
    pub(crate) scope: Scope,
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) max_running: Option<i32>,
    pub(crate) lane_running: Option<i32>,
    pub(crate) key_running: Option<i32>,
    /// How many more may start now, if there is a rate.
    pub(crate) rate_left: Option<i32>,
    /// In how many seconds one more may, if none may now.
    pub(crate) rate_wait: Option<f64>,
}

/// Jobs that run, counted together.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Busy {
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) lane: Option<Uuid>,
    pub(crate) limit_key: String,
    pub(crate) count: i64,
}

/// What may start, and what is in the way of the rest.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub(crate) run: Vec<i64>,
    /// Jobs to be put out of the way of those behind them.
    pub(crate) hold: Vec<i64>,
    /// Which of them start under each rule that has a rate.
    pub(crate) rated: HashMap<(Scope, String), Vec<i64>>,
    /// The end of a running job would let another start.
    pub(crate) limited: bool,
    /// In so long a rate lets another start.
    pub(crate) wait: Option<Duration>,
}

/// What a job is bound by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bound<'a> {
    Queue,
    /// What its queue allows of each lane.
    LaneHere(Uuid),
    Lane(Uuid),
    Kind(&'a str),
    /// What its queue allows of each key.
    KeyHere(&'a str),
    Key(&'a str),
}

/// How many more may start under one bound.
#[derive(Debug, Clone, Copy)]
struct Budget {
    paused: bool,
    /// By the jobs that run.
    room: Option<i64>,
    /// By the rate.
    rate: Option<i64>,
    wait: Option<f64>,
}

impl Decision {
    /// How many of those that did start did so under each rule that has a rate.
    pub(crate) fn used(
        &self,
        started: &HashSet<i64>,
    ) -> impl Iterator<Item = (Scope, &str, usize)> {
        let rated = self.rated.iter();
        let used = rated.map(|((scope, name), jobs)| {
            let used = jobs.iter().filter(|job| started.contains(job)).count();
            (*scope, &**name, used)
        });
        used.filter(|(_, _, used)| *used > 0)
    }
}

/// Why a job may not start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Refusal {
    Paused,
    /// As many run as may.
    Full,
    /// One may in so many seconds.
    Rate(f64),
}

/// Which of `candidates` of `queue`, in their order, may start: at most `most`.
///
/// A job that its kind or its key keeps back is held, so that those behind it are found; one that its lane keeps back is
/// passed over, as lanes that may start nothing are not looked into; what the queue itself allows ends the round.
pub(crate) fn decide(
    queue: &str,
    most: usize,
    candidates: &[Candidate],
    rules: &[InForce],
    busy: &[Busy],
) -> Decision {
    let mut decision = Decision::default();
    let running = running(queue, busy);
    let rules = by_name(rules);
    let mut budgets: HashMap<Bound<'_>, Budget> = HashMap::new();
    for job in candidates {
        if decision.run.len() == most {
            break;
        }
        let bounds = bounds(&job.kind, job.lane, &job.limit_key);
        let refused = bounds.iter().find_map(|bound| {
            let budget = budgets
                .entry(*bound)
                .or_insert_with(|| budget(*bound, queue, &rules, &running));
            Some((*bound, budget.refusal()?))
        });
        let Some((bound, why)) = refused else {
            for bound in &bounds {
                let budget = budgets.get_mut(bound);
                if budget.is_some_and(|budget| budget.spend()) {
                    let rated = decision.rated.entry(bound.name(queue)).or_default();
                    rated.push(job.id);
                }
            }
            decision.run.push(job.id);
            continue;
        };
        match why {
            Refusal::Paused => {}
            Refusal::Full => decision.limited = true,
            Refusal::Rate(seconds) => {
                let wait = Duration::from_secs_f64(seconds);
                decision.wait = Some(decision.wait.map_or(wait, |known| known.min(wait)));
            }
        }
        match bound {
            Bound::Queue => break,
            Bound::LaneHere(_) | Bound::Lane(_) => {}
            Bound::Kind(_) | Bound::KeyHere(_) | Bound::Key(_) if job.held => {}
            Bound::Kind(_) | Bound::KeyHere(_) | Bound::Key(_) => decision.hold.push(job.id),
        }
    }
    decision
}

/// Which scope and name keeps this job of `queue` from starting, and why; `None` if nothing does.
pub(crate) fn refusal(
    queue: &str,
    job: &Candidate,
    rules: &[InForce],
    busy: &[Busy],
) -> Option<(Scope, String, Refusal)> {
    let (rules, running) = (by_name(rules), running(queue, busy));
    let bounds = bounds(&job.kind, job.lane, &job.limit_key);
    bounds.into_iter().find_map(|bound| {
        let why = budget(bound, queue, &rules, &running).refusal()?;
        let (scope, name) = bound.subject(queue);
        Some((scope, name, why))
    })
}

fn by_name(rules: &[InForce]) -> HashMap<(Scope, &str), &InForce> {
    let rules = rules.iter();
    rules
        .map(|rule| ((rule.scope, &*rule.name), rule))
        .collect()
}

/// What a job of `queue` is bound by, the widest first.
fn bounds<'a>(kind: &'a str, lane: Option<Uuid>, key: &'a str) -> Vec<Bound<'a>> {
    let mut bounds = vec![Bound::Queue];
    if let Some(lane) = lane {
        bounds.extend([Bound::LaneHere(lane), Bound::Lane(lane)]);
    }
    bounds.push(Bound::Kind(kind));
    if !key.is_empty() {
        bounds.extend([Bound::KeyHere(key), Bound::Key(key)]);
    }
    bounds
}

/// How many jobs run under each bound of a job of `queue`.
fn running<'a>(queue: &str, busy: &'a [Busy]) -> HashMap<Bound<'a>, i64> {
    let mut running = HashMap::new();
    for busy in busy {
        for bound in bounds(&busy.kind, busy.lane, &busy.limit_key) {
            let is_here = matches!(bound, Bound::Queue | Bound::LaneHere(_) | Bound::KeyHere(_));
            if !is_here || busy.queue == queue {
                *running.entry(bound).or_default() += busy.count;
            }
        }
    }
    running
}

impl Bound<'_> {
    /// What it counts.
    fn subject(&self, queue: &str) -> (Scope, String) {
        match self {
            Self::LaneHere(lane) => Self::Lane(*lane).name(queue),
            Self::KeyHere(key) => Self::Key(key).name(queue),
            whole => whole.name(queue),
        }
    }

    /// The scope and name of the rule whose rate it is under.
    fn name(&self, queue: &str) -> (Scope, String) {
        match self {
            Self::Queue | Self::LaneHere(_) | Self::KeyHere(_) => (Scope::Queue, queue.to_owned()),
            Self::Lane(lane) => (Scope::Lane, lane.to_string()),
            Self::Kind(kind) => (Scope::Kind, (*kind).to_owned()),
            Self::Key(key) => (Scope::Key, (*key).to_owned()),
        }
    }
}

fn budget(
    bound: Bound<'_>,
    queue: &str,
    rules: &HashMap<(Scope, &str), &InForce>,
    running: &HashMap<Bound<'_>, i64>,
) -> Budget {
    let (scope, name) = bound.name(queue);
    let rule = rules.get(&(scope, &*name));
    let is_part = matches!(bound, Bound::LaneHere(_) | Bound::KeyHere(_));
    let whole = rule.filter(|_| !is_part);
    let limit = rule.and_then(|rule| match bound {
        Bound::LaneHere(_) => rule.lane_running,
        Bound::KeyHere(_) => rule.key_running,
        _ => rule.max_running,
    });
    let running = running.get(&bound).copied().unwrap_or_default();
    Budget {
        paused: whole.is_some_and(|rule| rule.paused),
        room: limit.map(|limit| i64::from(limit) - running),
        rate: whole.and_then(|rule| rule.rate_left).map(i64::from),
        wait: whole.and_then(|rule| rule.rate_wait),
    }
}

impl Budget {
    fn refusal(&self) -> Option<Refusal> {
        if self.paused {
            Some(Refusal::Paused)
        } else if self.room.is_some_and(|room| room <= 0) {
            Some(Refusal::Full)
        } else if self.rate.is_some_and(|rate| rate <= 0) {
            Some(Refusal::Rate(self.wait.unwrap_or_default().max(0.0)))
        } else {
            None
        }
    }

    /// One more starts; whether a rate is told of it.
    fn spend(&mut self) -> bool {
        self.room = self.room.map(|room| room - 1);
        self.rate = self.rate.map(|rate| rate - 1);
        self.rate.is_some()
    }
}

#[cfg(test)]
mod tests;
