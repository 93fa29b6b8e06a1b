//! Jobs, page by page, and one job whole.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::question;

/// Longest page.
const MOST: i64 = 200;

/// Which jobs to list; what is left out does not limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// List finished jobs instead of live ones.
    pub finished: bool,
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// `ready`, `scheduled`, `running`, `parked`, `held`; of finished ones the outcome.
    pub state: Option<String>,
    /// Of this lane.
    pub lane: Option<Uuid>,
    /// How many at most.
    pub limit: Option<i64>,
}

/// The states of live jobs.
pub const LIVE_STATES: [&str; 5] = ["ready", "scheduled", "running", "parked", "held"];
/// The states in which finished jobs are kept.
pub const FINISHED_STATES: [&str; 4] = ["completed", "skipped", "discarded", "cancelled"];

impl Filter {
    /// Whether there can be jobs in the state that it names, or what is wrong with it.
    pub fn check_state(&self) -> Result<(), String> {
        let known: &[&str] = if self.finished {
            &FINISHED_STATES
        } else {
            &LIVE_STATES
        };
        match self.state.as_deref() {
            Some(state) if !known.contains(&state) => {
                Err(format!("{state} is none of {}", known.join(", ")))
            }
            _ => Ok(()),
        }
    }
}

/// Where a page ends and the next one starts.
///
/// Written as the two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(DateTime<Utc>, i64)", into = "(DateTime<Utc>, i64)")]
pub struct Cursor {
    /// When the last job of the page was made, or finished.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: i64,
}

impl From<(DateTime<Utc>, i64)> for Cursor {
    fn from((at, id): (DateTime<Utc>, i64)) -> Self {
        Self { at, id }
    }
}

impl From<Cursor> for (DateTime<Utc>, i64) {
    fn from(cursor: Cursor) -> Self {
        (cursor.at, cursor.id)
    }
}

/// A page of jobs, newest first: those made last, of dead letters those that died last.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// The jobs.
    pub items: Vec<JobRow>,
    /// Where the next page starts, if there may be one.
    pub next: Option<Cursor>,
}

/// A job in a list.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobRow {
    /// Its id.
    pub id: i64,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Its state, or its outcome once it is finished.
    pub state: String,
    /// Its lane.
    pub lane: Option<Uuid>,
    /// Lower runs first.
    pub priority: i16,
    /// How often it was begun.
    pub attempt: i16,
    /// How often it may be begun.
    pub max_attempts: i16,
    /// When it may run; of finished ones `None`.
    pub run_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// A job with all that is known of it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobDetail {
    /// What a list says of it.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub job: JobRow,
    /// Version of its payload.
    pub version: i16,
    /// Its payload.
    pub payload: Value,
    /// The key that no other live job of its kind has.
    pub unique_key: Option<String>,
    /// The trace it belongs to.
    pub trace: Option<String>,
    /// What it noted for its next attempt.
    pub progress: Option<Value>,
    /// Each failed attempt: number, time, error, node.
    pub errors: Value,
    /// Lines that its attempts wrote.
    pub log: Value,
    /// The finished job that it repeats.
    pub retried_from: Option<i64>,
    /// The node that runs it.
    pub node: Option<i64>,
    /// Why it was skipped, discarded or cancelled; of a running one, why it is to stop.
    pub reason: Option<String>,
    /// What it gave back.
    pub result: Option<Value>,
}

/// A page of jobs after `cursor`.
pub async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    cursor: Option<Cursor>,
) -> sqlx::Result<Listing> {
    let limit = filter.limit.unwrap_or(50).clamp(1, MOST);
    let mut tx = question(db).await?;
    let statement = match filter.state.as_deref() {
        Some("discarded") if filter.finished => DISCARDED,
        _ if filter.finished => FINISHED,
        _ => LIVE,
    };
    let mut items: Vec<JobRow> = sqlx::query_as(statement)
        .bind(&filter.queue)
        .bind(&filter.kind)
        .bind(&filter.state)
        .bind(filter.lane)
        .bind(cursor.map(|cursor| cursor.at))
        .bind(cursor.map(|cursor| cursor.id))
        .bind(limit + 1)
        .fetch_all(&mut *tx)
        .await?;
    let more = items.len() > usize::try_from(limit).unwrap_or_default();
    if more {
        items.pop();
    }
    let last = items.last().filter(|_| more);
    let next = last.map(|job| Cursor {
        at: job.finished_at.unwrap_or(job.created_at),
        id: job.id,
    });
    Ok(Listing { items, next })
}

/// Live ones go by id, which grows as they are made.
const LIVE: &str = r#"
    SELECT id, queue, kind, queue.state_name(state, lease_by) AS state, lane, priority,
        attempt, max_attempts, run_at, created_at, started_at, NULL::timestamptz AS finished_at,
        errors -> -1 ->> 'error' AS last_error
    FROM queue.job
    WHERE ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR kind = $2)
        AND ($3::text IS NULL OR queue.state_name(state, lease_by) = $3)
        AND ($4::uuid IS NULL OR lane = $4)
        AND ($5::timestamptz IS NULL OR id < $6::bigint)
    ORDER BY id DESC
    LIMIT $7
"#;

/// Finished ones do so too: of most, no index has the time at which they were finished.
const FINISHED: &str = r#"
    SELECT id, queue, kind, outcome AS state, lane, priority, attempt, max_attempts, NULL::timestamptz AS run_at,
        created_at, started_at, finished_at, errors -> -1 ->> 'error' AS last_error
    FROM queue.job_history
    WHERE ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR kind = $2)
        AND ($3::text IS NULL OR outcome = $3) AND ($4::uuid IS NULL OR lane = $4)
        AND ($5::timestamptz IS NULL OR id < $6::bigint)
    ORDER BY id DESC
    LIMIT $7
"#;

/// Dead letters go by the time at which they died.
const DISCARDED: &str = r#"
    SELECT id, queue, kind, outcome AS state, lane, priority, attempt, max_attempts, NULL::timestamptz AS run_at,
        created_at, started_at, finished_at, errors -> -1 ->> 'error' AS last_error
    FROM queue.job_history
    WHERE ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR kind = $2)
        AND outcome = $3 AND ($4::uuid IS NULL OR lane = $4)
        AND ($5::timestamptz IS NULL OR (finished_at, id) < ($5, $6::bigint))
    ORDER BY finished_at DESC, id DESC
    LIMIT $7
"#;

/// One job, live or finished.
pub async fn show(db: &mut PgConnection, id: i64) -> sqlx::Result<Option<JobDetail>> {
    let mut tx = question(db).await?;
    sqlx::query_as(
        r#"
        SELECT id, queue, kind, queue.state_name(state, lease_by) AS state, lane, priority,
            attempt, max_attempts, run_at, created_at, started_at, NULL::timestamptz AS finished_at,
            errors -> -1 ->> 'error' AS last_error, version, payload, unique_key, trace, progress, errors, log,
            retried_from, lease_by AS node, cancel_reason AS reason, NULL::jsonb AS result
        FROM queue.job
        WHERE id = $1
        UNION ALL
        SELECT id, queue, kind, outcome, lane, priority,
            attempt, max_attempts, NULL, created_at, started_at, finished_at,
            errors -> -1 ->> 'error', version, payload, unique_key, trace, progress, errors, log,
            retried_from, NULL, reason, result
        FROM queue.job_history
        WHERE id = $1
        LIMIT 1
        "#,
    )
    .bind(id)
    .fetch_optional(&mut *tx)
    .await
}
