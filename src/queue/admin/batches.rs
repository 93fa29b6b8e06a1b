//! Batches: how far each has got, and calling one off.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Refused, cancel, deed, question};
use crate::store::batch;
use crate::store::settle::take_out;

/// Longest page.
const MOST: i64 = 200;
/// Jobs that are called off in one transaction.
const CHUNK: i64 = 1000;

/// A batch and how far it has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchRow {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whom it belongs to.
    pub lane: Option<Uuid>,
    /// `open` while jobs may be added, then `sealed`, and `completed` when none remains.
    pub state: String,
    /// Jobs that were added.
    pub total: i64,
    /// Of them those that have not ended.
    pub remaining: i64,
    /// Those that ended well, or had nothing to do.
    pub done: i64,
    /// Those that ended as dead letters.
    pub failed: i64,
    /// Those that were cancelled or deleted.
    pub cancelled: i64,
    /// The kind of job that comes after it.
    pub on_complete: Option<String>,
    /// That job's id, once it is enqueued.
    pub completed_job: Option<i64>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when nothing can be added.
    pub sealed_at: Option<DateTime<Utc>>,
    /// When the last of its jobs ended.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Which batches to list; what is left out does not limit.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchFilter {
    /// Only those that have not completed.
    pub unfinished: bool,
    /// Of this lane.
    pub lane: Option<Uuid>,
    /// How many at most.
    pub limit: Option<i64>,
}

/// A page of batches, newest first.
#[derive(Debug, Clone, Serialize)]
pub struct BatchListing {
    /// The batches.
    pub items: Vec<BatchRow>,
    /// The next page is of those below this id, if there may be one.
    pub next: Option<i64>,
}

/// What calling a batch off did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CancelledBatch {
    /// Jobs that waited and will not run.
    pub cancelled: u64,
    /// Jobs that run and are asked to stop.
    pub asked: u64,
}

/// A page of batches of ids below `below`.
pub async fn batches(
    db: &mut PgConnection,
    filter: BatchFilter,
    below: Option<i64>,
) -> sqlx::Result<BatchListing> {
    let limit = filter.limit.unwrap_or(50).clamp(1, MOST);
    let mut tx = question(db).await?;
    let statement = if filter.unfinished { UNFINISHED } else { EVERY };
    let mut items: Vec<BatchRow> = sqlx::query_as(statement)
        .bind(filter.lane)
        .bind(below)
        .bind(limit + 1)
        .fetch_all(&mut *tx)
        .await?;
    let more = items.len() > usize::try_from(limit).unwrap_or_default();
    if more {
        items.pop();
    }
    let next = items.last().filter(|_| more).map(|batch| batch.id);
    Ok(BatchListing { items, next })
}

const EVERY: &str = r#"
    SELECT b.id, b.name, b.lane, CASE WHEN b.completed_at IS NOT NULL THEN 'completed'
            WHEN b.sealed_at IS NOT NULL THEN 'sealed' ELSE 'open' END AS state,
        b.total + more.added AS total, b.remaining + more.added AS remaining,
        b.total - b.remaining - b.failed - b.cancelled AS done, b.failed, b.cancelled,
        b.on_complete ->> 'kind' AS on_complete, b.completed_job, b.created_at, b.sealed_at, b.completed_at
    FROM queue.batch b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(a.added), 0)::bigint AS added FROM queue.batch_addition a WHERE a.batch_id = b.id
    ) more
    WHERE ($1::uuid IS NULL OR b.lane = $1) AND ($2::bigint IS NULL OR b.id < $2)
    ORDER BY b.id DESC
    LIMIT $3
"#;

