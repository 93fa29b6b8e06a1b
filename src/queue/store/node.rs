//! Processes that work, their leases, and the jobs of those whose lease ran out.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::batch::{self, Ended};
use super::insert::interval;
use crate::fingerprint;

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

/// What went wrong with a job whose process died.
const DIED: &str = "the worker that ran it died";

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
    let mut tx = db.begin().await?;
    let taken: Vec<Taken> = sqlx::query_as(
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
                unique_key, trace, progress, errors, log, retried_from, limit_key, batch_id, created_at, started_at, outcome, reason,
                fingerprint)
            SELECT id, queue, kind, version, priority, lane, payload, attempt, max_attempts, unique_key, trace, progress,
                queue.with_error(errors, attempt, $2, lease_by), log, retried_from, limit_key, batch_id, created_at, started_at,
                CASE WHEN cancel_reason IS NULL THEN 'discarded' ELSE 'cancelled' END, coalesce(cancel_reason, $2),
                CASE WHEN cancel_reason IS NULL THEN $4::bigint END
            FROM gone
            RETURNING batch_id, queue, outcome, created_at
        ), counted AS (
            INSERT INTO queue.counter (queue, outcome, minute, made, count)
            SELECT queue, outcome, date_trunc('minute', now()), date_trunc('minute', created_at), count(*)
            FROM kept
            GROUP BY queue, outcome, date_trunc('minute', created_at)
        )
        SELECT (SELECT count(*) FROM back) AS back, NULL::bigint AS batch_id, 0::bigint AS ended, 0::bigint AS failed,
            0::bigint AS cancelled
        UNION ALL
        SELECT 0, batch_id, count(*), count(*) FILTER (WHERE outcome = 'discarded'),
            count(*) FILTER (WHERE outcome = 'cancelled')
        FROM kept
        GROUP BY batch_id
        "#,
    )
    .bind(most)
    .bind(DIED)
    .bind(interval(spread))
    .bind(fingerprint::of(DIED))
    .fetch_all(&mut *tx)
    .await?;
    let ended: Vec<Ended> = taken.iter().map(|taken| taken.ended).collect();
    batch::note(&mut tx, &ended).await?;
    tx.commit().await?;
    Ok(Rescued {
        back: taken.iter().map(|taken| taken.back.unsigned_abs()).sum(),
        discarded: Ended::count(&ended),
    })
}

#[derive(sqlx::FromRow)]
struct Taken {
    back: i64,
    #[sqlx(flatten)]
    ended: Ended,
}
