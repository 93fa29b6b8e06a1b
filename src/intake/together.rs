//! Group commit at the door: captures of an org that come while others of it are written share a transaction.
//!
//! The first goes at once, and each is answered after its commit. An org's rows are written in a transaction that row-level
//! security binds to it, so what shares a commit is of one org.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::anyhow;
use domain::clock::Timestamp;
use domain::id::{ChannelId, FormId, IntakeEventId, OrgId};
use domain::store::intake_events::{self, NewEvent};
use domain::store::{Db, Tx};
use domain::submission::Submission;
use jobs::ProcessIntake;
use queue::{Wake, trace};
use serde_json::Value;
use tokio::sync::oneshot;

use super::accept::{self, Kept, NotKept};
use crate::web::rate_limit::{Limits, Wait};

/// Transactions of one org at once.
const AT_ONCE: usize = 2;
/// Most captures of one.
const MOST: usize = 200;

/// What became of a capture.
#[derive(Debug)]
pub enum Answer {
    /// It is kept.
    Kept(Kept),
    /// Its org is not there, or takes no leads.
    NotServed,
    /// Its org is sent too much; in so many seconds there is room again.
    TooMany(u64),
}

/// Keeps captures. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Together {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    wake: Wake,
    limits: Arc<Limits>,
    lines: Mutex<HashMap<OrgId, Line>>,
}

/// Captures of an org that wait, and how many tasks write them.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    turns: usize,
}

struct Waiting {
    arrival: Arrival,
    /// The trace that its request is part of.
    trace: Option<Arc<str>>,
    /// Whether the limit of its org lets it in, which is asked once however often it is tried.
    allowed: OnceLock<Result<(), Wait>>,
    answer: oneshot::Sender<Result<Answer, NotKept>>,
}

/// What a sender's request holds, for as long as it takes.
struct Arrival {
    id: IntakeEventId,
    org: OrgId,
    channel: Option<ChannelId>,
    form: Option<FormId>,
    provider: String,
    dedupe_key: String,
    content_type: Option<String>,
    headers: Value,
    body: Vec<u8>,
    submission: Submission,
    remote_ip: String,
    spam: bool,
    received_at: Timestamp,
}

impl Arrival {
    fn of(event: &NewEvent<'_>) -> Self {
        Self {
            id: event.id,
            org: event.org,
            channel: event.channel,
            form: event.form,
            provider: event.provider.to_owned(),
            dedupe_key: event.dedupe_key.to_owned(),
            content_type: event.content_type.map(str::to_owned),
            headers: event.headers.clone(),
            body: event.body.to_vec(),
            submission: event.submission.clone(),
            remote_ip: event.remote_ip.clone(),
            spam: event.spam,
            received_at: event.received_at,
        }
    }

    fn event(&self) -> NewEvent<'_> {
        NewEvent {
            id: self.id,
            org: self.org,
            channel: self.channel,
            form: self.form,
            provider: &self.provider,
            dedupe_key: &self.dedupe_key,
            content_type: self.content_type.as_deref(),
            headers: self.headers.clone(),
            body: &self.body,
            submission: &self.submission,
            remote_ip: self.remote_ip.clone(),
            spam: self.spam,
            received_at: self.received_at,
        }
    }
}

impl Together {
    /// Keeps captures in `db` as long as `limits` allow, and rings `wake` after each commit.
    pub fn new(db: Db, wake: Wake, limits: Arc<Limits>) -> Self {
        Self {
            shared: Arc::new(Shared {
                db,
                wake,
                limits,
                lines: Mutex::default(),
            }),
        }
    }

    /// Keeps a capture and leaves its job, and returns after the commit.
    pub async fn keep(&self, event: &NewEvent<'_>) -> Result<Answer, NotKept> {
        let org = event.org;
        let arrival = Arrival::of(event);
        let (answer, answered) = oneshot::channel();
        let begin = {
            let mut lines = self.shared.lock();
            let line = lines.entry(org).or_default();
            line.waiting.push_back(Waiting {
                arrival,
                trace: trace::current(),
                allowed: OnceLock::new(),
                answer,
            });
            let begin = line.turns < AT_ONCE;
            line.turns += usize::from(begin);
            begin
        };
        if begin {
            tokio::spawn(write(Turn {
                shared: self.shared.clone(),
                org,
                is_over: false,
            }));
        }
        let lost = |_| Err(NotKept::Broken(anyhow!("what wrote it ended")));
        answered.await.unwrap_or_else(lost)
    }
}

impl Shared {
    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<OrgId, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts it against the limit of its org, unless that was done before.
    fn allows(&self, waiting: &Waiting) -> Result<(), Wait> {
        let count = || self.limits.org(waiting.arrival.org.uuid());
        *waiting.allowed.get_or_init(count)
    }

