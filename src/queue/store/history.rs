//! Finished jobs, kept by the day and forgotten by the day.
//!
//! A row has the result, the error of every attempt and the lines that attempts logged. A day is a partition; what is
//! too old is dropped as a whole, which costs the same for ten rows and ten million.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::insert::interval;
use crate::Job;

/// One day of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Partition {
    /// Its table.
    pub name: String,
    /// How many rows it has, as estimated by the database; -1 if it has not looked yet.
    pub rows: i64,
    /// Its size, indexes included.
    pub bytes: i64,
}

/// Makes the partitions of today and of the `days` after it; says how many were missing.
pub async fn make_partitions(db: &mut PgConnection, days: u16) -> sqlx::Result<i64> {
    let mut tx = short_locks(db).await?;
    let made = sqlx::query_scalar(
        r#"
        SELECT count(*) FILTER (WHERE queue.make_history_partition(today.day + ahead))
        FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS day) today, generate_series(0, $1) ahead
        "#,
    )
    .bind(i32::from(days))
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(made)
}

/// Drops the days that ended more than `keep` days before today; names their tables.
pub async fn drop_older(db: &mut PgConnection, keep: u16) -> sqlx::Result<Vec<String>> {
    let mut tx = short_locks(db).await?;
    let dropped = sqlx::query_scalar(
        "SELECT queue.drop_history_before((now() AT TIME ZONE 'UTC')::date - $1::int)",
    )
    .bind(i32::from(keep))
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(dropped)
}

/// Every partition, oldest first.
pub async fn partitions(db: &mut PgConnection) -> sqlx::Result<Vec<Partition>> {
    sqlx::query_as(
        r#"
        SELECT c.relname::text AS name, c.reltuples::bigint AS rows, pg_total_relation_size(c.oid) AS bytes
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'queue.job_history'::regclass
        ORDER BY c.relname
        "#,
    )
    .fetch_all(db)
    .await
}

/// Which of these jobs, in their order, somebody cancelled within so long: the last of their kind and key ended so, and no
/// other waits or runs. It reads all that has finished in that time.
pub async fn were_cancelled<J: Job>(
    db: &mut PgConnection,
    jobs: &[J],
    within: Duration,
) -> sqlx::Result<Vec<bool>> {
    let keys: Vec<Option<String>> = jobs
        .iter()
        .map(|job| job.key().map(|key| key.text))
        .collect();
    let cancelled: HashSet<String> = sqlx::query_scalar(
        r#"
        SELECT last.unique_key
        FROM (
            SELECT DISTINCT ON (unique_key) unique_key, outcome
            FROM queue.job_history
            WHERE finished_at >= now() - $3::interval AND kind = $1 AND unique_key = ANY ($2)
            ORDER BY unique_key, id DESC
        ) last
        WHERE last.outcome = 'cancelled'
            AND NOT EXISTS (SELECT FROM queue.job j WHERE j.kind = $1 AND j.unique_key = last.unique_key)
        "#,
    )
    .bind(J::NAME)
    .bind(&keys)
    .bind(interval(within))
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    let was = |key: &Option<String>| key.as_ref().is_some_and(|key| cancelled.contains(key));
    Ok(keys.iter().map(was).collect())
}

/// A transaction that gives up rather than make those who finish jobs queue behind it.
async fn short_locks(db: &mut PgConnection) -> sqlx::Result<sqlx::Transaction<'_, sqlx::Postgres>> {
    let mut tx = db.begin().await?;
    sqlx::query("SET LOCAL lock_timeout = '2s'")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}
