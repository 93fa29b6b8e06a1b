//! Every statement on the queue's tables that is not a question of people: one function a statement.

pub(crate) mod age;
pub(crate) mod batch;
pub(crate) mod claim;
pub(crate) mod count;
pub(crate) mod front;
pub mod history;
pub(crate) mod insert;
pub(crate) mod node;
pub(crate) mod recall;
pub(crate) mod ruled;
pub(crate) mod settle;
pub(crate) mod turns;

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::JobId;

/// Where wake-ups are sent.
pub(crate) const CHANNEL: &str = "leadmill_queue";
/// Most rows that one statement makes ready.
pub(crate) const MOST_PROMOTED: i64 = 1000;

/// The longest that a job is made to wait, ten years: with a longer wait its time would be one that the database cannot tell.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// How a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Holds,
    Gone,
    /// It holds, and the job is to stop.
    Cancelled,
}

/// Makes a connection one for inserts that are always planned the same way, and that does not wait for ever.
pub(crate) async fn set_up_for_inserts(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "SET jit = off; SET plan_cache_mode = force_generic_plan; SET statement_timeout = '30s'",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Holds a running job for the transaction if it is still of this claim.
pub(crate) async fn lock_claim(
    db: &mut PgConnection,
    job: JobId,
    epoch: i32,
) -> sqlx::Result<Claim> {
    let cancelled: Option<bool> = sqlx::query_scalar(
        r#"
        SELECT cancel_reason IS NOT NULL
        FROM queue.job
        WHERE id = $1 AND epoch = $2 AND lease_by IS NOT NULL
        FOR UPDATE
        "#,
    )
    .bind(job)
    .bind(epoch)
    .fetch_optional(db)
    .await?;
    Ok(match cancelled {
        Some(false) => Claim::Holds,
        Some(true) => Claim::Cancelled,
        None => Claim::Gone,
    })
}

/// Takes the key from a job; `false` if the claim is gone.
pub(crate) async fn release_key(
    db: &mut PgConnection,
    job: JobId,
    epoch: i32,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE queue.job SET unique_key = NULL WHERE id = $1 AND epoch = $2 AND lease_by IS NOT NULL",
    )
    .bind(job)
    .bind(epoch)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps what a job noted for its next attempt; `false` if the claim is gone.
pub(crate) async fn note_progress(
    db: &mut PgConnection,
    job: JobId,
    epoch: i32,
    progress: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE queue.job SET progress = $3::text::jsonb WHERE id = $1 AND epoch = $2 AND lease_by IS NOT NULL",
    )
    .bind(job)
    .bind(epoch)
    .bind(progress)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Wakes whoever listens, in one round trip: until it is made, nobody begins.
///
/// The commit need not reach the disk: what it says is not worth more than the moment.
pub(crate) async fn notify(pool: &PgPool, sender: &str) -> sqlx::Result<()> {
    sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(sender)
        .execute(pool)
        .await?;
    Ok(())
}
