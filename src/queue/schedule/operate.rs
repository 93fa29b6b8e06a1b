//! What ops can do with schedules.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::ledger::{self, Cause};
use super::{Cadence, Schedule, ScheduleError, UnknownCadence};
use crate::admin::deed;
use crate::maintenance::TICKS_KEPT;

/// A schedule as people see it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// Its cadence as it is written.
    pub cadence: String,
    /// Its cadence in plain words.
    pub described: String,
    /// The zone whose clock it follows.
    pub zone: String,
    /// What becomes of missed ticks: `skip`, `latest` or `all N`.
    pub catch_up: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Nominal time of the last tick that fired.
    pub last_due: Option<DateTime<Utc>>,
    /// When that tick fired.
    pub last_fired: Option<DateTime<Utc>>,
    /// Nominal time of the next tick.
    pub next_due: Option<DateTime<Utc>>,
    /// Seconds by which the next tick is overdue, if it is and nothing is paused.
    pub overdue_seconds: Option<f64>,
    /// How many ticks fell due and did not fire.
    pub missed: i64,
    /// How many programs run that fire it, or may.
    pub programs: i64,
    /// The next three times, as the zone's clock shows them.
    #[sqlx(skip)]
    pub next_three: Vec<String>,
}

/// Every schedule that the database knows, by name.
pub async fn list(db: &mut PgConnection) -> sqlx::Result<Vec<ScheduleRow>> {
    let mut rows: Vec<ScheduleRow> = sqlx::query_as(
        r#"
        SELECT s.name, s.cadence, s.described, s.zone, s.catch_up, s.paused, s.last_due, t.fired_at AS last_fired,
            s.next_due, s.missed,
            (SELECT count(*) FROM queue.node n
                WHERE n.lease_until > now() AND (n.schedules IS NULL OR s.name = ANY (n.schedules))) AS programs,
            CASE WHEN NOT s.paused AND s.next_due < now()
                THEN extract(epoch FROM now() - s.next_due)::float8 END AS overdue_seconds
        FROM queue.schedule s
        LEFT JOIN queue.schedule_tick t ON t.name = s.name AND t.due_at = s.last_due
        ORDER BY s.name
        "#,
    )
    .fetch_all(&mut *db)
    .await?;
    let now = now(db).await?;
    for row in &mut rows {
        if let Ok(cadence) = Cadence::stored(&row.cadence, &row.zone) {
            let next = cadence.preview(now, 3);
            row.next_three = next.iter().map(|at| at.format(SHOWN).to_string()).collect();
        }
    }
    Ok(rows)
}

/// How a time of the zone's clock is shown.
const SHOWN: &str = "%Y-%m-%d %H:%M %Z";

/// Lets no tick fire until it is resumed; false if there is no such schedule.
pub async fn pause(db: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    let mut tx = deed(db).await?;
    let known = ledger::set_paused(&mut tx, name, true).await?;
    tx.commit().await?;
    Ok(known)
}

/// Why a schedule could not be resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It was written by a program that knows more cadences.
    #[error(transparent)]
    Cadence(#[from] UnknownCadence),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Lets ticks fire again, from the next one on; false if there is no such schedule.
pub async fn resume(db: &mut PgConnection, name: &str) -> Result<bool, ResumeError> {
    let mut tx = deed(db).await?;
    let Some(row) = ledger::lock(&mut tx, name).await? else {
        return Ok(false);
    };
    if row.paused {
        let next = Cadence::stored(&row.cadence, &row.zone)?.next(row.now);
        ledger::advance(&mut tx, name, None, next, 0).await?;
        ledger::set_paused(&mut tx, name, false).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Why a schedule was not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// It would be made known again.
    #[error("the schedule {0} is in a program that runs, or in this one; take it out of it first")]
    Fired(String),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Removes a schedule that is in no program any more, neither in one that runs nor among those of `this` one; false if there
/// is no such schedule.
pub async fn forget(
    db: &mut PgConnection,
    name: &str,
    this: &[Schedule],
) -> Result<bool, ForgetError> {
    let mut tx = deed(db).await?;
    if ledger::lock(&mut tx, name).await?.is_none() {
        return Ok(false);
    }
    let is_ours = this.iter().any(|schedule| schedule.name() == name);
    if is_ours || ledger::is_fired(&mut tx, name).await? {
        return Err(ForgetError::Fired(name.to_owned()));
    }
    let gone = ledger::delete(&mut tx, name).await?;
    tx.commit().await?;
    Ok(gone)
}

/// Fires once now, whatever the cadence says and also while it is paused, and leaves the plan alone; gives the nominal
/// time, which is now.
pub async fn run_now(db: &mut PgConnection, schedule: &Schedule) -> anyhow::Result<DateTime<Utc>> {
    let mut tx = deed(db).await?;
    let now = now(&mut tx).await?;
    if ledger::write_tick(&mut tx, &schedule.name, now, Cause::Asked).await? {
        (schedule.fire)(&mut tx, now).await?;
    }
    tx.commit().await?;
    Ok(now)
}

/// More ticks are filled in in steps.
pub const MOST_FILLED: usize = 10_000;

/// Why ticks were not filled in.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// It ends before it begins.
    #[error("to: is before from; nothing falls due in between")]
    Backwards,
    /// What fired then is no longer known, and would fire again.
    #[error("from: is more than {} days ago, and what fired then is no longer known", TICKS_KEPT - 1)]
    TooOld,
    /// So many are not done in one transaction.
    #[error(
        "to: more than {MOST_FILLED} ticks did not fire until then; choose an earlier instant, then go on from there"
    )]
    TooMany,
    /// The schedule makes no sense.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// What was to fire could not be written.
    #[error("{0:#}")]
    Fire(anyhow::Error),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The ticks in `from..=to`, up to now, that never fired.
pub async fn backfill_preview(
    db: &mut PgConnection,
    schedule: &Schedule,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>, BackfillError> {
    let cadence = schedule.cadence()?;
    let now = now(db).await?;
    if to < from {
        return Err(BackfillError::Backwards);
    }
    if from < now - TimeDelta::days(i64::from(TICKS_KEPT - 1)) {
        return Err(BackfillError::TooOld);
    }
    let to = to.min(now);
    let fired = ledger::ticks(db, &schedule.name, from, to).await?;
    let mut missing = Vec::new();
    let mut at = from - TimeDelta::nanoseconds(1);
    while let Some(next) = cadence.next(at).filter(|next| *next <= to) {
        if fired.binary_search(&next).is_err() {
            missing.push(next);
        }
        if missing.len() > MOST_FILLED {
            return Err(BackfillError::TooMany);
        }
        at = next;
    }
    Ok(missing)
}

/// Fires the ticks in `from..=to`, up to now, that never fired, in one transaction, in order; also while it is paused.
pub async fn backfill(
    db: &mut PgConnection,
    schedule: &Schedule,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>, BackfillError> {
    let mut tx = deed(db).await?;
    let mut fired = Vec::new();
    for due in backfill_preview(&mut tx, schedule, from, to).await? {
        if ledger::write_tick(&mut tx, &schedule.name, due, Cause::Backfill).await? {
            let written = (schedule.fire)(&mut tx, due).await;
            written.map_err(BackfillError::Fire)?;
            fired.push(due);
        }
    }
    tx.commit().await?;
    Ok(fired)
}

async fn now(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT now()").fetch_one(db).await
}
