//! What the parts of a working process share: jobs claimed and not begun, outcomes not yet written, room for more.

mod buffer;
mod news;
mod outcomes;
mod pool;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;

use crate::JobId;
use crate::claims;
use crate::lane::{Got, Lane};
use crate::ruled::{Round, Way};
use crate::store::claim::{Claimed, Want};
use crate::store::settle::{Fate, Settlement};
use outcomes::{Manner, Outcomes};
use pool::Pool;

/// The most jobs of one claim, and outcomes of one write.
pub(crate) const BATCH: usize = 500;
/// So many outcomes are written without waiting for more.
const ENOUGH: usize = 200;
/// An outcome waits this long for others to be written with.
const WAIT: Duration = Duration::from_millis(5);

/// The desk of a process.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) pools: Vec<Pool>,
    by_queue: HashMap<Arc<str>, usize>,
    outcomes: Mutex<Outcomes>,
    /// Rung when there may be something to exchange with the database.
    bell: Notify,
    /// Rung when a lane may have come that takes turns with those that keep its pool busy.
    news: Notify,
    /// Nothing more is claimed.
    closed: AtomicBool,
    pub(crate) claims: claims::Claims,
    /// One exchange at a time claims where something is limited.
    turns: Arc<tokio::sync::Mutex<()>>,
}

/// What an exchange has claimed.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// In queues without rules.
    pub(crate) jobs: Vec<Claimed>,
    /// In queues under rules, each with the number of what was wanted.
    pub(crate) rounds: Vec<(usize, Round)>,
}

/// One exchange with the database. If it is dropped it was not made: its outcomes wait again, its room is free.
#[derive(Debug)]
pub(crate) struct Exchange {
    desk: Arc<Desk>,
    /// To be written.
    pub(crate) settlements: Vec<Settlement>,
    /// To be claimed; room for them is reserved.
    pub(crate) wants: Vec<Want>,
    /// What each wanted lane's count was.
    seen: Vec<u64>,
    manner: Manner,
    /// Its turn to claim where something is limited, until what it has claimed is known to count.
    pub(crate) turn: Option<OwnedMutexGuard<()>>,
}

impl Exchange {
    /// An exchange for each outcome alone, and nothing claimed.
    pub(crate) fn split(mut self) -> Vec<Self> {
        let settlements = std::mem::take(&mut self.settlements);
        lock(&self.desk.outcomes).under_way += settlements.len();
        let alone = settlements.into_iter().map(|settlement| Self {
            desk: self.desk.clone(),
            settlements: vec![settlement],
            wants: Vec::new(),
            seen: Vec::new(),
            manner: Manner::Alone,
            turn: None,
        });
        alone.collect()
    }

    /// Whether it is of one outcome by itself, which is not to keep others waiting.
    pub(crate) fn is_alone(&self) -> bool {
        self.manner != Manner::Together
    }

    /// Its outcomes were not written, and are to be tried again after a while, each by itself.
    pub(crate) fn put_off(mut self, wait: Duration) {
        let settlements = std::mem::take(&mut self.settlements);
        lock(&self.desk.outcomes).put_off(settlements, Instant::now() + wait);
    }

    /// Its outcomes are written, whatever becomes of its claim.
    pub(crate) fn wrote(&mut self) {
        if self.settlements.is_empty() {
            return;
        }
        self.desk.claims.settled(&self.settlements);
        lock(&self.desk.outcomes).with_them -= self.settlements.len();
        self.settlements.clear();
        self.desk.made_room();
    }

    /// It was made, and this was claimed.
    pub(crate) fn made(mut self, claimed: Claims) {
        let wants = std::mem::take(&mut self.wants);
        self.desk.receive(&wants, &self.seen, claimed);
        self.wrote();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.desk.free(&self.wants);
        let settlements = std::mem::take(&mut self.settlements);
        lock(&self.desk.outcomes).come_back(settlements, self.manner);
        self.desk.bell.notify_one();
    }
}

impl Desk {
    /// A desk for pools of a name, queues and a number of jobs that may run at once; no two share a queue.
    pub(crate) fn new(pools: Vec<(String, Vec<Arc<str>>, usize)>) -> Self {
        let mut by_queue = HashMap::new();
        let pools = pools.into_iter().enumerate();
        let pools = pools.map(|(number, (name, queues, concurrency))| {
            by_queue.extend(queues.iter().map(|queue| (queue.clone(), number)));
            Pool::new(name, queues, concurrency)
        });
        Self {
            pools: pools.collect(),
            by_queue,
            outcomes: Mutex::default(),
            bell: Notify::new(),
            news: Notify::new(),
            closed: AtomicBool::new(false),
            claims: claims::Claims::default(),
            turns: Arc::default(),
        }
    }

    /// The turn to claim where something is limited, if no other exchange has it.
    pub(crate) fn try_turn(&self) -> Option<OwnedMutexGuard<()>> {
        self.turns.clone().try_lock_owned().ok()
    }

