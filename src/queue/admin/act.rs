//! Retry, cancel, delete.

use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};

use super::deed;
use crate::store::batch::{self, Ended};
use crate::store::settle::take_out;
use crate::{Enqueue, EnqueueError};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A finished job is back, under this id.
    Retried(i64),
    /// A scheduled job runs now.
    Hastened,
    /// It will not run.
    Cancelled,
    /// It runs and is asked to stop; if it is not done by then, it is kept as cancelled.
    Cancelling,
    /// Nothing is left of it.
    Deleted,
}

/// What was done to a job, as programs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Done {
    /// The job; one that runs again has a new id.
    pub id: i64,
    /// `retried`, `hastened`, `cancelled`, `deleted` or `cancelling`: it runs and is asked to stop.
    pub done: &'static str,
}

impl Act {
    /// As it is told of the job that was `asked` for.
    pub fn to(self, asked: i64) -> Done {
        let (id, done) = match self {
            Self::Retried(new) => (new, "retried"),
            Self::Hastened => (asked, "hastened"),
            Self::Cancelled => (asked, "cancelled"),
            Self::Cancelling => (asked, "cancelling"),
            Self::Deleted => (asked, "deleted"),
        };
        Done { id, done }
    }
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such job; it may have been finished long ago.
    #[error("there is no job {0}")]
    Unknown(i64),
    /// It is being run; what it does cannot be undone.
    #[error("job {0} is running; wait until this attempt has ended")]
    Running(i64),
    /// It waits for a worker already.
    #[error("job {0} is ready and waits for a worker")]
    Ready(i64),
    /// No worker knows it, so nothing can hasten it.
    #[error("job {0} is parked until a worker knows its kind and version")]
    Parked(i64),
    /// A rule keeps it back.
    #[error("job {0} is held back by a pause or a limit; change that, and it runs")]
    Held(i64),
    /// It is finished.
    #[error("job {0} is finished")]
    Finished(i64),
    /// It waits, and what waits is not edited.
    #[error("job {0} has not ended; cancel it first, then run it again with another payload")]
    Live(i64),
    /// The payload that it was to be run with cannot be kept.
    #[error("job {0}: {1}")]
    Payload(i64, #[source] EnqueueError),
    /// There is no such batch; it may have been completed long ago.
    #[error("there is no batch {0}")]
    UnknownBatch(i64),
    /// Nothing is left of it to cancel.
    #[error("batch {0} is completed")]
    CompletedBatch(i64),
    /// Another live job has its key.
    #[error("a live job of the same kind has the key of job {0}")]
    KeyTaken(i64),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Runs a finished job again under a new id, or a scheduled one now.
///
/// A dead letter goes on from the progress it had noted; one that was completed starts anew.
pub async fn retry(db: &mut PgConnection, id: i64) -> Result<Act, Refused> {
    let mut tx = deed(db).await?;
    let done = hasten_or_bring_back(&mut tx, id).await;
    end(tx, done).await
}

/// Runs a finished job again under a new id, as `edited` says: in its queue, with its payload, version, key and lane. What the
/// job had noted for its next attempt is of the old payload and is left behind.
pub async fn retry_edited(db: &mut PgConnection, id: i64, edited: Enqueue) -> Result<Act, Refused> {
    let mut tx = deed(db).await?;
    let done = bring_back_edited(&mut tx, id, edited).await;
    end(tx, done).await
}

async fn bring_back_edited(
    db: &mut PgConnection,
    id: i64,
    edited: Enqueue,
) -> Result<Act, Refused> {
    if lock(db, id).await?.is_some() {
        return Err(Refused::Live(id));
    }
    lock_finished(db, id).await?;
    let edited = edited.checked().map_err(|why| Refused::Payload(id, why))?;
    let back: Option<i64> = sqlx::query_scalar(
        r#"
        INSERT INTO queue.job (queue, kind, version, priority, lane, payload, max_attempts, unique_key, trace,
            limit_key, retried_from)
        SELECT $2, $3, $4, priority, $5, $6::text::jsonb, max_attempts, $7, trace, $8, id
        FROM queue.job_history
        WHERE id = $1
        ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING id
        "#,
    )
    .bind(id)
    .bind(edited.queue)
    .bind(edited.kind)
    .bind(edited.version)
    .bind(edited.lane)
    .bind(&edited.payload)
    .bind(&edited.key)
    .bind(&edited.limit_key)
    .fetch_optional(&mut *db)
    .await?;
    let back = back.ok_or(Refused::KeyTaken(id))?;
    forget(db, id).await?;
    Ok(Act::Retried(back))
}

async fn lock_finished(db: &mut PgConnection, id: i64) -> Result<(), Refused> {
    let gone: Option<i64> =
        sqlx::query_scalar("SELECT id FROM queue.job_history WHERE id = $1 FOR UPDATE")
            .bind(id)
            .fetch_optional(db)
            .await?;
    gone.map(drop).ok_or(Refused::Unknown(id))
}

async fn hasten_or_bring_back(db: &mut PgConnection, id: i64) -> Result<Act, Refused> {
    match lock(db, id).await? {
        Some(SCHEDULED) => {
            sqlx::query("UPDATE queue.job SET state = 0, run_at = now() WHERE id = $1")
                .bind(id)
                .execute(db)
                .await?;
            Ok(Act::Hastened)
        }
        Some(RUNNING) => Err(Refused::Running(id)),
        Some(PARKED) => Err(Refused::Parked(id)),
        Some(HELD) => Err(Refused::Held(id)),
        Some(_) => Err(Refused::Ready(id)),
        None => Ok(Act::Retried(bring_back(db, id).await?)),
    }
}

async fn bring_back(db: &mut PgConnection, id: i64) -> Result<i64, Refused> {
    lock_finished(db, id).await?;
    let back: Option<i64> = sqlx::query_scalar(
        r#"
        INSERT INTO queue.job (queue, kind, version, priority, lane, payload, max_attempts, unique_key, trace,
            progress, limit_key, retried_from)
        SELECT queue, kind, version, priority, lane, payload, max_attempts, unique_key, trace,
            CASE WHEN outcome = 'discarded' THEN progress END, limit_key, id
        FROM queue.job_history
        WHERE id = $1
        ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING id
        "#,
    )
    .bind(id)
    .fetch_optional(&mut *db)
    .await?;
    let back = back.ok_or(Refused::KeyTaken(id))?;
    forget(db, id).await?;
    Ok(back)
}

/// Takes a job that waits out of the queue; it is kept as cancelled. One that runs is asked to stop: it is told within a
/// second, and soon after left off where it waits. If it comes to its end before that, it is what it is.
pub async fn cancel(db: &mut PgConnection, id: i64, reason: &str) -> Result<Act, Refused> {
    let mut tx = deed(db).await?;
    let done = call_off(&mut tx, id, reason).await;
    end(tx, done).await
}

async fn call_off(db: &mut PgConnection, id: i64, reason: &str) -> Result<Act, Refused> {
    match lock(db, id).await? {
        Some(RUNNING) => {
            ask_to_stop(db, id, reason).await?;
            return Ok(Act::Cancelling);
        }
        Some(_) => {}
        None if is_finished(db, id).await? => return Err(Refused::Finished(id)),
        None => return Err(Refused::Unknown(id)),
    }
    let ended = take_out(db, &[id], reason).await?;
    batch::note(db, &ended).await?;
    Ok(Act::Cancelled)
}

/// The first reason is kept.
async fn ask_to_stop(db: &mut PgConnection, id: i64, reason: &str) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE queue.job SET cancel_reason = coalesce(cancel_reason, $2) WHERE id = $1 AND lease_by IS NOT NULL",
    )
    .bind(id)
    .bind(reason)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes a job that is not running, history included.
pub async fn delete(db: &mut PgConnection, id: i64) -> Result<Act, Refused> {
    let mut tx = deed(db).await?;
    let done = remove(&mut tx, id).await;
    end(tx, done).await
}

async fn remove(db: &mut PgConnection, id: i64) -> Result<Act, Refused> {
    match lock(db, id).await? {
        Some(RUNNING) => Err(Refused::Running(id)),
        Some(_) => {
            let batch_id: Option<i64> =
                sqlx::query_scalar("DELETE FROM queue.job WHERE id = $1 RETURNING batch_id")
                    .bind(id)
                    .fetch_one(&mut *db)
                    .await?;
            let ended = Ended {
                batch_id,
                ended: 1,
                failed: 0,
                cancelled: 1,
            };
            batch::note(db, &[ended]).await?;
            Ok(Act::Deleted)
        }
        None if forget(db, id).await? => Ok(Act::Deleted),
        None => Err(Refused::Unknown(id)),
    }
}

/// Keeps what was done; of what was refused, lets go of the job before the answer, as a worker passes over a locked one.
async fn end(tx: Transaction<'_, Postgres>, done: Result<Act, Refused>) -> Result<Act, Refused> {
    match done {
        Ok(_) => tx.commit().await?,
        Err(_) => tx.rollback().await?,
    }
    done
}

const SCHEDULED: i16 = 1;
/// Of none that is stored: one that runs is ready and has a lease.
const RUNNING: i16 = -1;
const PARKED: i16 = 3;
const HELD: i16 = 4;

/// The state of a live job, which stays as it is until the transaction ends.
async fn lock(db: &mut PgConnection, id: i64) -> sqlx::Result<Option<i16>> {
    sqlx::query_scalar(
        "SELECT CASE WHEN lease_by IS NULL THEN state ELSE $2 END FROM queue.job WHERE id = $1 FOR UPDATE",
    )
    .bind(id)
    .bind(RUNNING)
    .fetch_optional(db)
    .await
}

async fn is_finished(db: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM queue.job_history WHERE id = $1)")
        .bind(id)
        .fetch_one(db)
        .await
}

async fn forget(db: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let gone = sqlx::query("DELETE FROM queue.job_history WHERE id = $1")
        .bind(id)
        .execute(db)
        .await?;
    Ok(gone.rows_affected() > 0)
}
