//! Queues, rates, failures and nodes at a glance.

use std::fmt::{self, Display};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{COUNTED_TO, question};

/// A count that stops at [`COUNTED_TO`]: a number up to there, else the text "10,000+".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Counted(pub i64);

impl Counted {
    /// As many of them as somebody asked for at most.
    pub fn at_most(self, most: Option<u64>) -> Self {
        let most = most.map_or(i64::MAX, |most| i64::try_from(most).unwrap_or(i64::MAX));
        Self(self.0.min(most))
    }
}

impl Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            more if more > COUNTED_TO => write!(f, "10,000+"),
            count => write!(f, "{count}"),
        }
    }
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            more if more > COUNTED_TO => serializer.collect_str(self),
            count => serializer.serialize_i64(count),
        }
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Counted {}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Counted {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::OneOfBuilder::new()
            .item(i64::schema())
            .item(String::schema())
            .description(Some("A number up to 10000, else the text `10,000+`"))
            .into()
    }
}

/// A queue at a glance.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueRow {
    /// Its name.
    pub name: String,
    /// Whether its jobs are held back.
    pub paused: bool,
    /// Jobs that wait for a worker.
    pub ready: Counted,
    /// Jobs that wait for their time.
    pub scheduled: Counted,
    /// Jobs that run.
    pub running: Counted,
    /// Jobs that no worker knows.
    pub parked: Counted,
    /// Jobs whose kind or limit key may not start now.
    pub held: Counted,
    /// Most of its jobs that may run at once in all processes together, if that is limited.
    pub max_running: Option<i32>,
    /// For how long the oldest of the counted ready jobs could have run.
    pub oldest_ready_seconds: Option<f64>,
    /// Live nodes that serve it.
    pub nodes: i64,
}

/// Every queue that has jobs, workers or settings, by name.
pub async fn queues(db: &mut PgConnection) -> sqlx::Result<Vec<QueueRow>> {
    let mut tx = question(db).await?;
    sqlx::query_as(
        r#"
        WITH RECURSIVE known AS (
            (SELECT queue AS name FROM queue.job WHERE state = 0 ORDER BY queue LIMIT 1)
            UNION ALL
            SELECT (SELECT j.queue FROM queue.job j WHERE j.state = 0 AND j.queue > known.name
                ORDER BY j.queue LIMIT 1)
            FROM known
            WHERE known.name IS NOT NULL
        ), names AS (
            SELECT name FROM known WHERE name IS NOT NULL
            UNION SELECT queue FROM (SELECT queue FROM queue.job WHERE state <> 0 LIMIT $1) others
            UNION SELECT name FROM queue.rule WHERE scope = 'queue'
            UNION SELECT unnest(queues) FROM queue.node WHERE lease_until > now()
        ), running AS MATERIALIZED (SELECT queue FROM queue.running)
        SELECT n.name, coalesce(q.paused, false) AS paused, ready.count AS ready, scheduled.count AS scheduled,
            running.count AS running, parked.count AS parked, held.count AS held,
            q.max_running,
            extract(epoch FROM now() - ready.oldest)::float8 AS oldest_ready_seconds,
            (SELECT count(*) FROM queue.node w WHERE w.lease_until > now() AND n.name = ANY(w.queues)) AS nodes
        FROM names n
        LEFT JOIN queue.rule q ON q.scope = 'queue' AND q.name = n.name
        CROSS JOIN LATERAL (SELECT count(*), min(run_at) AS oldest FROM
            (SELECT run_at FROM queue.job j WHERE j.queue = n.name AND j.state = 0 AND j.lease_by IS NULL LIMIT $1) j) ready
        CROSS JOIN LATERAL (SELECT count(*) FROM
            (SELECT FROM queue.job j WHERE j.queue = n.name AND j.state = 1 LIMIT $1) j) scheduled
        CROSS JOIN LATERAL (SELECT count(*) FROM
            (SELECT FROM running r WHERE r.queue = n.name LIMIT $1) r) running
        CROSS JOIN LATERAL (SELECT count(*) FROM
            (SELECT FROM queue.job j WHERE j.queue = n.name AND j.state = 3 LIMIT $1) j) parked
        CROSS JOIN LATERAL (SELECT count(*) FROM
            (SELECT FROM queue.job j WHERE j.queue = n.name AND j.state = 4 LIMIT $1) j) held
        ORDER BY n.name
        "#,
    )
    .bind(COUNTED_TO + 1)
    .fetch_all(&mut *tx)
    .await
}

