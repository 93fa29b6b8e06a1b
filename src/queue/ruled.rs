//! Claim in queues that are under rules.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::JobId;
use crate::allow::{Candidate, Decision, decide};
use crate::store::claim::{Claimed, Want};
use crate::store::front;
use crate::store::ruled::{self, PILES, Start};
use crate::store::turns::{self, Turn};

/// The front is looked at as long as one of so many jobs there may run.
const WORTH_A_LOOK: usize = 4;

/// How the rules bear on a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// Lanes take turns.
    pub(crate) turns: bool,
    /// It is limited how many jobs of each lane run.
    pub(crate) each_lane: bool,
    /// Something is limited.
    pub(crate) limited: bool,
    /// Some rules go across queues.
    pub(crate) crossing: bool,
}

impl Way {
    /// Jobs are looked for lane by lane: of those in front some may have to wait for others of their lanes.
    fn by_lanes(self) -> bool {
        self.turns || self.each_lane
    }
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

/// The queues of some wants in which something is limited: only one transaction at a time claims there.
#[derive(Debug)]
pub(crate) struct Limited<'a> {
    queues: Vec<&'a str>,
    crossing: bool,
}

impl<'a> Limited<'a> {
    /// `None` if there are none.
    pub(crate) fn of(wants: &'a [Want]) -> Option<Self> {
        let limited = wants.iter().filter(|want| want.is_limited());
        let queues: Vec<&str> = limited.map(|want| &*want.queue).collect();
        (!queues.is_empty()).then(|| Self {
            queues,
            crossing: wants
                .iter()
                .any(|want| want.way.is_some_and(|way| way.crossing)),
        })
    }

    /// Makes sure that only this transaction claims there.
    pub(crate) async fn lock(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        ruled::lock(db, &self.queues, self.crossing).await
    }

    /// The same where nobody else does; says whether it is so.
    pub(crate) async fn try_lock(&self, db: &mut PgConnection) -> sqlx::Result<bool> {
        ruled::try_lock(db, &self.queues, self.crossing).await
    }
}

/// Claims jobs of one queue that may start under its rules; the queue is [locked](Limited::lock) if something is limited there.
pub(crate) async fn claim(
    db: &mut PgConnection,
    node: i64,
    want: &Want,
    way: Way,
    not: &[String],
) -> sqlx::Result<Round> {
    if way.by_lanes() && !way.crossing {
        let is_front_open = way.each_lane && !way.turns && !want.start.walks;
        if is_front_open && let Some(round) = from_front(db, node, want, not).await? {
            return Ok(round);
        }
        let turn = turns::take(db, node, want, not, way.limited).await?;
        if turn.fits {
            return Ok(in_turn(want, turn));
        }
        if !way.limited {
            // Something is limited now, and nobody is kept from claiming: the next look at the queue tells.
            return Ok(Round {
                start: want.start.clone(),
                ..Round::default()
            });
        }
    }
    let candidates = if way.by_lanes() {
        ruled::by_turns(db, want, &want.start, not).await?
    } else {
        ruled::first(db, want, &want.start, not).await?
    };
    let rules = ruled::in_force(db, &want.queue, &candidates).await?;
    let busy = ruled::busy(db).await?;
    let decision = decide(&want.queue, want.most, &candidates, &rules, &busy);
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
    // Somebody may have had hold of others, which started nothing.
    let started: HashSet<i64> = round.jobs.iter().map(|job| job.id.0).collect();
    for (scope, name, used) in decision.used(&started) {
        let used = i32::try_from(used).unwrap_or(i32::MAX);
        ruled::use_rate(db, scope, name, used).await?;
    }
    round.more = is_more(want, way, &decision);
    sort(&mut round.jobs, &decision.run);
    Ok(round)
}

/// Claims the first jobs of the queue of which their lanes may run another, and the rest from lane to lane; `None` if other
/// rules are in force by now.
async fn from_front(
    db: &mut PgConnection,
    node: i64,
    want: &Want,
    not: &[String],
) -> sqlx::Result<Option<Round>> {
    let front = front::take(db, node, want, not).await?;
    if !front.fits {
        return Ok(None);
    }
    let most = want.most - front.jobs.len();
    if most == 0 || front.seen < want.most {
        return Ok(Some(Round {
            jobs: front.jobs,
            limited: front.fills,
            ..Round::default()
        }));
    }
    // Next time they need not be looked at in vain.
    let walks = front.jobs.len() * WORTH_A_LOOK < want.most;
    let mut rest = Want {
        most,
        ..want.clone()
    };
    if let Some(running) = &mut rest.running {
        running.extend(front.jobs.iter().filter_map(|job| job.lane));
    }
    let turn = turns::take(db, node, &rest, not, true).await?;
    let mut round = in_turn(&rest, turn);
    round.start.walks = walks;
    round.limited |= front.fills;
    round.jobs.splice(0..0, front.jobs);
    Ok(Some(round))
}

/// What a claim came to that took the lanes in turn.
fn in_turn(want: &Want, turn: Turn) -> Round {
    let mut jobs = turn.jobs;
    jobs.sort_unstable_by_key(Claimed::position);
    let mut counts: HashMap<Option<Uuid>, usize> = HashMap::new();
    let mut places: HashMap<JobId, usize> = HashMap::new();
    for job in &jobs {
        let count = counts.entry(job.lane).or_default();
        places.insert(job.id, *count);
        *count += 1;
    }
    jobs.sort_by_key(|job| (places.get(&job.id).copied(), job.lane));
    let share = turns::share(want, turn.lanes);
    let has_more = turn.deep || counts.values().any(|count| *count >= share);
    let goes_on = turn.last.is_some() || !want.start.is_anew();
    let mut start = Start {
        walks: want.start.walks && turn.fills,
        ..Start::default()
    };
    if let Some(behind) = turn.last.and_then(|last| last.as_u128().checked_add(1)) {
        start.lane = Uuid::from_u128(behind);
    }
    Round {
        more: goes_on || (has_more && !jobs.is_empty()),
        jobs,
        start,
        limited: turn.fills,
        wait: None,
    }
}

/// Whether another claim may find more: some were put out of the way, other lanes are next, or a lane had more than its turn.
fn is_more(want: &Want, way: Way, decision: &Decision) -> bool {
    !decision.hold.is_empty()
        || !want.start.is_anew()
        || (way.by_lanes() && !decision.run.is_empty() && decision.run.len() < want.most)
}

/// Where the next look starts: behind the last lane that was looked at if there were more than could be, else at the first.
fn next(want: &Want, way: Way, candidates: &[Candidate]) -> Start {
    let mut start = Start::default();
    if way.by_lanes() {
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
