//! Dead letters: grouped by their cause, run again, forgotten.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{COUNTED_TO, Counted, deed, question};
use crate::Fingerprint;
use crate::fingerprint;
use crate::store::insert::interval;

/// Letters that are moved in one transaction.
const CHUNK: u64 = 1000;

/// Which dead letters are meant; what is left out does not limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this cause.
    pub fingerprint: Option<Fingerprint>,
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this lane.
    pub lane: Option<Uuid>,
    /// Discarded since then.
    pub since: Option<DateTime<Utc>>,
    /// Discarded until then, that instant included.
    pub until: Option<DateTime<Utc>>,
}

impl DeadFilter {
    /// Whether it means every dead letter there is, which whoever changes something has to ask for.
    pub fn is_everything(&self) -> bool {
        self.kind.is_none()
            && self.fingerprint.is_none()
            && self.queue.is_none()
            && self.lane.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// Dead letters of one cause.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailureRow {
    /// The kind of job.
    pub kind: String,
    /// What their errors have in common; none of those that died before fingerprints were kept.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub fingerprint: Option<Fingerprint>,
    /// The last one's error, without numbers, ids and what is in quotation marks.
    pub error: String,
    /// How many of those looked at.
    pub count: Counted,
    /// How many lanes they belong to.
    pub lanes: i64,
    /// The first of them.
    pub first_at: DateTime<Utc>,
    /// The last of them.
    pub last_at: DateTime<Utc>,
    /// The last one's id.
    pub sample: i64,
}

/// How dead letters are run again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Redrive {
    /// So long after one another; none: at once.
    pub every: Option<Duration>,
    /// How many at most, the oldest first; none: all there are.
    pub most: Option<u64>,
}

/// What running dead letters again did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Redriven {
    /// Letters that are jobs again.
    pub retried: u64,
    /// Letters that stay, as a live job has their key.
    pub key_taken: u64,
    /// When the last of them is to run.
    pub last_at: Option<DateTime<Utc>>,
}

/// The newest dead letters, of which [`COUNTED_TO`] are looked at, grouped by cause, the most frequent first.
pub async fn dead(db: &mut PgConnection, filter: &DeadFilter) -> sqlx::Result<Vec<FailureRow>> {
    let mut tx = question(db).await?;
    let mut groups: Vec<FailureRow> = sqlx::query_as(
        r#"
        SELECT kind, fingerprint, (array_agg(error ORDER BY finished_at DESC, id DESC))[1] AS error, count(*),
            count(DISTINCT lane) AS lanes, min(finished_at) AS first_at, max(finished_at) AS last_at,
            (array_agg(id ORDER BY finished_at DESC, id DESC))[1] AS sample
        FROM (
            SELECT id, kind, lane, finished_at, fingerprint,
                left(coalesce(errors -> -1 ->> 'error', reason, ''), 500) AS error
            FROM queue.job_history
            WHERE outcome = 'discarded' AND ($2::text IS NULL OR kind = $2)
                AND ($3::bigint IS NULL OR fingerprint = $3) AND ($4::text IS NULL OR queue = $4)
                AND ($5::uuid IS NULL OR lane = $5) AND ($6::timestamptz IS NULL OR finished_at >= $6)
                AND ($7::timestamptz IS NULL OR finished_at <= $7)
            ORDER BY finished_at DESC, id DESC
            LIMIT $1
        ) newest
        GROUP BY kind, fingerprint
        ORDER BY count(*) DESC, kind, fingerprint
        LIMIT 100
        "#,
    )
    .bind(COUNTED_TO + 1)
    .bind(&filter.kind)
    .bind(filter.fingerprint)
    .bind(&filter.queue)
    .bind(filter.lane)
    .bind(filter.since)
    .bind(filter.until)
    .fetch_all(&mut *tx)
    .await?;
    for group in &mut groups {
        group.error = fingerprint::plain(&group.error);
    }
    Ok(groups)
}

/// How many dead letters a filter means, as far as is counted.
pub async fn count_dead(db: &mut PgConnection, filter: &DeadFilter) -> sqlx::Result<Counted> {
    let mut tx = question(db).await?;
    sqlx::query_scalar(
        r#"
        SELECT count(*)
        FROM (
            SELECT
            FROM queue.job_history
            WHERE outcome = 'discarded' AND ($1::text IS NULL OR kind = $1)
                AND ($2::bigint IS NULL OR fingerprint = $2) AND ($3::text IS NULL OR queue = $3)
                AND ($4::uuid IS NULL OR lane = $4) AND ($5::timestamptz IS NULL OR finished_at >= $5)
                AND ($6::timestamptz IS NULL OR finished_at <= $6)
            LIMIT $7
        ) letters
        "#,
    )
    .bind(&filter.kind)
    .bind(filter.fingerprint)
    .bind(&filter.queue)
    .bind(filter.lane)
    .bind(filter.since)
    .bind(filter.until)
    .bind(COUNTED_TO + 1)
    .fetch_one(&mut *tx)
    .await
}