const UNFINISHED: &str = r#"
    SELECT b.id, b.name, b.lane, CASE WHEN b.sealed_at IS NOT NULL THEN 'sealed' ELSE 'open' END AS state,
        b.total + more.added AS total, b.remaining + more.added AS remaining,
        b.total - b.remaining - b.failed - b.cancelled AS done, b.failed, b.cancelled,
        b.on_complete ->> 'kind' AS on_complete, b.completed_job, b.created_at, b.sealed_at, b.completed_at
    FROM queue.batch b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(a.added), 0)::bigint AS added FROM queue.batch_addition a WHERE a.batch_id = b.id
    ) more
    WHERE b.completed_at IS NULL AND ($1::uuid IS NULL OR b.lane = $1) AND ($2::bigint IS NULL OR b.id < $2)
    ORDER BY b.id DESC
    LIMIT $3
"#;

/// One batch.
pub async fn batch(db: &mut PgConnection, id: i64) -> sqlx::Result<Option<BatchRow>> {
    let mut tx = question(db).await?;
    let found: Option<BatchRow> = sqlx::query_as(EVERY)
        .bind(None::<Uuid>)
        .bind(id.checked_add(1))
        .bind(1_i64)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(found.filter(|batch| batch.id == id))
}

/// Calls a batch off: nothing more can be added, its waiting jobs will not run, those that run are asked to stop. It
/// completes, and the job that comes after it is enqueued, when the last of them has ended.
pub async fn cancel_batch(
    db: &mut PgConnection,
    id: i64,
    reason: &str,
) -> Result<CancelledBatch, Refused> {
    let known = self::batch(db, id).await?;
    let known = known.ok_or(Refused::UnknownBatch(id))?;
    if known.completed_at.is_some() {
        return Err(Refused::CompletedBatch(id));
    }
    let mut tx = deed(db).await?;
    batch::seal(&mut tx, id).await?;
    tx.commit().await?;

    let mut done = CancelledBatch::default();
    loop {
        while take_out_some(db, id, reason, &mut done).await? {}
        done.asked += ask_to_stop(db, id, reason).await?;
        // What somebody else held meanwhile is waited for, one at a time.
        let rest = left(db, id).await?;
        if rest.is_empty() {
            return Ok(done);
        }
        for job in rest {
            match cancel(db, job, reason).await {
                Ok(super::Act::Cancelled) => done.cancelled += 1,
                Ok(_) => done.asked += 1,
                Err(Refused::Finished(_) | Refused::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether there may be more.
async fn take_out_some(
    db: &mut PgConnection,
    id: i64,
    reason: &str,
    done: &mut CancelledBatch,
) -> sqlx::Result<bool> {
    let mut tx = deed(db).await?;
    let waiting: Vec<i64> = sqlx::query_scalar(
        r#"
        SELECT id
        FROM queue.job
        WHERE batch_id = $1 AND lease_by IS NULL
        ORDER BY id
        LIMIT $2
        FOR UPDATE SKIP LOCKED
        "#,
    )
    .bind(id)
    .bind(CHUNK)
    .fetch_all(&mut *tx)
    .await?;
    if waiting.is_empty() {
        return Ok(false);
    }
    let ended = take_out(&mut tx, &waiting, reason).await?;
    batch::note(&mut tx, &ended).await?;
    tx.commit().await?;
    done.cancelled += waiting.len() as u64;
    Ok(true)
}

async fn ask_to_stop(db: &mut PgConnection, id: i64, reason: &str) -> sqlx::Result<u64> {
    let asked = sqlx::query(
        r#"
        UPDATE queue.job
        SET cancel_reason = $2
        WHERE ctid = ANY (ARRAY (
            SELECT ctid
            FROM queue.job
            WHERE batch_id = $1 AND lease_by IS NOT NULL AND cancel_reason IS NULL
            FOR UPDATE SKIP LOCKED
        ))
        "#,
    )
    .bind(id)
    .bind(reason)
    .execute(db)
    .await?;
    Ok(asked.rows_affected())
}

/// Jobs that are neither called off nor asked to stop.
async fn left(db: &mut PgConnection, id: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        r#"
        SELECT id
        FROM queue.job
        WHERE batch_id = $1 AND (lease_by IS NULL OR cancel_reason IS NULL)
        ORDER BY id
        LIMIT $2
        "#,
    )
    .bind(id)
    .bind(CHUNK)
    .fetch_all(db)
    .await
}
