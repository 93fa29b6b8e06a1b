//! Write outcomes and claim jobs: complete first, then claim, in one transaction.
//!
//! # What the time goes to
//!
//! Of a job that does nothing, most of the time is the server's: a row is written to the table and to two indexes when it is
//! enqueued, locked and written beside itself when it is claimed, and moved to the history and one index there when it is
//! done. A claim changes no column that an index has or speaks of, so it writes to none: that took a fifth off what the
//! server does for a claim and an outcome. What runs is found by way of `queue.claim`, a row a claim. A claim also searches;
//! see [`crate::lane`] for what keeps that short. What is ours is decoding rows, spans and metrics. Round trips do not count
//! at some hundred jobs a transaction; what would is to merge its two statements, which deadlocks: completing and claiming in
//! one, each has rows that another waits for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::desk::{Claims, Desk, Exchange};
use crate::outlook::Outlook;
use crate::patience::{Broken, ask};
use crate::ruled::{self, Limited, Way};
use crate::store::claim::{self, Want};
use crate::store::history;
use crate::store::settle::{self, Fate, Settled, Settlement, settle};

/// How many exchanges of outcomes go on at once; more is no faster.
pub(crate) const AT_ONCE: u32 = 2;
/// An exchange that takes longer is given up, its connection with it.
///
/// A connection that went half-open says nothing: until then all that waits for it stands still.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);
/// How long to wait after the first failure, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Takes what no day was ready for.
const DEFAULT_PARTITION: &str = "job_history_default";
/// The rows of so many claims that have ended are removed with outcomes in passing; from so many on they are not left to
/// whoever tidies up.
const ENDED_CLAIMS: (usize, usize) = (8, 64);
/// After so long an outcome is tried again whose job somebody had hold of.
const LOCKED: Duration = Duration::from_millis(500);
/// After so long one that is refused, though nothing is left in it of what its job said.
const REFUSED: Duration = Duration::from_secs(30);
/// For so long kinds that were not understood are passed over.
const PASS_OVER: Duration = Duration::from_secs(30);

/// Exchanges with the database until it is dropped.
#[derive(Clone)]
pub(crate) struct Exchanger {
    pub(crate) purpose: Purpose,
    pub(crate) desk: Arc<Desk>,
    pub(crate) pool: PgPool,
    pub(crate) broken: Arc<Broken>,
    pub(crate) node: watch::Receiver<Option<i64>>,
    pub(crate) outlook: Arc<Outlook>,
    pub(crate) strange: Arc<Strange>,
}

/// What an exchanger is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Outcomes, and what there is room for.
    All,
    /// Lanes that come while others keep their pool busy.
    News,
}

