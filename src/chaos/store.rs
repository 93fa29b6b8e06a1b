//! Every statement of the chaos: what jobs write, what is broken by SQL, and what is left in the end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};

/// The most connections that the jobs of a worker have.
const CONNECTIONS: u32 = 6;

/// Connections for jobs: one that was left in the middle of a transaction holds its locks for a moment only.
pub(super) fn pool(url: &str) -> sqlx::Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(3))
        .after_connect(|db, _| {
            Box::pin(async move {
                let patience =
                    "SET idle_in_transaction_session_timeout = '5s'; SET statement_timeout = '5s'";
                sqlx::raw_sql(patience).execute(db).await?;
                Ok(())
            })
        })
        .connect_lazy(url)
}

/// Makes what jobs write to.
pub(super) async fn prepare(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(include_str!("store/schema.sql"))
        .execute(db)
        .await?;
    Ok(())
}

/// Writes an effect; gives its place among all.
pub(super) async fn effect(
    db: &mut PgConnection,
    number: u64,
    epoch: i32,
    believed_at: DateTime<Utc>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        r#"
        INSERT INTO chaos.effect (number, epoch, believed_at, filling)
        VALUES ($1, $2, $3, repeat('x', 500))
        RETURNING place
        "#,
    )
    .bind(i64::try_from(number).unwrap_or(i64::MAX))
    .bind(epoch)
    .bind(believed_at)
    .fetch_one(db)
    .await
}

/// A job that the queue says is finished.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(super) struct Finished {
    pub(super) job: i64,
    pub(super) kind: String,
    pub(super) outcome: String,
    pub(super) attempt: i16,
    pub(super) max_attempts: i16,
    /// In microseconds since 1970, when the transaction began that wrote it.
    pub(super) finished_at: i64,
    /// The claim whose outcome was accepted; `None` if nothing was told.
    pub(super) epoch: Option<i32>,
    /// The attempt that told it.
    pub(super) told_attempt: Option<i32>,
}

/// Every finished job of the chaos.
pub(super) async fn finished(db: &mut PgConnection) -> sqlx::Result<Vec<Finished>> {
    sqlx::query_as(
        r#"
        SELECT id AS job, kind, outcome, attempt, max_attempts,
            (extract(epoch FROM finished_at) * 1000000)::bigint AS finished_at, (result ->> 'epoch')::int AS epoch,
            (result ->> 'attempt')::int AS told_attempt
        FROM queue.job_history
        WHERE queue LIKE 'chaos%'
        "#,
    )
    .fetch_all(db)
    .await
}

/// A job that is not finished, and what is known of it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(super) struct Left {
    pub(super) job: i64,
    pub(super) told: String,
}

/// Every job of the chaos that is not finished.
pub(super) async fn left(db: &mut PgConnection) -> sqlx::Result<Vec<Left>> {
    sqlx::query_as(
        r#"
        SELECT id AS job, format('%s %s, state %s, attempt %s, epoch %s, leased by %s, due %s: %s', kind, id, state, attempt,
            epoch, lease_by, run_at, right(errors::text, 300)) AS told
        FROM queue.job
        WHERE queue LIKE 'chaos%'
        ORDER BY id
        "#,
    )
    .fetch_all(db)
    .await
}

/// How many poisons are not finished.
pub(super) async fn count_poison(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM queue.job WHERE queue = 'chaos_poison'")
        .fetch_one(db)
        .await
}

/// How many jobs are not finished.
pub(super) async fn count_left(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM queue.job WHERE queue LIKE 'chaos%'")
        .fetch_one(db)
        .await
}

/// The places of all effects.
pub(super) async fn effects(db: &mut PgConnection) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar("SELECT place FROM chaos.effect")
        .fetch_all(db)
        .await
}

/// How many effects were written by processes whose clock was wrong by more than their transaction can have taken.
pub(super) async fn count_by_wrong_clocks(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM chaos.effect WHERE abs(extract(epoch FROM believed_at - at)) > 20",
    )
    .fetch_one(db)
    .await
}

/// How often the schedule of every minute has fired.
pub(super) async fn count_ticks(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM queue.schedule_tick WHERE name = 'chaos_minute'")
        .fetch_one(db)
        .await
}

/// The ticks of the schedule of every minute that are there more or less often than one job each.
pub(super) async fn uneven_ticks(db: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        r#"
        WITH jobs AS (
            SELECT (payload ->> 'due')::timestamptz AS due FROM queue.job_history WHERE kind = 'chaos_minute'
            UNION ALL
            SELECT (payload ->> 'due')::timestamptz FROM queue.job WHERE kind = 'chaos_minute'
        ), ticks AS (
            SELECT due_at FROM queue.schedule_tick WHERE name = 'chaos_minute'
        ), span AS (
            SELECT generate_series(min(due_at), max(due_at), interval '1 minute') AS due FROM ticks
        )
        SELECT format('%s: %s ticks, %s jobs', due, (SELECT count(*) FROM ticks WHERE due_at = due),
            (SELECT count(*) FROM jobs WHERE jobs.due = span.due))
        FROM span
        WHERE (SELECT count(*) FROM ticks WHERE due_at = due) <> 1
            OR (SELECT count(*) FROM jobs WHERE jobs.due = span.due) <> 1
        "#,
    )
    .fetch_all(db)
    .await
}

/// Lets the server take no writes, or take them again.
pub(super) async fn set_read_only(superuser: &mut PgConnection, on: bool) -> sqlx::Result<()> {
    let set = if on {
        "ALTER SYSTEM SET default_transaction_read_only = on"
    } else {
        "ALTER SYSTEM RESET default_transaction_read_only"
    };
    sqlx::query(set).execute(&mut *superuser).await?;
    sqlx::query("SELECT pg_reload_conf()")
        .execute(superuser)
        .await?;
    Ok(())
}

/// Ends every session of the application but those of `keep`, as an operator does; says how many.
pub(super) async fn end_sessions(superuser: &mut PgConnection, keep: &[i32]) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        r#"
        SELECT count(pg_terminate_backend(pid))
        FROM pg_stat_activity
        WHERE usename = 'leadmill' AND pid <> ALL ($1)
        "#,
    )
    .bind(keep)
    .fetch_one(superuser)
    .await
}

/// The session that this connection is.
pub(super) async fn session(db: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(db)
        .await
}

pub(super) mod days;
pub(super) mod mutations;