/// Whose work is looked at; what is left out does not limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share<'a> {
    /// Of this queue.
    pub queue: Option<&'a str>,
    /// Of this lane.
    pub lane: Option<Uuid>,
}

/// What came in and went out in one minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MinuteRow {
    /// The minute.
    pub minute: DateTime<Utc>,
    /// Jobs made.
    pub made: i64,
    /// Jobs completed or skipped.
    pub done: i64,
    /// Jobs that ended as dead letters.
    pub discarded: i64,
}

/// The last hour minute by minute, quiet ones included.
///
/// Of a lane its jobs are looked at. Of all of them nothing is: what ended was counted then, and of what has not ended the
/// newest [`COUNTED_TO`] are looked at.
pub async fn rates(db: &mut PgConnection, share: Share<'_>) -> sqlx::Result<Vec<MinuteRow>> {
    let mut tx = question(db).await?;
    let asked = if share.lane.is_some() {
        sqlx::query_as(OF_A_LANE).bind(share.queue).bind(share.lane)
    } else {
        sqlx::query_as(OF_ALL).bind(share.queue).bind(COUNTED_TO)
    };
    asked.fetch_all(&mut *tx).await
}

const OF_ALL: &str = r#"
    WITH hour AS (
        SELECT date_trunc('minute', now()) - interval '59 minutes' AS start
    ), told AS (
        SELECT at AS minute, outcome, count
        FROM queue.tally, hour
        WHERE grain = 'minute' AND at >= start AND ($1::text IS NULL OR queue = $1)
        UNION ALL
        SELECT minute, outcome, count FROM queue.counter, hour
        WHERE minute >= start AND ($1::text IS NULL OR queue = $1)
        UNION ALL
        SELECT made, 'made', count FROM queue.counter, hour
        WHERE made >= start AND ($1::text IS NULL OR queue = $1)
        UNION ALL
        SELECT date_trunc('minute', created_at), 'made', 1
        FROM (SELECT queue, created_at FROM queue.job ORDER BY id DESC LIMIT $2) newest, hour
        WHERE created_at >= start AND ($1::text IS NULL OR queue = $1)
    ), sums AS (
        SELECT minute, sum(count) FILTER (WHERE outcome = 'made') AS made,
            sum(count) FILTER (WHERE outcome IN ('completed', 'skipped')) AS done,
            sum(count) FILTER (WHERE outcome = 'discarded') AS discarded
        FROM told
        GROUP BY minute
    )
    SELECT m.minute, coalesce(made, 0)::bigint AS made, coalesce(done, 0)::bigint AS done,
        coalesce(discarded, 0)::bigint AS discarded
    FROM hour
    CROSS JOIN generate_series(start, start + interval '59 minutes', interval '1 minute') AS m (minute)
    LEFT JOIN sums USING (minute)
    ORDER BY m.minute
"#;

