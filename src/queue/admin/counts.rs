//! How many jobs ended, without looking at them.

use serde::Serialize;
use sqlx::PgConnection;

use super::question;

/// What ended in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndedRow {
    /// The queue.
    pub queue: String,
    /// `completed`, `skipped`, `discarded` or `cancelled`.
    pub outcome: String,
    /// In the minute that runs and the sixty before it.
    pub last_hour: i64,
    /// In the hour that runs and the twenty-four before it.
    pub last_day: i64,
    /// Ever since the queue was made, also of those whose history is gone.
    pub ever: i64,
}

/// What ended in each queue, by outcome. Its cost grows with the number of queues and not with that of jobs.
pub async fn ended(db: &mut PgConnection) -> sqlx::Result<Vec<EndedRow>> {
    let mut tx = question(db).await?;
    sqlx::query_as(
        r#"
        SELECT queue, outcome,
            coalesce(sum(count) FILTER (WHERE at >= date_trunc('minute', now()) - interval '60 minutes'
                AND grain = 'minute'), 0)::bigint AS last_hour,
            coalesce(sum(count) FILTER (WHERE at >= date_trunc('hour', now(), 'UTC') - interval '24 hours'), 0)::bigint
                AS last_day,
            sum(count)::bigint AS ever
        FROM (
            SELECT grain, at, queue, outcome, count FROM queue.tally WHERE outcome <> 'made'
            UNION ALL
            SELECT 'minute', minute, queue, outcome, count FROM queue.counter
        ) told
        GROUP BY queue, outcome
        ORDER BY queue, outcome
        "#,
    )
    .fetch_all(&mut *tx)
    .await
}
