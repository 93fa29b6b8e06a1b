//! The rows of schedules and their ticks: one function a statement.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Cadence, CatchUp};

/// A schedule as the database has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) cadence: String,
    pub(super) zone: String,
    pub(super) catch_up: String,
    pub(super) paused: bool,
    pub(super) last_due: Option<DateTime<Utc>>,
    pub(super) next_due: Option<DateTime<Utc>>,
    /// What time it is.
    pub(super) now: DateTime<Utc>,
}

impl Stored {
    /// Whether the database knows the schedule as this process does.
    pub(super) fn is(&self, cadence: &Cadence, catch_up: CatchUp) -> bool {
        self.cadence == cadence.text()
            && self.zone == cadence.zone().name()
            && self.catch_up == catch_up.to_string()
    }
}

/// Why a tick fires.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause {
    Due,
    Asked,
    Backfill,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Asked => "asked",
            Self::Backfill => "backfill",
        }
    }
}

/// Makes sure that a row of this name is there.
pub(super) async fn insert(
    db: &mut PgConnection,
    name: &str,
    cadence: &Cadence,
    catch_up: CatchUp,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO queue.schedule (name, cadence, zone, described, catch_up)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (name) DO NOTHING
        "#,
    )
    .bind(name)
    .bind(cadence.text())
    .bind(cadence.zone().name())
    .bind(cadence.to_string())
    .bind(catch_up.to_string())
    .execute(db)
    .await?;
    Ok(())
}

/// Gives a schedule another definition and next tick.
pub(super) async fn define(
    db: &mut PgConnection,
    name: &str,
    cadence: &Cadence,
    catch_up: CatchUp,
    next: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE queue.schedule
        SET cadence = $2, zone = $3, described = $4, catch_up = $5, next_due = $6, changed_at = now()
        WHERE name = $1
        "#,
    )
    .bind(name)
    .bind(cadence.text())
    .bind(cadence.zone().name())
    .bind(cadence.to_string())
    .bind(catch_up.to_string())
    .bind(next)
    .execute(db)
    .await?;
    Ok(())
}

/// The named schedules, all of one instant.
pub(super) async fn named(db: &mut PgConnection, names: &[String]) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as(
        r#"
        SELECT name, cadence, zone, catch_up, paused, last_due, next_due, now() AS now
        FROM queue.schedule
        WHERE name = ANY($1)
        "#,
    )
    .bind(names)
    .fetch_all(db)
    .await
}

/// One schedule, held until the transaction ends; `None` if another process holds it or it is gone.
///
/// The time is read after the lock is had.
pub(super) async fn try_lock(db: &mut PgConnection, name: &str) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        r#"
        SELECT name, cadence, zone, catch_up, paused, last_due, next_due, clock_timestamp() AS now
        FROM queue.schedule
        WHERE name = $1
        FOR UPDATE SKIP LOCKED
        "#,
    )
    .bind(name)
    .fetch_optional(db)
    .await
}

/// One schedule, held until the transaction ends, waiting for whoever holds it.
pub(super) async fn lock(db: &mut PgConnection, name: &str) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        r#"
        SELECT name, cadence, zone, catch_up, paused, last_due, next_due, clock_timestamp() AS now
        FROM queue.schedule
        WHERE name = $1
        FOR UPDATE
        "#,
    )
    .bind(name)
    .fetch_optional(db)
    .await
}

/// Writes a tick; false if it was there.
pub(super) async fn write_tick(
    db: &mut PgConnection,
    name: &str,
    due: DateTime<Utc>,
    cause: Cause,
) -> sqlx::Result<bool> {
    let written = sqlx::query(
        r#"
        INSERT INTO queue.schedule_tick (name, due_at, cause)
        VALUES ($1, $2, $3)
        ON CONFLICT (name, due_at) DO NOTHING
        "#,
    )
    .bind(name)
    .bind(due)
    .bind(cause.as_str())
    .execute(db)
    .await?;
    Ok(written.rows_affected() == 1)
}

/// Moves a schedule on to its next tick.
pub(super) async fn advance(
    db: &mut PgConnection,
    name: &str,
    fired: Option<DateTime<Utc>>,
    next: Option<DateTime<Utc>>,
    missed: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE queue.schedule
        SET last_due = greatest(last_due, $2), next_due = $3, missed = missed + $4
        WHERE name = $1
        "#,
    )
    .bind(name)
    .bind(fired)
    .bind(next)
    .bind(missed)
    .execute(db)
    .await?;
    Ok(())
}

/// Pauses or resumes a schedule; false if there is none.
pub(super) async fn set_paused(
    db: &mut PgConnection,
    name: &str,
    paused: bool,
) -> sqlx::Result<bool> {
    let changed = sqlx::query("UPDATE queue.schedule SET paused = $2 WHERE name = $1")
        .bind(name)
        .bind(paused)
        .execute(db)
        .await?;
    Ok(changed.rows_affected() == 1)
}

/// Whether a program that runs fires a schedule of this name, or may.
pub(super) async fn is_fired(db: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        r#"
        SELECT EXISTS (SELECT FROM queue.node
            WHERE lease_until > now() AND (schedules IS NULL OR $1 = ANY (schedules)))
        "#,
    )
    .bind(name)
    .fetch_one(db)
    .await
}

/// Removes a schedule; what it fired stays written down until it is old, so that one of this name which comes back fires no
/// tick twice.
pub(super) async fn delete(db: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    let gone = sqlx::query("DELETE FROM queue.schedule WHERE name = $1")
        .bind(name)
        .execute(db)
        .await?;
    Ok(gone.rows_affected() == 1)
}

/// The ticks of a schedule in `from..=to`.
pub(super) async fn ticks(
    db: &mut PgConnection,
    name: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> sqlx::Result<Vec<DateTime<Utc>>> {
    sqlx::query_scalar(
        r#"
        SELECT due_at
        FROM queue.schedule_tick
        WHERE name = $1 AND due_at BETWEEN $2 AND $3
        ORDER BY due_at
        "#,
    )
    .bind(name)
    .bind(from)
    .bind(to)
    .fetch_all(db)
    .await
}

/// Forgets ticks that were due more than so many days ago.
pub(crate) async fn forget(db: &mut PgConnection, keep_days: i32) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        r#"
        DELETE FROM queue.schedule_tick
        WHERE due_at < now() - make_interval(days => $1)
        "#,
    )
    .bind(keep_days)
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
