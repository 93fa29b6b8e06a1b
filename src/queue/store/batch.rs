//! What is counted of a batch, and the job that is left when none of its jobs remains.
//!
//! Whoever ends jobs locks their rows first and the batches' after them, those in the order of their ids: so nobody waits
//! for someone who waits for them. Who adds to an open batch locks it against its sealing only.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Jobs that were moved to the history at once, of one batch or of none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Ended {
    pub(crate) batch_id: Option<i64>,
    pub(crate) ended: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
}

impl Ended {
    /// How many jobs these are together.
    pub(crate) fn count(all: &[Self]) -> u64 {
        all.iter().map(|ended| ended.ended.unsigned_abs()).sum()
    }
}

/// Tells the batches of their jobs' end, in the transaction in which these ended; says how many batches that completed.
pub(crate) async fn note(db: &mut PgConnection, all: &[Ended]) -> sqlx::Result<usize> {
    let mut sums: BTreeMap<i64, Ended> = BTreeMap::new();
    for part in all {
        let Some(batch) = part.batch_id else { continue };
        let sum = sums.entry(batch).or_default();
        sum.ended += part.ended;
        sum.failed += part.failed;
        sum.cancelled += part.cancelled;
    }
    if sums.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = sums.keys().copied().collect();
    if ids.len() > 1 {
        lock_in_order(db, &ids).await?;
    }
    let of = |part: fn(&Ended) -> i64| sums.values().map(part).collect::<Vec<i64>>();
    let none_remain: Vec<i64> = sqlx::query_scalar(
        r#"
        WITH told AS (
            UPDATE queue.batch b
            SET remaining = b.remaining - n.ended, failed = b.failed + n.failed, cancelled = b.cancelled + n.cancelled
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (id, ended, failed, cancelled)
            WHERE b.id = n.id AND b.id = ANY ($1)
            RETURNING b.id, b.remaining <= 0 AND b.sealed_at IS NOT NULL AND b.completed_at IS NULL AS none_remain
        )
        SELECT id FROM told WHERE none_remain ORDER BY id
        "#,
    )
    .bind(&ids)
    .bind(of(|sum| sum.ended))
    .bind(of(|sum| sum.failed))
    .bind(of(|sum| sum.cancelled))
    .fetch_all(&mut *db)
    .await?;
    for batch in &none_remain {
        complete(db, *batch).await?;
    }
    Ok(none_remain.len())
}

async fn lock_in_order(db: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query("SELECT FROM queue.batch WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(ids)
        .execute(db)
        .await?;
    Ok(())
}

/// Leaves the job that was to come after the batch, once; a live job that has its key will do.
///
/// The payload is taken as it is: as a field of a record, a `null` would be none.
async fn complete(db: &mut PgConnection, batch: i64) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        WITH made AS (
            INSERT INTO queue.job (queue, kind, version, priority, max_attempts, payload, lane, trace, unique_key,
                limit_key)
            SELECT o.queue, o.kind, o.version, o.priority, o.max_attempts, b.on_complete -> 'payload', o.lane, o.trace,
                o.unique_key, coalesce(o.limit_key, '')
            FROM queue.batch b
            CROSS JOIN LATERAL jsonb_to_record(b.on_complete) AS o (queue text, kind text, version smallint,
                priority smallint, max_attempts smallint, lane uuid, trace text, unique_key text, limit_key text)
            WHERE b.id = $1 AND b.completed_at IS NULL AND b.on_complete IS NOT NULL
            ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
            RETURNING id
        )
        UPDATE queue.batch
        SET completed_at = now(), completed_job = (SELECT id FROM made)
        WHERE id = $1 AND completed_at IS NULL
        "#,
    )
    .bind(batch)
    .execute(db)
    .await?;
    Ok(())
}

/// Makes an open batch without jobs.
pub(crate) async fn open(
    db: &mut PgConnection,
    name: &str,
    lane: Option<Uuid>,
    on_complete: Option<&Value>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO queue.batch (name, lane, on_complete) VALUES ($1, $2, $3) RETURNING id",
    )
    .bind(name)
    .bind(lane)
    .bind(on_complete)
    .fetch_one(db)
    .await
}

/// Keeps a batch open until the transaction ends; `false` if it is not open.
pub(crate) async fn hold_open(db: &mut PgConnection, batch: i64) -> sqlx::Result<bool> {
    let open =
        sqlx::query("SELECT FROM queue.batch WHERE id = $1 AND sealed_at IS NULL FOR KEY SHARE")
            .bind(batch)
            .execute(db)
            .await?;
    Ok(open.rows_affected() == 1)
}

/// Notes that so many jobs were added.
pub(crate) async fn add(db: &mut PgConnection, batch: i64, added: u64) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO queue.batch_addition (batch_id, added) VALUES ($1, $2)")
        .bind(batch)
        .bind(i64::try_from(added).unwrap_or(i64::MAX))
        .execute(db)
        .await?;
    Ok(())
}

/// One of its jobs, which runs, adds one more, whether the batch is sealed or not; `false` if it has completed.
pub(crate) async fn add_beside(db: &mut PgConnection, batch: i64) -> sqlx::Result<bool> {
    let added = sqlx::query(
        r#"
        UPDATE queue.batch
        SET total = total + 1, remaining = remaining + 1
        WHERE id = $1 AND completed_at IS NULL
        "#,
    )
    .bind(batch)
    .execute(db)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// The one that was to be added beside another was there already.
pub(crate) async fn take_back(db: &mut PgConnection, batch: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE queue.batch SET total = total - 1, remaining = remaining - 1 WHERE id = $1",
    )
    .bind(batch)
    .execute(db)
    .await?;
    Ok(())
}

/// Has another job come after an open batch; `false` if it is not open.
pub(crate) async fn set_on_complete(
    db: &mut PgConnection,
    batch: i64,
    on_complete: &Value,
) -> sqlx::Result<bool> {
    let set =
        sqlx::query("UPDATE queue.batch SET on_complete = $2 WHERE id = $1 AND sealed_at IS NULL")
            .bind(batch)
            .bind(on_complete)
            .execute(db)
            .await?;
    Ok(set.rows_affected() == 1)
}

/// Closes a batch, after everybody who is adding to it has committed; it completes if nothing remains. `false` if it was
/// not open.
pub(crate) async fn seal(db: &mut PgConnection, batch: i64) -> sqlx::Result<bool> {
    let open =
        sqlx::query("SELECT FROM queue.batch WHERE id = $1 AND sealed_at IS NULL FOR UPDATE")
            .bind(batch)
            .execute(&mut *db)
            .await?;
    if open.rows_affected() == 0 {
        return Ok(false);
    }
    let none_remain: bool = sqlx::query_scalar(
        r#"
        WITH added AS (
            DELETE FROM queue.batch_addition WHERE batch_id = $1 RETURNING added
        ), sum AS (
            SELECT coalesce(sum(added), 0)::bigint AS added FROM added
        )
        UPDATE queue.batch b
        SET total = b.total + sum.added, remaining = b.remaining + sum.added, sealed_at = now()
        FROM sum
        WHERE b.id = $1
        RETURNING b.remaining <= 0
        "#,
    )
    .bind(batch)
    .fetch_one(&mut *db)
    .await?;
    if none_remain {
        complete(db, batch).await?;
    }
    Ok(true)
}

/// Forgets batches that completed more than so many days ago: they go with the history of their jobs.
pub(crate) async fn forget(db: &mut PgConnection, keep_days: u16) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        r#"
        DELETE FROM queue.batch
        WHERE completed_at < now() - make_interval(days => $1)
        "#,
    )
    .bind(i32::from(keep_days))
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
