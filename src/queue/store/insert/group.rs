//! Jobs of many callers in one statement.

use sqlx::PgConnection;
use uuid::Uuid;

use super::New;
use crate::JobId;

/// Inserts jobs of any kinds that have no key, all or none; gives their ids in the order of the jobs.
///
/// A copy is no faster for so few, and tells no ids. Ids are given out in the order of the rows, so the least of them is
/// that of the first job.
pub(crate) async fn group(
    db: &mut PgConnection,
    new: impl ExactSizeIterator<Item = &New>,
) -> sqlx::Result<Vec<JobId>> {
    let mut rows = Rows::with_capacity(new.len());
    for new in new {
        rows.push(new);
    }
    let mut ids: Vec<JobId> = sqlx::query_scalar(
        r#"
        INSERT INTO queue.job (queue, kind, version, priority, max_attempts, payload, lane, trace, state, run_at,
            limit_key)
        SELECT queue, kind, version, priority, max_attempts, payload::jsonb, lane, trace,
            CASE WHEN run_at > now() THEN 1 ELSE 0 END, run_at, limit_key
        FROM unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[], $5::smallint[], $6::text[], $7::uuid[],
                $8::text[], $9::timestamptz[], $10::bigint[], $11::text[]) WITH ORDINALITY
            AS new (queue, kind, version, priority, max_attempts, payload, lane, trace, at, after, limit_key,
                place)
        CROSS JOIN LATERAL (
            SELECT coalesce(at, now()) + after * interval '1 microsecond' AS run_at
        ) due
        ORDER BY place
        RETURNING id
        "#,
    )
    .bind(rows.queues)
    .bind(rows.kinds)
    .bind(rows.versions)
    .bind(rows.priorities)
    .bind(rows.max_attempts)
    .bind(rows.payloads)
    .bind(rows.lanes)
    .bind(rows.traces)
    .bind(rows.ats)
    .bind(rows.afters)
    .bind(rows.limit_keys)
    .fetch_all(db)
    .await?;
    ids.sort_unstable();
    Ok(ids)
}

/// The same rows by columns.
struct Rows<'a> {
    queues: Vec<&'static str>,
    kinds: Vec<&'static str>,
    versions: Vec<i16>,
    priorities: Vec<i16>,
    max_attempts: Vec<i16>,
    payloads: Vec<&'a str>,
    lanes: Vec<Option<Uuid>>,
    traces: Vec<Option<&'a str>>,
    ats: Vec<Option<chrono::DateTime<chrono::Utc>>>,
    /// In microseconds.
    afters: Vec<i64>,
    limit_keys: Vec<&'a str>,
}

impl<'a> Rows<'a> {
    fn with_capacity(count: usize) -> Self {
        Self {
            queues: Vec::with_capacity(count),
            kinds: Vec::with_capacity(count),
            versions: Vec::with_capacity(count),
            priorities: Vec::with_capacity(count),
            max_attempts: Vec::with_capacity(count),
            payloads: Vec::with_capacity(count),
            lanes: Vec::with_capacity(count),
            traces: Vec::with_capacity(count),
            ats: Vec::with_capacity(count),
            afters: Vec::with_capacity(count),
            limit_keys: Vec::with_capacity(count),
        }
    }

    fn push(&mut self, new: &'a New) {
        self.queues.push(new.queue);
        self.kinds.push(new.kind);
        self.versions.push(new.version);
        self.priorities.push(new.priority);
        self.max_attempts.push(new.max_attempts);
        self.payloads.push(&new.payload);
        self.lanes.push(new.lane);
        self.traces.push(new.trace.as_deref());
        self.ats.push(new.at);
        let after = i64::try_from(new.after.as_micros());
        self.afters.push(after.unwrap_or(i64::MAX));
        self.limit_keys.push(&new.limit_key);
    }
}
