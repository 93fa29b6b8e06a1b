//! Processes that work, their leases, and the jobs of those whose lease ran out.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::batch::{self, Ended};
use super::insert::interval;
use crate::{JobId, fingerprint};

/// What a process says of itself.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) host: String,
    pub(crate) pid: i32,
    pub(crate) version: String,
    pub(crate) queues: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) schedules: Vec<String>,
}

/// Makes a node whose lease holds for `lease`; gives its id.
pub(crate) async fn register(
    db: &mut PgConnection,
    about: &About,
    lease: Duration,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        r#"
        INSERT INTO queue.node (host, pid, version, queues, kinds, schedules, lease_until)
        VALUES ($1, $2, $3, $4, $5, $6, now() + $7)
        RETURNING id
        "#,
    )
    .bind(&about.host)
    .bind(about.pid)
    .bind(&about.version)
    .bind(&about.queues)
    .bind(&about.kinds)
    .bind(&about.schedules)
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

/// Jobs that wait for somebody to look after them.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Neglected {
    /// There are claims of nodes that no longer live.
    pub(crate) lost: bool,
    /// There are parked ones of kinds that are known here.
    pub(crate) parked: bool,
    /// There are claims of the node from a while ago.
    pub(crate) old: bool,
    /// What the node has claimed a while ago and not told the outcome of.
    #[sqlx(flatten)]
    pub(crate) claims: Claims,
}

/// Jobs and the epochs of their claims, one by one.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Claims {
    ids: Vec<i64>,
    epochs: Vec<i32>,
}

impl Claims {
    pub(crate) fn into_pairs(self) -> Vec<(JobId, i32)> {
        let ids = self.ids.into_iter().map(JobId);
        ids.zip(self.epochs).collect()
    }
}

/// One look for all that has to be looked after, as it is nearly always nothing. Claims of `node` count from `age` on.
pub(crate) async fn neglected(
    db: &mut PgConnection,
    node: Option<i64>,
    age: Duration,
    kinds: &[String],
    versions: &[i16],
) -> sqlx::Result<Neglected> {
    sqlx::query_as(
        r#"
        SELECT EXISTS (
                SELECT FROM queue.claim WHERE node <> ALL (ARRAY (SELECT id FROM queue.node WHERE lease_until > now()))
            ) AS lost,
            EXISTS (
                SELECT FROM queue.job j
                JOIN unnest($3::text[], $4::smallint[]) AS known (kind, version)
                    ON j.kind = known.kind AND j.version <= known.version
                WHERE j.state = 3
            ) AS parked,
            EXISTS (SELECT FROM queue.claim WHERE node = $1 AND at < now() - $2::interval) AS old,
            coalesce(array_agg(id), '{}') AS ids,
            coalesce(array_agg(epoch), '{}') AS epochs
        FROM queue.running
        WHERE node = $1 AND at < now() - $2::interval
        "#,
    )
    .bind(node)
    .bind(interval(age))
    .bind(kinds)
    .bind(versions)
    .fetch_one(db)
    .await
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
        WITH lost AS MATERIALIZED (
            SELECT j.id, j.last
            FROM queue.claim c
            CROSS JOIN LATERAL unnest(c.jobs) AS claimed (id)
            CROSS JOIN LATERAL (
                SELECT job.id, job.attempt >= job.max_attempts OR job.cancel_reason IS NOT NULL AS last
                FROM queue.job
                WHERE job.id = claimed.id AND job.lease_by = c.node AND job.started_at = c.at
                LIMIT 1
                FOR UPDATE SKIP LOCKED
            ) j
            WHERE c.node <> ALL (ARRAY (SELECT id FROM queue.node WHERE lease_until > now()))
            LIMIT $1
        ), back AS (
            UPDATE queue.job j
            SET state = 1, run_at = now() + random() * $3::interval, lease_by = NULL, started_at = NULL,
                priority = coalesce(raised_from, priority), raised_from = NULL,
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
            SELECT id, queue, kind, version, coalesce(raised_from, priority), lane, payload, attempt, max_attempts, unique_key, trace, progress,
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
    bury(&mut tx).await?;
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

/// Removes claims of nodes that no longer live if none of their jobs runs.
pub(crate) async fn bury(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        DELETE FROM queue.claim c
        WHERE c.node <> ALL (ARRAY (SELECT id FROM queue.node WHERE lease_until > now()))
            AND NOT EXISTS (SELECT FROM queue.running r WHERE r.node = c.node AND r.number = c.number)
        "#,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes out of the claims of a live node that are older than `age` what has ended: of those that were not heard of, and
/// of those of which little still runs.
pub(crate) async fn tidy(db: &mut PgConnection, node: i64, age: Duration) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        WITH old AS MATERIALIZED (
            SELECT c.number, ARRAY (SELECT r.id FROM queue.running r WHERE r.node = $1 AND r.number = c.number) AS left
            FROM queue.claim c
            WHERE c.node = $1 AND c.at < now() - $2::interval
        ), ended AS (
            DELETE FROM queue.claim c USING old
            WHERE c.node = $1 AND c.number = old.number AND cardinality(old.left) = 0
        )
        UPDATE queue.claim c
        SET jobs = old.left
        FROM old
        WHERE c.node = $1 AND c.number = old.number AND cardinality(old.left) > 0
            AND cardinality(old.left) < cardinality(c.jobs)
        "#,
    )
    .bind(node)
    .bind(interval(age))
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets nodes an hour after their end; until then they are shown.
pub(crate) async fn forget(db: &mut PgConnection) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        r#"
        DELETE FROM queue.node n
        WHERE n.lease_until < now() - interval '1 hour'
            AND NOT EXISTS (SELECT FROM queue.claim c WHERE c.node = n.id)
        "#,
    )
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