const OF_A_LANE: &str = r#"
    WITH hour AS (
        SELECT date_trunc('minute', now()) - interval '59 minutes' AS start
    ), finished AS (
        SELECT outcome, created_at, date_trunc('minute', finished_at) AS minute
        FROM queue.job_history, hour
        WHERE finished_at >= start AND ($1::text IS NULL OR queue = $1) AND lane = $2::uuid
    ), done AS (
        SELECT minute, count(*) FILTER (WHERE outcome IN ('completed', 'skipped')) AS done,
            count(*) FILTER (WHERE outcome = 'discarded') AS discarded
        FROM finished
        GROUP BY minute
    ), made AS (
        SELECT date_trunc('minute', created_at) AS minute, count(*) AS made
        FROM (
            SELECT created_at FROM finished
            UNION ALL
            SELECT created_at FROM queue.job
            WHERE ($1::text IS NULL OR queue = $1) AND lane = $2::uuid
        ) every, hour
        WHERE created_at >= start
        GROUP BY 1
    )
    SELECT m.minute, coalesce(made, 0) AS made, coalesce(done, 0) AS done, coalesce(discarded, 0) AS discarded
    FROM hour
    CROSS JOIN generate_series(start, start + interval '59 minutes', interval '1 minute') AS m (minute)
    LEFT JOIN done USING (minute)
    LEFT JOIN made USING (minute)
    ORDER BY m.minute
"#;

/// Live jobs that failed and are tried again, of one cause.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailingRow {
    /// The kind of job.
    pub kind: String,
    /// The last error with numbers and ids left out.
    pub fingerprint: String,
    /// How many of those looked at.
    pub count: Counted,
    /// How many lanes they belong to.
    pub lanes: i64,
    /// The most attempts that one of them has made.
    pub attempts: i16,
    /// When the first of them is tried again.
    pub next_at: DateTime<Utc>,
    /// The last one's id.
    pub sample: i64,
}

/// Live jobs whose last attempt failed, of which the newest [`COUNTED_TO`] are looked at, grouped by their error, the most
/// frequent first. Served by `job_failed`.
pub async fn failing(db: &mut PgConnection, share: Share<'_>) -> sqlx::Result<Vec<FailingRow>> {
    let mut tx = question(db).await?;
    sqlx::query_as(
        r#"
        SELECT kind, fingerprint, count(*), count(DISTINCT lane) AS lanes, max(attempt) AS attempts,
            min(run_at) AS next_at, max(id) AS sample
        FROM (
            SELECT id, kind, lane, attempt, run_at, regexp_replace(
                left(errors -> -1 ->> 'error', 200),
                '[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9]+', '#', 'g') AS fingerprint
            FROM queue.job
            WHERE errors <> '[]' AND ($2::text IS NULL OR queue = $2) AND ($3::uuid IS NULL OR lane = $3)
            ORDER BY id DESC
            LIMIT $1
        ) live
        GROUP BY kind, fingerprint
        ORDER BY count(*) DESC, kind, fingerprint
        LIMIT 100
        "#,
    )
    .bind(COUNTED_TO + 1)
    .bind(share.queue)
    .bind(share.lane)
    .fetch_all(&mut *tx)
    .await
}

/// A process that works, or did so within the hour.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeRow {
    /// Its id, one a start.
    pub id: i64,
    /// The machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: i32,
    /// The program's version.
    pub version: String,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Whether its lease holds.
    pub alive: bool,
    /// Whether it said that it ends; one that does not live and did not say so died.
    pub stopped: bool,
    /// Seconds since it renewed its lease.
    pub seen_seconds_ago: f64,
    /// The jobs that it runs.
    pub running: Counted,
}

/// Every node, the live ones first.
pub async fn nodes(db: &mut PgConnection) -> sqlx::Result<Vec<NodeRow>> {
    let mut tx = question(db).await?;
    sqlx::query_as(
        r#"
        SELECT n.id, n.host, n.pid, n.version, n.queues, n.started_at, n.lease_until > now() AS alive,
            n.stopped_at IS NOT NULL AS stopped,
            extract(epoch FROM now() - n.seen_at)::float8 AS seen_seconds_ago,
            (SELECT count(*) FROM (SELECT FROM queue.running r WHERE r.node = n.id LIMIT $1) j)
                AS running
        FROM queue.node n
        ORDER BY alive DESC, n.id
        LIMIT 1000
        "#,
    )
    .bind(COUNTED_TO + 1)
    .fetch_all(&mut *tx)
    .await
}
