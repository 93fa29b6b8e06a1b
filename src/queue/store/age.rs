//! Let those go ahead that have waited for too long.

use std::time::Duration;

use sqlx::PgConnection;

use super::insert::interval;

/// Most priorities that are told apart.
const LEVELS: i64 = 64;

/// Gives jobs that have been ready for `age` the priority of the most urgent ones of their queue, the oldest first and at most
/// `most`: among those they are the first, as they have waited longest. The priority that they were given is theirs again after the
/// attempt. Says how many.
pub(crate) async fn raise(
    db: &mut PgConnection,
    queue: &str,
    age: Duration,
    most: i64,
) -> sqlx::Result<u64> {
    let raised = sqlx::query(
        r#"
        WITH RECURSIVE level AS (
            (SELECT j.priority FROM queue.job j WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL
                ORDER BY j.priority LIMIT 1)
            UNION ALL
            SELECT next.priority FROM level CROSS JOIN LATERAL (
                SELECT j.priority FROM queue.job j
                WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL AND j.priority > level.priority
                ORDER BY j.priority LIMIT 1
            ) next
        ), levels AS MATERIALIZED (SELECT priority, min(priority) OVER () AS first FROM level LIMIT $4)
        UPDATE queue.job
        SET raised_from = coalesce(raised_from, priority), priority = (SELECT min(first) FROM levels)
        WHERE ctid = ANY (ARRAY (
            SELECT old.ctid
            FROM levels CROSS JOIN LATERAL (
                SELECT j.ctid, j.run_at, j.id
                FROM queue.job j
                WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL AND j.priority = levels.priority
                    AND j.run_at < now() - $2::interval
                ORDER BY j.run_at, j.id
                LIMIT $3
                FOR UPDATE SKIP LOCKED
            ) old
            WHERE levels.priority > levels.first
            ORDER BY old.run_at, old.id
            LIMIT $3
        ))
        "#,
    )
    .bind(queue)
    .bind(interval(age))
    .bind(most)
    .bind(LEVELS)
    .execute(db)
    .await?;
    Ok(raised.rows_affected())
}