/// Runs dead letters again, the oldest first, each under a new id and from the progress that it had noted. Those that die
/// meanwhile are left alone.
///
/// A thousand are moved in one transaction: what is interrupted is done by as much, and may be asked for again.
pub async fn redrive(
    db: &mut PgConnection,
    filter: &DeadFilter,
    how: Redrive,
) -> sqlx::Result<Redriven> {
    let began = now(db).await?;
    let mut done = Redriven::default();
    let mut after: Option<(DateTime<Utc>, i64)> = None;
    loop {
        let left = how
            .most
            .map_or(CHUNK, |most| (most - done.retried).min(CHUNK));
        if left == 0 {
            return Ok(done);
        }
        let mut tx = deed(db).await?;
        let moved: Moved = sqlx::query_as(MOVE)
            .bind(&filter.kind)
            .bind(filter.fingerprint)
            .bind(&filter.queue)
            .bind(filter.lane)
            .bind(filter.since)
            .bind(began)
            .bind(after.map(|after| after.0))
            .bind(after.map(|after| after.1))
            .bind(i64::try_from(left).unwrap_or(i64::MAX))
            .bind(how.every.map(interval))
            .bind(i64::try_from(done.retried + done.key_taken).unwrap_or(i64::MAX))
            .bind(filter.until)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        done.retried += moved.retried.unsigned_abs();
        done.key_taken += (moved.looked_at - moved.retried).unsigned_abs();
        done.last_at = done.last_at.max(moved.last_at);
        after = moved.finished_at.zip(moved.id);
        if moved.looked_at.unsigned_abs() < left {
            return Ok(done);
        }
    }
}

/// One chunk of a redrive.
#[derive(sqlx::FromRow)]
struct Moved {
    looked_at: i64,
    retried: i64,
    last_at: Option<DateTime<Utc>>,
    /// Of the last one looked at.
    finished_at: Option<DateTime<Utc>>,
    id: Option<i64>,
}

const MOVE: &str = r#"
    WITH letters AS (
        SELECT l.*, $11::bigint + row_number() OVER (ORDER BY l.finished_at, l.id) - 1 AS place
        FROM (
            SELECT id, queue, kind, version, priority, lane, payload, max_attempts, unique_key, trace, progress, limit_key,
                finished_at
            FROM queue.job_history
            WHERE outcome = 'discarded' AND ($1::text IS NULL OR kind = $1)
                AND ($2::bigint IS NULL OR fingerprint = $2) AND ($3::text IS NULL OR queue = $3)
                AND ($4::uuid IS NULL OR lane = $4) AND ($5::timestamptz IS NULL OR finished_at >= $5)
                AND finished_at <= least($6, $12::timestamptz) AND ($7::timestamptz IS NULL OR (finished_at, id) > ($7, $8::bigint))
            ORDER BY finished_at, id
            LIMIT $9
            FOR UPDATE SKIP LOCKED
        ) l
    ), back AS (
        INSERT INTO queue.job (queue, kind, version, priority, lane, payload, max_attempts, unique_key, trace, progress,
            limit_key, retried_from, state, run_at)
        SELECT queue, kind, version, priority, lane, payload, max_attempts, unique_key, trace, progress, limit_key, id,
            CASE WHEN due.run_at > now() THEN 1 ELSE 0 END, due.run_at
        FROM letters
        CROSS JOIN LATERAL (SELECT coalesce($6 + place * $10::interval, now()) AS run_at) due
        ORDER BY place
        ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING retried_from, run_at
    ), gone AS (
        DELETE FROM queue.job_history h
        USING letters l, back b
        WHERE h.id = l.id AND h.finished_at = l.finished_at AND b.retried_from = l.id
    )
    SELECT (SELECT count(*) FROM letters) AS looked_at, (SELECT count(*) FROM back) AS retried,
        (SELECT max(run_at) FROM back) AS last_at, last.finished_at, last.id
    FROM (SELECT) one
    LEFT JOIN LATERAL (SELECT finished_at, id FROM letters ORDER BY finished_at DESC, id DESC LIMIT 1) last ON true
"#;

/// Removes dead letters for good; says how many. Those that die meanwhile are left alone.
pub async fn forget_dead(db: &mut PgConnection, filter: &DeadFilter) -> sqlx::Result<u64> {
    let began = now(db).await?;
    let mut forgotten = 0;
    loop {
        let mut tx = deed(db).await?;
        let gone = sqlx::query(
            r#"
            DELETE FROM queue.job_history h
            USING (
                SELECT id, finished_at
                FROM queue.job_history
                WHERE outcome = 'discarded' AND ($1::text IS NULL OR kind = $1)
                    AND ($2::bigint IS NULL OR fingerprint = $2) AND ($3::text IS NULL OR queue = $3)
                    AND ($4::uuid IS NULL OR lane = $4) AND ($5::timestamptz IS NULL OR finished_at >= $5)
                    AND finished_at <= least($6, $8::timestamptz)
                ORDER BY finished_at, id
                LIMIT $7
                FOR UPDATE SKIP LOCKED
            ) l
            WHERE h.id = l.id AND h.finished_at = l.finished_at
            "#,
        )
        .bind(&filter.kind)
        .bind(filter.fingerprint)
        .bind(&filter.queue)
        .bind(filter.lane)
        .bind(filter.since)
        .bind(began)
        .bind(i64::try_from(CHUNK).unwrap_or(i64::MAX))
        .bind(filter.until)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        forgotten += gone.rows_affected();
        if gone.rows_affected() < CHUNK {
            return Ok(forgotten);
        }
    }
}

/// The time, as the database has it.
async fn now(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(db)
        .await
}