    async fn alone(&self, waiting: &Waiting) -> Result<Answer, NotKept> {
        let event = &waiting.arrival.event();
        let mut tx = self.db.org(event.org).await?;
        if !intake_events::is_served(&mut tx, event.org).await? {
            return Ok(Answer::NotServed);
        }
        if let Err(wait) = self.allows(waiting) {
            return Ok(Answer::TooMany(wait.0));
        }
        let kept = accept::keep(&self.wake, tx, event).await?;
        Ok(Answer::Kept(kept))
    }

    /// Writes all in one transaction; gives their answers in the same order.
    async fn together(&self, org: OrgId, batch: &[Waiting]) -> Result<Vec<Answer>, NotKept> {
        let events: Vec<_> = batch.iter().map(|one| one.arrival.event()).collect();
        let traces = batch.iter().map(|one| (one.arrival.id, &one.trace));
        let traces: HashMap<IntakeEventId, _> = traces.collect();
        let mut tx = self.db.org(org).await?;
        if !intake_events::is_served(&mut tx, org).await? {
            return Ok(events.iter().map(|_| Answer::NotServed).collect());
        }
        let mut answers = Vec::with_capacity(events.len());
        let allowed: Vec<_> = batch.iter().map(|one| self.allows(one)).collect();
        // In one order everywhere, so that two that bring the same keys do not wait for each other.
        let mut taken: Vec<&NewEvent<'_>> = events
            .iter()
            .zip(&allowed)
            .filter(|(_, allowed)| allowed.is_ok())
            .map(|(event, _)| event)
            .collect();
        taken.sort_by(|one, other| one.dedupe_key.cmp(other.dedupe_key));
        let new = intake_events::insert_many(&mut tx, org, &taken).await?;
        let new: HashSet<IntakeEventId> = new.into_iter().collect();
        let fresh = taken
            .iter()
            .filter(|event| new.contains(&event.id) && !event.spam);
        let jobs: Vec<_> = fresh
            .map(|event| {
                let event = event.id;
                let trace = traces.get(&event).copied().cloned().flatten();
                queue::job(&ProcessIntake { org, event }).trace(trace)
            })
            .collect();
        queue::many(&mut tx, jobs).await?;
        for (event, allowed) in events.iter().zip(allowed) {
            answers.push(match allowed {
                Err(wait) => Answer::TooMany(wait.0),
                Ok(()) if new.contains(&event.id) => Answer::Kept(Kept::New(event.id)),
                Ok(()) => Answer::Kept(accept::before(&mut tx, event).await?),
            });
        }
        self.commit(tx, &events, &new).await?;
        Ok(answers)
    }

    async fn commit(
        &self,
        tx: Tx,
        events: &[NewEvent<'_>],
        new: &HashSet<IntakeEventId>,
    ) -> Result<(), NotKept> {
        tx.commit().await?;
        self.wake.notify();
        for event in events.iter().filter(|event| new.contains(&event.id)) {
            accept::count(event.provider);
        }
        Ok(())
    }
}

/// Writes what waits, as much as there is at once, until nothing does.
async fn write(mut turn: Turn) {
    loop {
        // Whoever has just been answered and sends more does so now.
        tokio::task::yield_now().await;
        let batch = turn.next();
        if batch.is_empty() {
            return;
        }
        let shared = &turn.shared;
        if batch.len() > 1 {
            match shared.together(turn.org, &batch).await {
                Ok(answers) => {
                    for (waiting, answer) in batch.into_iter().zip(answers) {
                        let _ = waiting.answer.send(Ok(answer));
                    }
                    continue;
                }
                Err(NotKept::Outage(cause)) => {
                    for waiting in batch {
                        let _ = waiting.answer.send(Err(NotKept::Outage(cause.clone())));
                    }
                    continue;
                }
                // One of them cannot be kept; the others can.
                Err(NotKept::Broken(_)) => {}
            }
        }
        for waiting in batch {
            let kept = trace::within(waiting.trace.clone(), shared.alone(&waiting)).await;
            // Its sender may have gone.
            let _ = waiting.answer.send(kept);
        }
    }
}

/// A task's turn at the captures of an org, over when none wait.
struct Turn {
    shared: Arc<Shared>,
    org: OrgId,
    is_over: bool,
}

impl Turn {
    fn next(&mut self) -> Vec<Waiting> {
        let mut lines = self.shared.lock();
        let Some(line) = lines.get_mut(&self.org) else {
            self.is_over = true;
            return Vec::new();
        };
        let count = line.waiting.len().min(MOST);
        let batch = line.waiting.drain(..count).collect();
        if count == 0 {
            self.is_over = true;
            line.turns -= 1;
            if line.turns == 0 {
                lines.remove(&self.org);
            }
        }
        batch
    }
}

impl Drop for Turn {
    /// A task that ends before its time leaves nobody waiting for ever.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut lines = self.shared.lock();
        if let Some(line) = lines.get_mut(&self.org) {
            line.turns -= 1;
            if line.turns == 0 {
                lines.remove(&self.org);
            }
        }
    }
}
