//! New rows: one, one with a key, many.

mod copy;
mod group;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::CHANNEL;
use crate::key::Clash;
use crate::{Enqueued, JobId};

pub(crate) use group::group;

/// From so many rows on a copy is faster than a statement, though it takes one more round trip.
const WORTH_A_COPY: usize = 200;
/// Most rows of one statement.
pub(crate) const MOST: usize = 5000;
/// Most jobs of different callers in one statement: more are no faster, and all wait until the last is written.
pub(crate) const MOST_OF_A_GROUP: usize = 500;

/// A row to be.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) queue: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) version: i16,
    pub(crate) priority: i16,
    pub(crate) max_attempts: i16,
    pub(crate) payload: String,
    pub(crate) key: Option<String>,
    pub(crate) lane: Option<Uuid>,
    /// Empty: none.
    pub(crate) limit_key: String,
    pub(crate) at: Option<DateTime<Utc>>,
    pub(crate) after: Duration,
    pub(crate) trace: Option<Arc<str>>,
    pub(crate) batch: Option<i64>,
}

/// Inserts a job without a key; its commit wakes whoever listens, if there is something to tell them.
pub(crate) async fn one(
    db: &mut PgConnection,
    new: &New,
    tell: Option<&str>,
) -> sqlx::Result<JobId> {
    sqlx::query_scalar(
        r#"
        INSERT INTO queue.job (queue, kind, version, priority, max_attempts, payload, lane, trace, state, run_at,
            limit_key, batch_id)
        SELECT $1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, CASE WHEN run_at > now() THEN 1 ELSE 0 END, run_at, $11, $12
        FROM (SELECT coalesce($9::timestamptz, now()) + $10::interval AS run_at) due
        RETURNING id, CASE WHEN $14::text IS NOT NULL THEN pg_notify($13, $14) END
        "#,
    )
    .bind(new.queue)
    .bind(new.kind)
    .bind(new.version)
    .bind(new.priority)
    .bind(new.max_attempts)
    .bind(&new.payload)
    .bind(new.lane)
    .bind(new.trace.as_deref())
    .bind(new.at)
    .bind(interval(new.after))
    .bind(&new.limit_key)
    .bind(new.batch)
    .bind(CHANNEL)
    .bind(tell)
    .fetch_one(db)
    .await
}

/// Inserts a job with a key, or does to the one that has it what `clash` says.
pub(crate) async fn keyed(
    db: &mut PgConnection,
    new: &New,
    clash: Clash,
) -> sqlx::Result<Enqueued> {
    let statement = match clash {
        Clash::Ignore => IGNORE,
        Clash::Replace => REPLACE,
        Clash::Postpone => POSTPONE,
    };
    loop {
        let written: Option<(JobId, bool)> = sqlx::query_as(statement)
            .bind(new.queue)
            .bind(new.kind)
            .bind(new.version)
            .bind(new.priority)
            .bind(new.max_attempts)
            .bind(&new.payload)
            .bind(new.lane)
            .bind(new.trace.as_deref())
            .bind(new.at)
            .bind(interval(new.after))
            .bind(new.key.as_deref())
            .bind(&new.limit_key)
            .bind(new.batch)
            .fetch_optional(&mut *db)
            .await?;
        match written {
            Some((id, true)) => return Ok(Enqueued::New(id)),
            Some((id, false)) => return Ok(Enqueued::Exists(id)),
            None => {}
        }
        // The one that was in the way may be finished by now; then the key is free.
        if let Some(id) = holder(db, new).await? {
            return Ok(Enqueued::Exists(id));
        }
    }
}

const IGNORE: &str = r#"
    INSERT INTO queue.job (queue, kind, version, priority, max_attempts, payload, lane, trace, state, run_at, unique_key,
        limit_key, batch_id)
    SELECT $1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, CASE WHEN run_at > now() THEN 1 ELSE 0 END, run_at, $11, $12, $13
    FROM (SELECT coalesce($9::timestamptz, now()) + $10::interval AS run_at) due
    ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id, true
"#;

