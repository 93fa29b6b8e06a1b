//! Watch the clock and fire what is due; any number of processes may do so at once.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::ledger::{self, Cause, Stored};
use super::{Cadence, CatchUp, Schedule, ScheduleError};
use crate::patience::{ask, on, within};

/// A tick that is later than this was missed.
const LATE: TimeDelta = TimeDelta::minutes(5);
/// Ticks missed longer ago than this are not looked for, except the first.
const LOOK_BACK: TimeDelta = TimeDelta::days(400);
/// Longest sleep: how soon a schedule that another process changed is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// What takes longer to be answered is given up, its connection with it.
const LONGEST: Duration = Duration::from_secs(10);
/// Sleep after a failure, and while another process is at a tick.
const SOON: Duration = Duration::from_secs(1);

/// What one look at the clock did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ticked {
    /// Ticks that this process fired: name and nominal time.
    pub fired: Vec<(String, DateTime<Utc>)>,
    /// Schedules at which something went wrong; they are tried again.
    pub failed: Vec<String>,
    /// How long nothing will be due.
    pub sleep: Duration,
}

/// Watches over schedules until it is told to stop.
#[derive(Debug)]
pub struct Ticker {
    schedules: Vec<Schedule>,
}

impl Ticker {
    /// A ticker for `schedules`, every one of which makes sense and has a name of its own.
    pub fn new(schedules: Vec<Schedule>) -> Result<Self, ScheduleError> {
        let mut names = BTreeSet::new();
        for schedule in &schedules {
            schedule.cadence()?;
            if !names.insert(schedule.name()) {
                return Err(ScheduleError::Twice(schedule.name().to_owned()));
            }
        }
        Ok(Self { schedules })
    }

