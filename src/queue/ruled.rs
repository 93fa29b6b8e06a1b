//! Claim in queues that are under rules.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::allow::{Candidate, Decision, decide};
use crate::store::claim::{Claimed, Want};
use crate::store::ruled::{self, PILES, Start};

/// How the rules bear on a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// Lanes take turns.
    pub(crate) turns: bool,
    /// Something is limited.
    pub(crate) limited: bool,
    /// Some rules go across queues.
    pub(crate) crossing: bool,
}

/// What a claim under rules came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) jobs: Vec<Claimed>,
    /// Where the next one starts.
    pub(crate) start: Start,
    /// There may be more that may start now.
    pub(crate) more: bool,
    /// The end of a running job would let another start.
    pub(crate) limited: bool,
    /// In so long a rate lets another start.
    pub(crate) wait: Option<Duration>,
}

/// Makes sure that only this transaction claims in the queues of `wants`, each with the way of its rules.
pub(crate) async fn lock(db: &mut PgConnection, wants: &[(&Want, Way)]) -> sqlx::Result<()> {
    let queues: Vec<&str> = wants.iter().map(|(want, _)| &*want.queue).collect();
    let crossing = wants.iter().any(|(_, way)| way.crossing);
    ruled::lock(db, &queues, crossing).await
}

/// Claims jobs of one queue that may start under its rules; the queue is [locked](lock).
pub(crate) async fn claim(
    db: &mut PgConnection,
    node: i64,
    want: &Want,
    way: Way,
    not: &[String],
) -> sqlx::Result<Round> {
    let candidates = if way.turns {
        ruled::by_turns(db, want, &want.start, not, way.limited).await?
    } else {
        ruled::first(db, want, &want.start, not).await?
    };
    let decision = if way.limited {
        let rules = ruled::in_force(db, &want.queue, &candidates).await?;
        let busy = ruled::busy(db).await?;
        decide(&want.queue, want.most, &candidates, &rules, &busy)
    } else {
        decide(&want.queue, want.most, &candidates, &[], &[])
    };
    let mut round = Round {
        start: next(want, way, &candidates),
        limited: decision.limited,
        wait: decision.wait,
        ..Round::default()
    };
    if !decision.run.is_empty() {
        round.jobs = ruled::take(db, node, want, &decision.run).await?;
    }
    if !decision.hold.is_empty() {
        ruled::hold(db, &decision.hold).await?;
    }
    for ((scope, name), started) in &decision.started {
        ruled::use_rate(db, *scope, name, *started).await?;
    }
    round.more = is_more(want, way, &decision);
    sort(&mut round.jobs, &decision.run);
    Ok(round)
}

/// Whether another claim may find more: some were put out of the way, other lanes are next, or a lane had more than its turn.
fn is_more(want: &Want, way: Way, decision: &Decision) -> bool {
    let has_begun_anew = want.start == Start::default();
    !decision.hold.is_empty()
        || !has_begun_anew
        || (way.turns && !decision.run.is_empty() && decision.run.len() < want.most)
}

/// Where the next look starts: behind the last lane that was looked at if there were more than could be, else at the first.
fn next(want: &Want, way: Way, candidates: &[Candidate]) -> Start {
    let mut start = Start::default();
    if way.turns {
        let mut lanes: Vec<Uuid> = candidates.iter().filter_map(|job| job.lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let last = lanes.last().filter(|_| lanes.len() >= want.most);
        if let Some(behind) = last.and_then(|last| last.as_u128().checked_add(1)) {
            start.lane = Uuid::from_u128(behind);
        }
    }
    let mut piles: Vec<(&str, &str)> = candidates
        .iter()
        .filter(|job| job.held)
        .map(|job| (&*job.kind, &*job.limit_key))
        .collect();
    piles.sort_unstable();
    piles.dedup();
    if let Some((kind, key)) = piles.last().filter(|_| piles.len() >= PILES) {
        start.pile = ((*kind).to_owned(), (*key).to_owned());
    }
    start
}

/// In the order in which they are to run.
fn sort(jobs: &mut [Claimed], order: &[i64]) {
    let places: HashMap<i64, usize> = order.iter().copied().zip(0..).collect();
    jobs.sort_by_key(|job| places.get(&job.id.0).copied());
}