const REPLACE: &str = r#"
    INSERT INTO queue.job AS j
        (queue, kind, version, priority, max_attempts, payload, lane, trace, state, run_at, unique_key,
        limit_key, batch_id)
    SELECT $1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, CASE WHEN run_at > now() THEN 1 ELSE 0 END, run_at, $11, $12, $13
    FROM (SELECT coalesce($9::timestamptz, now()) + $10::interval AS run_at) due
    ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL
        DO UPDATE SET payload = excluded.payload, version = excluded.version, limit_key = excluded.limit_key
        WHERE j.lease_by IS NULL
    RETURNING id, xmax = 0
"#;

const POSTPONE: &str = r#"
    INSERT INTO queue.job AS j
        (queue, kind, version, priority, max_attempts, payload, lane, trace, state, run_at, unique_key,
        limit_key, batch_id)
    SELECT $1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, CASE WHEN run_at > now() THEN 1 ELSE 0 END, run_at, $11, $12, $13
    FROM (SELECT coalesce($9::timestamptz, now()) + $10::interval AS run_at) due
    ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL
        DO UPDATE SET payload = excluded.payload, version = excluded.version, limit_key = excluded.limit_key, run_at = excluded.run_at,
            state = CASE WHEN j.state = 3 THEN j.state ELSE excluded.state END
        WHERE j.lease_by IS NULL
    RETURNING id, xmax = 0
"#;

async fn holder(db: &mut PgConnection, new: &New) -> sqlx::Result<Option<JobId>> {
    sqlx::query_scalar("SELECT id FROM queue.job WHERE kind = $1 AND unique_key = $2")
        .bind(new.kind)
        .bind(new.key.as_deref())
        .fetch_optional(db)
        .await
}

/// Inserts jobs of one kind and of one batch or none; those whose key is taken are left out. Says how many were inserted.
pub(crate) async fn many(db: &mut PgConnection, new: Vec<New>) -> sqlx::Result<u64> {
    let Some(first) = new.first() else {
        return Ok(0);
    };
    let keyed = new.iter().any(|new| new.key.is_some());
    if !keyed && new.len() >= WORTH_A_COPY {
        return copy::copy(db, &new).await;
    }
    let statement = if keyed { MANY_KEYED } else { MANY };
    let (queue, kind, version) = (first.queue, first.kind, first.version);
    let (priority, max_attempts) = (first.priority, first.max_attempts);
    let batch = first.batch;
    let mut payloads = Vec::with_capacity(new.len());
    let mut lanes = Vec::with_capacity(new.len());
    let mut keys = Vec::with_capacity(new.len());
    let mut limit_keys = Vec::with_capacity(new.len());
    let mut traces = Vec::with_capacity(new.len());
    for new in new {
        payloads.push(new.payload);
        lanes.push(new.lane);
        keys.push(new.key);
        limit_keys.push(new.limit_key);
        traces.push(new.trace.map(|trace| trace.to_string()));
    }
    let inserted = sqlx::query(statement)
        .bind(queue)
        .bind(kind)
        .bind(version)
        .bind(priority)
        .bind(max_attempts)
        .bind(traces)
        .bind(payloads)
        .bind(lanes)
        .bind(keys)
        .bind(limit_keys)
        .bind(batch)
        .execute(db)
        .await?;
    Ok(inserted.rows_affected())
}

const MANY: &str = r#"
    INSERT INTO queue.job (queue, kind, version, priority, max_attempts, trace, payload, lane, unique_key,
        limit_key, batch_id)
    SELECT $1, $2, $3, $4, $5, trace, payload::jsonb, lane, key, limit_key, $11
    FROM unnest($6::text[], $7::text[], $8::uuid[], $9::text[], $10::text[]) AS new (trace, payload, lane, key, limit_key)
"#;

const MANY_KEYED: &str = r#"
    INSERT INTO queue.job (queue, kind, version, priority, max_attempts, trace, payload, lane, unique_key,
        limit_key, batch_id)
    SELECT $1, $2, $3, $4, $5, trace, payload::jsonb, lane, key, limit_key, $11
    FROM unnest($6::text[], $7::text[], $8::uuid[], $9::text[], $10::text[]) AS new (trace, payload, lane, key, limit_key)
    ON CONFLICT (kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
"#;

/// `wait` as the database has it, to the microsecond.
pub(crate) fn interval(wait: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(wait.as_micros()).unwrap_or(i64::MAX),
    }
}