    /// The same, when it comes.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turns.clone().lock_owned().await
    }

    /// Every queue that is served.
    pub(crate) fn queues(&self) -> Vec<Arc<str>> {
        let lanes = self.pools.iter().flat_map(|pool| &pool.queues);
        lanes.map(|lane| lane.queue.clone()).collect()
    }

    /// Something may be ready in any queue.
    pub(crate) fn wake_all(&self) {
        for lane in self.pools.iter().flat_map(|pool| &pool.queues) {
            lane.wake();
        }
        self.ring();
    }

    /// Something is ready in this queue.
    pub(crate) fn wake(&self, queue: &str) {
        let lanes = self.pools.iter().flat_map(|pool| &pool.queues);
        for lane in lanes.filter(|lane| &*lane.queue == queue) {
            lane.wake();
        }
        self.ring();
    }

    fn ring(&self) {
        self.bell.notify_one();
        self.news.notify_one();
    }

    /// Rules bear on this queue in this way.
    pub(crate) fn ruled(&self, queue: &str, way: Option<Way>) {
        let lanes = self.pools.iter().flat_map(|pool| &pool.queues);
        for lane in lanes.filter(|lane| &*lane.queue == queue) {
            lane.ruled(way);
        }
    }

    /// Jobs have ended, which may have made room under limits.
    fn made_room(&self) {
        for lane in self.pools.iter().flat_map(|pool| &pool.queues) {
            lane.made_room();
        }
        self.bell.notify_one();
    }

    /// How many jobs of a queue were finished since this was asked last.
    pub(crate) fn pace(&self, queue: &str) -> u64 {
        let pool = self.by_queue.get(queue).map(|pool| &self.pools[*pool]);
        pool.map_or(0, |pool| pool.finished_since_asked(queue))
    }

    /// From now on nothing is claimed, and what was not begun is given back.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for number in 0..self.pools.len() {
            self.release(number);
        }
        self.bell.notify_one();
    }

    /// Gives back what of a pool has not begun.
    pub(crate) fn release(&self, pool: usize) {
        self.give_back(pool, self.pools[pool].unbegun());
    }

    /// Gives back what was claimed ahead and has waited for too long.
    pub(crate) fn release_stale(&self) {
        for (number, pool) in self.pools.iter().enumerate() {
            self.give_back(number, pool.stale());
        }
    }

    /// Gives back those of these claims that have not begun: they are to stop, and so they do not begin.
    pub(crate) fn call_off(&self, claims: &HashSet<(JobId, i32)>) {
        if claims.is_empty() {
            return;
        }
        for (number, pool) in self.pools.iter().enumerate() {
            self.give_back(number, pool.called_off(claims));
        }
    }

    fn give_back(&self, pool: usize, jobs: Vec<Claimed>) {
        for job in jobs {
            let in_batch = job.batch.is_some();
            let given_back = Settlement::new(job.id, job.epoch, in_batch, Fate::Release);
            self.settle(pool, &job.queue, given_back);
        }
    }

    /// The next job of a pool, or else `waker` is woken when there is one.
    pub(crate) fn next(&self, pool: usize, waker: &Waker) -> Option<Claimed> {
        self.pools[pool].next(waker)
    }

    /// What came of a job of this pool and queue is to be written.
    pub(crate) fn settle(&self, pool: usize, queue: &str, settlement: Settlement) {
        self.claims.ended(settlement.id, settlement.epoch);
        let has_run = settlement.fate != Fate::Release;
        let waiting = {
            let mut outcomes = lock(&self.outcomes);
            outcomes.waiting.push_back(settlement);
            outcomes.since.get_or_insert_with(Instant::now);
            outcomes.waiting.len()
        };
        let pool = &self.pools[pool];
        if has_run {
            pool.step(queue);
        }
        let held = pool.held.fetch_sub(1, Ordering::AcqRel) - 1;
        let may_claim = held < pool.concurrency && pool.queues.iter().any(Lane::may_be_ready);
        if waiting == 1 || waiting == ENOUGH || may_claim {
            self.bell.notify_one();
        }
    }

    /// How many outcomes are not written.
    pub(crate) fn unwritten(&self) -> usize {
        lock(&self.outcomes).unwritten()
    }

    /// Whether nothing is being exchanged, or waits to be.
    pub(crate) fn is_quiet(&self) -> bool {
        lock(&self.outcomes).is_quiet()
    }

    /// Whether no job is held, to run or to be run.
    pub(crate) fn is_idle(&self) -> bool {
        let held = |pool: &Pool| pool.held.load(Ordering::Acquire) > 0;
        !self.pools.iter().any(held)
    }

    /// Waits until there is something to exchange; `can_claim` says whether claims are possible at all.
    pub(crate) async fn exchange(self: &Arc<Self>, can_claim: impl Fn() -> bool) -> Exchange {
        loop {
            let rung = self.bell.notified();
            let put_off = match lock(&self.outcomes).take_one() {
                Ok(settlement) => return self.alone(settlement),
                Err(until) => until,
            };
            let closed = self.closed.load(Ordering::Acquire);
            let may_claim = !closed && can_claim();
            let (mut wants, mut seen) = if may_claim {
                self.reserve()
            } else {
                (Vec::new(), Vec::new())
            };
            let mut settlements = Vec::new();
            let wait = {
                let mut outcomes = lock(&self.outcomes);
                if self.closed.load(Ordering::Acquire) {
                    // Whoever closed it looks whether it is quiet next, and must not find it so with a claim to come.
                    self.free(&wants);
                    wants.clear();
                    seen.clear();
                }
                let due = outcomes.since.map(|since| since + WAIT);
                let enough = closed || outcomes.waiting.len() >= ENOUGH;
                let late = due.is_some_and(|due| due <= Instant::now());
                if !wants.is_empty() || enough || late {
                    outcomes.take(&mut settlements);
                    if !outcomes.waiting.is_empty() {
                        self.bell.notify_one();
                    }
                }
                if !wants.is_empty() || !settlements.is_empty() {
                    outcomes.under_way += 1;
                    return Exchange {
                        desk: self.clone(),
                        settlements,
                        wants,
                        seen,
                        manner: Manner::Together,
                        turn: None,
                    };
                }
                let look = if may_claim { self.next_look() } else { None };
                due.into_iter().chain(look).chain(put_off).min()
            };
            match wait {
                Some(due) => tokio::select! {
                    () = rung => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => rung.await,
            }
        }
    }

    /// An exchange for one that was put off.
    fn alone(self: &Arc<Self>, settlement: Settlement) -> Exchange {
        Exchange {
            desk: self.clone(),
            settlements: vec![settlement],
            wants: Vec::new(),
            seen: Vec::new(),
            manner: Manner::Again,
            turn: None,
        }
    }

    /// When a claim from the front is due of which one that went on further behind has put off.
    fn next_look(&self) -> Option<Instant> {
        let has_room = |pool: &&Pool| pool.held.load(Ordering::Acquire) < pool.concurrency;
        let lanes = self
            .pools
            .iter()
            .filter(has_room)
            .flat_map(|pool| &pool.queues);
        lanes.filter_map(Lane::owes).min()
    }

    fn receive(&self, wants: &[Want], seen: &[u64], claimed: Claims) {
        let Claims {
            jobs: mut claimed,
            rounds,
        } = claimed;
        let mut ruled = HashMap::new();
        for (number, mut round) in rounds {
            claimed.append(&mut round.jobs);
            ruled.insert(number, round);
        }
        self.claims.made(&claimed);
        let mut by_pool: Vec<Vec<Claimed>> = self.pools.iter().map(|_| Vec::new()).collect();
        let mut counts: HashMap<Arc<str>, Got> = HashMap::new();
        for job in claimed {
            let got = counts.entry(job.queue.clone()).or_default();
            got.count += 1;
            got.last = got.last.max(Some(job.position()));
            // The first row that was found tells best how long the search for all of them took.
            got.search = Some(got.search.map_or(job.search, |least| least.min(job.search)));
            if let Some(pool) = self.by_queue.get(&job.queue) {
                by_pool[*pool].push(job);
            }
        }
        for (number, (want, seen)) in wants.iter().zip(seen).enumerate() {
            let Some(pool) = self.by_queue.get(&want.queue) else {
                continue;
            };
            let got = counts.get(&want.queue).copied().unwrap_or_default();
            let missing = want.most.saturating_sub(got.count);
            let pool = &self.pools[*pool];
            pool.held.fetch_sub(missing, Ordering::AcqRel);
            let mut lanes = pool.queues.iter();
            let Some(lane) = lanes.find(|lane| lane.queue == want.queue) else {
                continue;
            };
            match ruled.get(&number) {
                Some(round) => lane.came_round(round, missing, *seen),
                None => lane.reached(want, missing, &got, *seen),
            }
        }
        for (number, jobs) in by_pool.into_iter().enumerate() {
            if jobs.is_empty() {
                continue;
            }
            self.pools[number].receive(jobs);
        }
        if self.closed.load(Ordering::Acquire) {
            (0..self.pools.len()).for_each(|pool| self.release(pool));
        }
    }

    /// Frees room that was reserved.
    fn free(&self, wants: &[Want]) {
        for want in wants {
            if let Some(pool) = self.by_queue.get(&want.queue) {
                let held = &self.pools[*pool].held;
                held.fetch_sub(want.most, Ordering::AcqRel);
            }
        }
    }

    /// Room for what may be ready, and what each lane's count was.
    fn reserve(&self) -> (Vec<Want>, Vec<u64>) {
        let (mut wants, mut seen) = (Vec::new(), Vec::new());
        let mut left = BATCH;
        for pool in &self.pools {
            let ready: Vec<&Lane> = pool
                .queues
                .iter()
                .filter(|lane| lane.may_be_ready())
                .collect();
            if ready.is_empty() || left == 0 {
                continue;
            }
            let room = pool.reserve(left);
            left -= room;
            // Each gets its share; what one leaves is another's in the next exchange.
            for (number, lane) in ready.iter().enumerate() {
                let share = room / ready.len() + usize::from(number < room % ready.len());
                if share > 0 {
                    seen.push(lane.count());
                    wants.push(lane.want(share));
                }
            }
        }
        (wants, seen)
    }
}

/// No code panics while it holds one of these locks; if it did, what they guard would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