    /// Makes the schedules known, then fires what falls due, until `stop`. A database that does not answer is asked
    /// again; a tick that came due meanwhile fires then.
    pub async fn run(self, pool: PgPool, stop: CancellationToken) {
        if self.schedules.is_empty() {
            return;
        }
        let mut known = false;
        while !stop.is_cancelled() {
            let sleep = match self.once(&pool, &mut known).await {
                Ok(sleep) => sleep,
                Err(error) => {
                    warn!("Cannot look after schedules for now: {error}");
                    SOON
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    async fn once(&self, pool: &PgPool, known: &mut bool) -> sqlx::Result<Duration> {
        if !*known {
            self.define(pool).await?;
            *known = true;
        }
        let ticked = tick(pool, &self.schedules).await?;
        Ok(if ticked.failed.is_empty() {
            ticked.sleep
        } else {
            SOON
        })
    }

    /// Writes the schedules' definitions. One that changed counts from now on: what had fallen due before stays due.
    pub async fn define(&self, pool: &PgPool) -> sqlx::Result<()> {
        for schedule in &self.schedules {
            if let Ok(cadence) = schedule.cadence() {
                ask(pool, LONGEST, async |db| {
                    define(db, schedule, cadence).await
                })
                .await?;
            }
        }
        Ok(())
    }
}

async fn define(db: &mut PgConnection, schedule: &Schedule, cadence: &Cadence) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    ledger::insert(&mut tx, &schedule.name, cadence, schedule.catch_up).await?;
    if let Some(stored) = ledger::lock(&mut tx, &schedule.name).await? {
        let overdue = stored.next_due.filter(|next| *next <= stored.now);
        let from = stored.last_due.unwrap_or(stored.now).max(stored.now);
        let next = overdue.or_else(|| cadence.next(from));
        let same = stored.is(cadence, schedule.catch_up);
        if !same || stored.next_due.is_none() && next.is_some() {
            ledger::define(&mut tx, &schedule.name, cadence, schedule.catch_up, next).await?;
        }
    }
    tx.commit().await
}

/// Fires what is due of `schedules`, once.
pub async fn tick(pool: &PgPool, schedules: &[Schedule]) -> sqlx::Result<Ticked> {
    let names: Vec<String> = schedules.iter().map(|one| one.name.clone()).collect();
    let stored = ask(pool, LONGEST, async |db| ledger::named(db, &names).await).await?;

    let mut ticked = Ticked {
        sleep: LONGEST_SLEEP,
        ..Ticked::default()
    };
    for row in stored {
        let Some(schedule) = schedules.iter().find(|one| one.name == row.name) else {
            continue;
        };
        if is_due(schedule, &row) {
            match on(pool, async |db| fire_due(db, schedule).await).await {
                Ok(fired) => {
                    ticked.sleep = Duration::ZERO;
                    for due in fired {
                        info!(schedule.name = %row.name, "Schedule {} fired for {due}", row.name);
                        ticked.fired.push((row.name.clone(), due));
                    }
                }
                Err(failure) => {
                    error!(schedule.name = %row.name, "Schedule {} could not fire: {failure:#}", row.name);
                    ticked.failed.push(row.name);
                }
            }
        } else if let Some(next) = row.next_due.filter(|next| *next > row.now) {
            let until = (next - row.now).to_std().unwrap_or_default();
            ticked.sleep = ticked.sleep.min(until);
        }
    }
    // What just fired has a next time to be read; a row that another process held is looked at soon.
    if ticked.sleep.is_zero() {
        ticked.sleep = SOON;
    }
    Ok(ticked)
}

/// Due, and not the concern of processes that know another definition of it.
fn is_due(schedule: &Schedule, row: &Stored) -> bool {
    let cadence = schedule.cadence.as_ref();
    !row.paused
        && row.next_due.is_some_and(|next| next <= row.now)
        && cadence.is_ok_and(|cadence| row.is(cadence, schedule.catch_up))
}

/// One transaction: the schedule is held, ticks and jobs are written, its next time is set. What has been missed may take
/// its time as long as the database answers.
async fn fire_due(
    db: &mut PgConnection,
    schedule: &Schedule,
) -> anyhow::Result<Vec<DateTime<Utc>>> {
    let cadence = schedule.cadence()?;
    let mut tx = within(LONGEST, db.begin()).await?;
    let Some(row) = within(LONGEST, ledger::try_lock(&mut tx, &schedule.name)).await? else {
        return Ok(Vec::new());
    };
    let Some(first) = row.next_due.filter(|_| is_due(schedule, &row)) else {
        return Ok(Vec::new());
    };

    let (chosen, missed) = choose(cadence, schedule.catch_up, first, row.now);
    let mut fired = Vec::new();
    for due in chosen {
        let write = ledger::write_tick(&mut tx, &schedule.name, due, Cause::Due);
        if within(LONGEST, write).await? {
            within(LONGEST, (schedule.fire)(&mut tx, due)).await?;
            fired.push(due);
        }
    }
    let next = cadence.next(row.now);
    let advance = ledger::advance(&mut tx, &schedule.name, fired.last().copied(), next, missed);
    within(LONGEST, advance).await?;
    within(LONGEST, tx.commit()).await?;
    Ok(fired)
}

/// Which of the ticks from `first` until `now` fire, and how many do not.
fn choose(
    cadence: &Cadence,
    catch_up: CatchUp,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (VecDeque<DateTime<Utc>>, i64) {
    let most = match catch_up {
        CatchUp::Skip | CatchUp::Latest => 1,
        CatchUp::All(most) => usize::from(most),
    };
    let mut chosen = VecDeque::from([first]);
    let mut missed = 0;
    let mut at = first.max(now - LOOK_BACK);
    while let Some(next) = cadence.next(at).filter(|next| *next <= now) {
        chosen.push_back(next);
        at = next;
        if chosen.len() > most {
            chosen.pop_front();
            missed += 1;
        }
    }
    let is_late = |due: &DateTime<Utc>| now - *due > LATE;
    if most == 0 || catch_up == CatchUp::Skip && chosen.front().is_some_and(is_late) {
        missed += i64::try_from(chosen.len()).unwrap_or(i64::MAX);
        chosen.clear();
    }
    (chosen, missed)
}
