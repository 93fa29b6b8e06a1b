//! Processes that work, their leases, and the jobs of those whose lease ran out.

use std::time::Duration;

use sqlx::PgConnection;

use super::insert::interval;

/// What a process says of itself.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) host: String,
    pub(crate) pid: i32,
    pub(crate) version: String,
    pub(crate) queues: Vec<String>,
    pub(crate) kinds: Vec<String>,
}

/// Makes a node whose lease holds for `lease`; gives its id.
pub(crate) async fn register(
    db: &mut PgConnection,
    about: &About,
    lease: Duration,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        r#"
        INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
        VALUES ($1, $2, $3, $4, $5, now() + $6)
        RETURNING id
        "#,
    )
    .bind(&about.host)
    .bind(about.pid)
    .bind(&about.version)
    .bind(&about.queues)
    .bind(&about.kinds)
    .bind(interval(lease))
    .fetch_one(db)
    .await
}

/// Renews a lease that still holds; false if it ran out, after which its jobs are no longer the node's.
pub(crate) async fn renew(db: &mut PgConnection, node: i64, lease: Duration) -> sqlx::Result<bool> {
    let renewed = sqlx::query(
        r#"
        UPDATE queue.node
        SET seen_at = now(), lease_until = now() + $2
        WHERE id = $1 AND lease_until > now()
        "#,
    )
    .bind(node)
    .bind(interval(lease))
    .execute(db)
    .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Ends a lease.
pub(crate) async fn resign(db: &mut PgConnection, node: i64) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE queue.node
        SET lease_until = now(), stopped_at = now()
        WHERE id = $1 AND lease_until > now()
        "#,
    )
    .bind(node)
    .execute(db)
    .await?;
    Ok(())
}

/// What taking back did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rescued {
    /// Jobs that wait again.
    pub(crate) back: u64,
    /// Jobs whose last attempt it was, or that were to stop.
    pub(crate) discarded: u64,
}

/// Takes back jobs that run on no live node, at most `most`; the lost attempt counts.
///
/// They are spread over `spread`, so that those that were merely in the company of one that kills its process part from it.
pub(crate) async fn rescue(
    db: &mut PgConnection,
    most: i64,
    spread: Duration,
) -> sqlx::Result<Rescued> {
    let (back, discarded): (i64, i64) = sqlx::query_as(
        r#"
        WITH lost AS (
            SELECT id, attempt >= max_attempts OR cancel_reason IS NOT NULL AS last
            FROM queue.job
            WHERE state = 2
                AND lease_by <> ALL (ARRAY (SELECT id FROM queue.node WHERE lease_until > now()))
            LIMIT $1
            FOR UPDATE SKIP LOCKED
        ), back AS (
            UPDATE queue.job j
            SET state = 1, run_at = now() + random() * $3::interval, lease_by = NULL, started_at = NULL,
                errors = queue.with_error(errors, attempt, $2, lease_by)
            FROM lost
            WHERE j.id = lost.id AND NOT lost.last
            RETURNING j.id
        ), gone AS (
            DELETE FROM queue.job j USING lost WHERE j.id = lost.id AND lost.last RETURNING j.*
        ), kept AS (
            INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
                unique_key, trace, progress, errors, log, retried_from, limit_key, created_at, started_at, outcome, reason)
            SELECT id, queue, kind, version, priority, lane, payload, attempt, max_attempts, unique_key, trace, progress,
                queue.with_error(errors, attempt, $2, lease_by), log, retried_from, limit_key, created_at, started_at,
                CASE WHEN cancel_reason IS NULL THEN 'discarded' ELSE 'cancelled' END, coalesce(cancel_reason, $2)
            FROM gone
            RETURNING id
        )
        SELECT (SELECT count(*) FROM back), (SELECT count(*) FROM kept)
        "#,
    )
    .bind(most)
    .bind("the worker that ran it died")
    .bind(interval(spread))
    .fetch_one(db)
    .await?;
    Ok(Rescued {
        back: u64::try_from(back).unwrap_or(0),
        discarded: u64::try_from(discarded).unwrap_or(0),
    })
}
