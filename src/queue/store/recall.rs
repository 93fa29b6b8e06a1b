//! Look at every job for such as run nowhere and of which no claim tells. There are none unless rows were taken away by hand or
//! by a mistake, and nothing else would find them.
//!
//! The look goes from step to step along the ids, so that no statement reads the whole table. How far it has come is a row,
//! held by whoever makes the step: one process at a time does, and the next one goes on where it was left off.

use std::time::Duration;

use sqlx::PgConnection;

use super::insert::interval;

/// So many jobs are looked at in a step.
pub(crate) const STEP: i64 = 10_000;

/// Where the next step begins: after this job. `None` if the last look is younger than `every`, or somebody else makes a
/// step. The row is held until the transaction ends.
pub(crate) async fn begin(db: &mut PgConnection, every: Duration) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        r#"
        SELECT position
        FROM queue.recall
        WHERE position > 0 OR done_at < now() - $1::interval
        FOR UPDATE SKIP LOCKED
        "#,
    )
    .bind(interval(every))
    .fetch_optional(db)
    .await
}

/// The look has come up to this job, or to its end.
pub(crate) async fn note(db: &mut PgConnection, last: Option<i64>) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE queue.recall
        SET position = coalesce($1, 0), done_at = CASE WHEN $1 IS NULL THEN now() ELSE done_at END
        "#,
    )
    .bind(last)
    .execute(db)
    .await?;
    Ok(())
}

/// What a step came to.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Step {
    /// The last job that was looked at, if there was one.
    pub(crate) last: Option<i64>,
    /// Claims that are told of now.
    pub(crate) told: i64,
}

/// Looks at the next `most` jobs after `position` and tells of those that a node has that no longer lives, and that no claim
/// names.
pub(crate) async fn step(db: &mut PgConnection, position: i64, most: i64) -> sqlx::Result<Step> {
    sqlx::query_as(
        r#"
        WITH looked_at AS MATERIALIZED (
            SELECT id, lease_by, started_at FROM queue.job WHERE id > $1 ORDER BY id LIMIT $2
        ), untold AS (
            SELECT j.id, j.lease_by, j.started_at,
                row_number() OVER (PARTITION BY j.lease_by, j.started_at ORDER BY j.id) / 500 AS part
            FROM looked_at j
            WHERE j.lease_by IS NOT NULL
                AND j.lease_by <> ALL (ARRAY (SELECT id FROM queue.node WHERE lease_until > now()))
                AND NOT EXISTS (
                    SELECT FROM queue.claim c WHERE c.node = j.lease_by AND c.at = j.started_at AND j.id = ANY (c.jobs)
                )
        ), told AS (
            INSERT INTO queue.claim (node, number, at, jobs)
            SELECT lease_by, -min(id), started_at, array_agg(id)
            FROM untold
            GROUP BY lease_by, started_at, part
            ON CONFLICT (node, number) DO NOTHING
            RETURNING number
        )
        SELECT (SELECT max(id) FROM looked_at) AS last, (SELECT count(*) FROM told) AS told
        "#,
    )
    .bind(position)
    .bind(most)
    .fetch_one(db)
    .await
}