impl Exchanger {
    /// Goes on for ever; whatever fails is tried again.
    pub(crate) async fn run(self) {
        let mut pause = PAUSES.0;
        while let Err(error) = self.make_the_day_ready().await {
            warn!("Cannot reach the queue for now: {error}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
        loop {
            let node = self.node.clone();
            let can_claim = || node.borrow().is_some();
            let mut exchange = match self.purpose {
                Purpose::All => self.desk.exchange(can_claim).await,
                Purpose::News => self.desk.news(can_claim).await,
            };
            if exchange.is_alone() {
                self.alone(exchange).await;
                continue;
            }
            match self.make(&mut exchange).await {
                Ok(claimed) => {
                    pause = PAUSES.0;
                    self.look_out(&exchange.settlements);
                    self.wait_for_rates(&claimed);
                    exchange.made(claimed);
                }
                Err(error)
                    if (is_of_the_data(&error) || is_of_a_lock(&error))
                        && !exchange.settlements.is_empty() =>
                {
                    warn!(
                        "Outcomes are written one by one, as together they were refused: {error}"
                    );
                    for alone in exchange.split() {
                        self.alone(alone).await;
                    }
                }
                Err(error) if is_of_a_new_day(&error) => drop(exchange),
                Err(error) => {
                    warn!("Cannot reach the queue for now: {error}");
                    drop(exchange);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Makes the partition of the day before anything is claimed: making it later keeps outcomes waiting. Where it cannot be
    /// made, outcomes have a place all the same.
    async fn make_the_day_ready(&self) -> sqlx::Result<()> {
        let ready = ask(&self.pool, LONGEST, async |db| {
            history::make_partitions(db, 0).await
        });
        match ready.await {
            Err(sqlx::Error::Database(error)) => {
                warn!("Cannot prepare the history of today for now: {error}");
                Ok(())
            }
            made => made.map(drop),
        }
    }

    async fn make(&self, exchange: &mut Exchange) -> sqlx::Result<Claims> {
        let node = *self.node.borrow();
        ask(&self.pool, LONGEST, async |db| {
            self.broken.unless(self.on(db, exchange, node)).await
        })
        .await
    }

    async fn on(
        &self,
        db: &mut PgConnection,
        exchange: &mut Exchange,
        node: Option<i64>,
    ) -> sqlx::Result<Claims> {
        if exchange.is_alone() {
            let mut tx = db.begin().await?;
            settle::hurry(&mut tx).await?;
            let settled = settle(&mut tx, &exchange.settlements).await?;
            tx.commit().await?;
            self.note(&exchange.settlements, settled);
            return Ok(Claims::default());
        }
        let passed_over = self.strange.passed_over();
        let mut wants = match node {
            Some(_) => exchange.wants.clone(),
            None => Vec::new(),
        };
        let node = node.unwrap_or_default();
        if exchange.settlements.is_empty() && is_one_statement(&wants) {
            return claim_all(db, node, &wants, &passed_over).await;
        }
        let ended = self.desk.claims.count_ended();
        let alone = exchange.settlements.len() == 1 && !exchange.settlements[0].in_batch;
        if wants.is_empty() && alone && ended < ENDED_CLAIMS.1 {
            let settled = settle(db, &exchange.settlements).await?;
            self.note(&exchange.settlements, settled);
            return Ok(Claims::default());
        }
        let mut tx = db.begin().await?;
        let settled = settle(&mut tx, &exchange.settlements).await?;
        // What runs is counted by way of the rows.
        let is_ruled = wants.iter().any(|want| want.way.is_some());
        if ended >= ENDED_CLAIMS.0 || (is_ruled && ended > 0) {
            claim::forget(&mut tx, &self.desk.claims.take_ended()).await?;
        }
        if let Some(limited) = Limited::of(&wants) {
            exchange.turn = self.desk.try_turn();
            if exchange.turn.is_none() || !limited.try_lock(&mut tx).await? {
                // The claim waits for its turn, with nothing locked, and the outcomes need not.
                tx.commit().await?;
                if !exchange.settlements.is_empty() {
                    self.note(&exchange.settlements, settled);
                    self.look_out(&exchange.settlements);
                    exchange.wrote();
                }
                tx = db.begin().await?;
                if exchange.turn.is_none() {
                    exchange.turn = Some(self.desk.turn().await);
                }
                limited.lock(&mut tx).await?;
            }
            for want in wants.iter_mut().filter(|want| want.is_limited()) {
                want.running = Some(self.desk.claims.lanes(&want.queue));
            }
        }
        let claimed = claim_all(&mut tx, node, &wants, &passed_over).await?;
        tx.commit().await?;
        if !exchange.settlements.is_empty() {
            self.note(&exchange.settlements, settled);
        }
        Ok(claimed)
    }

    /// What was written of these outcomes.
    fn note(&self, settlements: &[Settlement], settled: Settled) {
        note_stale(settlements, settled.accepted);
        if settled.completed > 0 {
            // What was to come after a batch may be for this process.
            self.desk.wake_all();
        }
    }

    /// Writes one outcome by itself; one that is refused even so is written without what its job said. Nothing waits for one
    /// that cannot be written now.
    async fn alone(&self, mut exchange: Exchange) {
        match self.make(&mut exchange).await {
            Ok(claimed) => {
                self.look_out(&exchange.settlements);
                exchange.made(claimed);
            }
            Err(error) if is_of_a_lock(&error) => {
                debug!("An outcome waits, as somebody has hold of its job or its batch");
                exchange.put_off(LOCKED);
            }
            Err(error) if is_of_the_data(&error) => {
                let mut said = exchange.settlements.iter_mut();
                if said.any(Settlement::make_plain) {
                    error!("An outcome cannot be kept as it was told: {error}");
                } else {
                    error!("An outcome is refused, and tried again in a while: {error}");
                    exchange.put_off(REFUSED);
                }
            }
            Err(error) => warn!("An outcome is not written yet: {error}"),
        }
    }

    /// What waits for a rate is looked for when that lets another start.
    fn wait_for_rates(&self, claimed: &Claims) {
        let waits = claimed.rounds.iter().filter_map(|(_, round)| round.wait);
        if let Some(wait) = waits.min() {
            self.outlook.due_in(wait);
        }
    }

    /// What waits for its time is looked for then.
    fn look_out(&self, settlements: &[Settlement]) {
        let waits = settlements
            .iter()
            .filter_map(|settlement| match settlement.fate {
                Fate::Retry { after, .. } | Fate::Snooze { after } => Some(after),
                _ => None,
            });
        if let Some(wait) = waits.min() {
            self.outlook.due_in(wait);
        }
    }
}

/// Has the server plan what most exchanges ask: on a new connection that takes longer than to do it, and would fall to whichever
/// job came first.
pub(crate) async fn prepare(db: &mut PgConnection) -> sqlx::Result<()> {
    claim::claim(db, 0, &[], &[]).await?;
    settle::prepare(db).await
}

/// Whether one statement claims all that is wanted, or nothing.
fn is_one_statement(wants: &[Want]) -> bool {
    let is_free = |want: &Want| want.way.is_none();
    let needs_no_lock = |want: &Want| !want.is_limited();
    wants.iter().all(is_free) || matches!(wants, [want] if needs_no_lock(want))
}

/// Claims what is wanted: in queues without rules in one statement, then under rules queue by queue. Those in which something
/// is limited are [locked](Limited::lock).
pub(crate) async fn claim_all(
    db: &mut PgConnection,
    node: i64,
    wants: &[Want],
    not: &[String],
) -> sqlx::Result<Claims> {
    let ruled: Vec<(usize, &Want, Way)> = wants
        .iter()
        .enumerate()
        .filter_map(|(number, want)| Some((number, want, want.way?)))
        .collect();
    let mut claimed = Claims::default();
    if ruled.len() < wants.len() {
        let free = wants.iter().filter(|want| want.way.is_none());
        let free: Vec<Want> = free.cloned().collect();
        claimed.jobs = claim::claim(db, node, &free, not).await?;
    }
    for (number, want, way) in ruled {
        let round = ruled::claim(db, node, want, way, not).await?;
        claimed.rounds.push((number, round));
    }
    Ok(claimed)
}

/// Kinds of job that this process does not understand, for as long as they are passed over.
#[derive(Debug, Default)]
pub(crate) struct Strange {
    until: Mutex<HashMap<String, Instant>>,
}

impl Strange {
    /// Leaves jobs of this kind and version to other processes for a while.
    pub(crate) fn pass_over(&self, kind: &str, version: i16) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.insert(format!("{kind}@{version}"), Instant::now() + PASS_OVER);
    }

    fn passed_over(&self) -> Vec<String> {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        until.retain(|_, until| *until > now);
        until.keys().cloned().collect()
    }
}

/// Outcomes told under a claim that was no longer the job's; those that may have been accepted before are not meant.
fn note_stale(settlements: &[Settlement], accepted: u64) {
    let fresh = settlements.iter().filter(|settlement| !settlement.resent);
    let accepted = usize::try_from(accepted).unwrap_or(usize::MAX);
    let refused = settlements.len().saturating_sub(accepted);
    let stale = refused.min(fresh.count());
    if stale > 0 {
        warn!("{stale} outcomes came too late: their jobs had been taken back");
        metrics::counter!("leadmill_stale_outcomes_total").increment(stale as u64);
    }
}

/// Whether outcomes were on their way to where everything goes that no day is ready for, and their day came to be ready at
/// that very moment: they find it the next time.
fn is_of_a_new_day(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().as_deref() == Some("23514") && error.table() == Some(DEFAULT_PARTITION)
    })
}

/// Whether what was to be written is at fault, and not the way to the database.
pub(crate) fn is_of_the_data(error: &sqlx::Error) -> bool {
    match error {
        _ if is_of_a_new_day(error) => false,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Data exceptions, constraints, and limits of the program such as the depth of JSON.
            ["22", "23", "54"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

/// Whether somebody had hold of what was to be written, for longer than it was waited for.
fn is_of_a_lock(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("55P03")
}
