//! Schedules whose past is made up.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// What time it is.
pub(in crate::chaos) async fn now(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT now()").fetch_one(db).await
}

/// Makes every process look as if it had been away since before `due`.
pub(in crate::chaos) async fn rewind(
    db: &mut PgConnection,
    names: &[String],
    due: &[DateTime<Utc>],
) -> sqlx::Result<u64> {
    let rewound = sqlx::query(
        r#"
        UPDATE queue.schedule s
        SET next_due = past.due
        FROM unnest($1::text[], $2::timestamptz[]) AS past (name, due)
        WHERE s.name = past.name
        "#,
    )
    .bind(names)
    .bind(due)
    .execute(db)
    .await?;
    Ok(rewound.rows_affected())
}

/// The ticks of a schedule, in order.
pub(in crate::chaos) async fn ticks(
    db: &mut PgConnection,
    name: &str,
) -> sqlx::Result<Vec<DateTime<Utc>>> {
    sqlx::query_scalar("SELECT due_at FROM queue.schedule_tick WHERE name = $1 ORDER BY due_at")
        .bind(name)
        .fetch_all(db)
        .await
}

/// The nominal times of the jobs that a schedule enqueued, in order.
pub(in crate::chaos) async fn jobs(
    db: &mut PgConnection,
    name: &str,
) -> sqlx::Result<Vec<DateTime<Utc>>> {
    sqlx::query_scalar(
        r#"
        SELECT (payload ->> 'due')::timestamptz AS due
        FROM queue.job
        WHERE kind = 'chaos_day' AND payload ->> 'schedule' = $1
        ORDER BY due
        "#,
    )
    .bind(name)
    .fetch_all(db)
    .await
}
