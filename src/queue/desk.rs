//! What the parts of a working process share: jobs claimed and not begun, outcomes not yet written, room for more.

mod buffer;
mod pool;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::claims;
use crate::lane::{Got, Lane};
use crate::ruled::{Round, Way};
use crate::store::claim::{Claimed, Want};
use crate::store::settle::{Fate, Settlement};
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
    /// Nothing more is claimed.
    closed: AtomicBool,
    /// Exchanges under way.
    under_way: AtomicUsize,
    pub(crate) claims: claims::Claims,
}

#[derive(Debug, Default)]
struct Outcomes {
    waiting: VecDeque<Settlement>,
    /// When the first of them came.
    since: Option<Instant>,
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
}

impl Exchange {
    fn new(desk: Arc<Desk>, settlements: Vec<Settlement>) -> Self {
        desk.under_way.fetch_add(1, Ordering::AcqRel);
        Self {
            desk,
            settlements,
            wants: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// An exchange for each outcome alone, and nothing claimed.
    pub(crate) fn split(mut self) -> Vec<Self> {
        let settlements = std::mem::take(&mut self.settlements).into_iter();
        let desk = self.desk.clone();
        settlements
            .map(|settlement| Self::new(desk.clone(), vec![settlement]))
            .collect()
    }

    /// It was made, and this was claimed.
    pub(crate) fn made(mut self, claimed: Claims) {
        self.desk.claims.settled(&self.settlements);
        let has_ended = !self.settlements.is_empty();
        self.settlements.clear();
        let wants = std::mem::take(&mut self.wants);
        self.desk.receive(&wants, &self.seen, claimed);
        if has_ended {
            self.desk.made_room();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.desk.free(&self.wants);
        self.desk.put_back(std::mem::take(&mut self.settlements));
        self.desk.under_way.fetch_sub(1, Ordering::AcqRel);
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
            closed: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            claims: claims::Claims::default(),
        }
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
        self.bell.notify_one();
    }

    /// Something is ready in this queue.
    pub(crate) fn wake(&self, queue: &str) {
        let lanes = self.pools.iter().flat_map(|pool| &pool.queues);
        for lane in lanes.filter(|lane| &*lane.queue == queue) {
            lane.wake();
        }
        self.bell.notify_one();
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
        pool.map_or(0, |pool| pool.pace.since_asked())
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

    fn give_back(&self, pool: usize, jobs: Vec<Claimed>) {
        for job in jobs {
            let in_batch = job.batch.is_some();
            let given_back = Settlement::new(job.id, job.epoch, in_batch, Fate::Release);
            self.settle(pool, given_back);
        }
    }

    /// The next job of a pool, or else `waker` is woken when there is one.
    pub(crate) fn next(&self, pool: usize, waker: &Waker) -> Option<Claimed> {
        self.pools[pool].next(waker)
    }

    /// What came of a job of a pool is to be written.
    pub(crate) fn settle(&self, pool: usize, settlement: Settlement) {
        let has_run = settlement.fate != Fate::Release;
        let waiting = {
            let mut outcomes = lock(&self.outcomes);
            outcomes.waiting.push_back(settlement);
            outcomes.since.get_or_insert_with(Instant::now);
            outcomes.waiting.len()
        };
        let pool = &self.pools[pool];
        if has_run {
            pool.pace.step();
        }
        let held = pool.held.fetch_sub(1, Ordering::AcqRel) - 1;
        let may_claim = held < pool.concurrency && pool.queues.iter().any(Lane::may_be_ready);
        if waiting == 1 || waiting == ENOUGH || may_claim {
            self.bell.notify_one();
        }
    }

    /// How many outcomes wait to be written.
    pub(crate) fn unwritten(&self) -> usize {
        lock(&self.outcomes).waiting.len()
    }

    /// Whether nothing is being exchanged, or waits to be.
    pub(crate) fn is_quiet(&self) -> bool {
        self.unwritten() == 0 && self.under_way.load(Ordering::Acquire) == 0
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
            let closed = self.closed.load(Ordering::Acquire);
            let may_claim = !closed && can_claim();
            let (wants, seen) = if may_claim {
                self.reserve()
            } else {
                (Vec::new(), Vec::new())
            };
            let mut settlements = Vec::new();
            let wait = {
                let mut outcomes = lock(&self.outcomes);
                let due = outcomes.since.map(|since| since + WAIT);
                let enough = closed || outcomes.waiting.len() >= ENOUGH;
                let late = due.is_some_and(|due| due <= Instant::now());
                // A claim for lanes that wait behind a busy pool's jobs is not to take longer for outcomes that may wait.
                let in_passing = wants.iter().any(|want| want.each == usize::MAX);
                if in_passing || enough || (late && wants.is_empty()) {
                    outcomes.take(&mut settlements);
                    if !outcomes.waiting.is_empty() {
                        self.bell.notify_one();
                    }
                }
                let look = if may_claim { self.next_look() } else { None };
                due.into_iter().chain(look).min()
            };
            if !wants.is_empty() || !settlements.is_empty() {
                let mut exchange = Exchange::new(self.clone(), settlements);
                exchange.wants = wants;
                exchange.seen = seen;
                return exchange;
            }
            match wait {
                Some(due) => tokio::select! {
                    () = rung => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => rung.await,
            }
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

    fn put_back(&self, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let mut outcomes = lock(&self.outcomes);
        for mut settlement in settlements.into_iter().rev() {
            settlement.resent = true;
            outcomes.waiting.push_front(settlement);
        }
        outcomes.since.get_or_insert_with(Instant::now);
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
            if room == 0 {
                if let Some(lane) = ready.iter().find(|lane| lane.has_news()) {
                    let most = pool.reserve_more(left);
                    left -= most;
                    if most > 0 {
                        seen.push(lane.count());
                        wants.push(lane.want_some(most));
                    }
                }
                continue;
            }
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

impl Outcomes {
    fn take(&mut self, into: &mut Vec<Settlement>) {
        let count = self.waiting.len().min(BATCH);
        into.extend(self.waiting.drain(..count));
        self.since = (!self.waiting.is_empty()).then(Instant::now);
    }
}

/// No code panics while it holds one of these locks; if it did, what they guard would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
