//! Take jobs that are due, for a node whose lease holds.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::MOST_PROMOTED;
use super::ruled::Start;
use crate::ruled::Way;
use crate::{BatchId, JobId};

/// A job that this process may run, under the epoch of its claim.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) id: JobId,
    pub(crate) epoch: i32,
    pub(crate) queue: Arc<str>,
    pub(crate) kind: String,
    pub(crate) version: i16,
    pub(crate) priority: i16,
    /// The how manieth attempt this claim is.
    pub(crate) attempt: i16,
    pub(crate) max_attempts: i16,
    pub(crate) lane: Option<Uuid>,
    pub(crate) payload: String,
    pub(crate) trace: Option<String>,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
    /// What an attempt before it noted, as JSON.
    pub(crate) progress: Option<String>,
    /// The batch that it is part of.
    pub(crate) batch: Option<BatchId>,
    /// How long it took to find the jobs of this claim.
    pub(crate) search: Duration,
    pub(crate) receipt: Receipt,
}

/// Names the row that tells of all jobs of a claim; it is removed when none of them runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Receipt {
    pub(crate) node: i64,
    pub(crate) number: i64,
}

impl Receipt {
    /// For a claim of this node.
    pub(super) fn next(node: i64) -> Self {
        static NUMBER: AtomicI64 = AtomicI64::new(1);
        Self {
            node,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// The place of a job in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    priority: i16,
    run_at: DateTime<Utc>,
    id: i64,
}

impl Position {
    /// Before every job.
    const START: Self = Self {
        priority: i16::MIN,
        run_at: DateTime::UNIX_EPOCH,
        id: 0,
    };

    /// The place of the first job that was to run so much earlier.
    pub(crate) fn earlier(self, by: TimeDelta) -> Self {
        Self {
            run_at: self.run_at - by,
            id: 0,
            ..self
        }
    }

    #[cfg(test)]
    pub(crate) fn new(priority: i16, run_at: DateTime<Utc>, id: i64) -> Self {
        Self {
            priority,
            run_at,
            id,
        }
    }
}

impl Claimed {
    /// Its place in its queue.
    pub(crate) fn position(&self) -> Position {
        Position {
            priority: self.priority,
            run_at: self.run_at,
            id: self.id.0,
        }
    }
}

/// How many jobs of which queue are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) queue: Arc<str>,
    pub(crate) most: usize,
    /// Most jobs of each lane where lanes take turns, if it is for those of which there may be nothing here.
    pub(crate) each: Option<NonZeroUsize>,
    /// Only jobs behind this one.
    ///
    /// What was claimed stays in the index while it runs and until it is vacuumed, and a claim from the start goes over all
    /// of it.
    pub(crate) after: Option<Position>,
    /// How rules bear on the queue, if any do.
    pub(crate) way: Option<Way>,
    /// Where a claim under rules starts to look.
    pub(crate) start: Start,
    /// The lanes of the jobs that the node runs there, each as often as it has some, if that is known better than to the
    /// database.
    pub(crate) running: Option<Vec<Uuid>>,
}

impl Want {
    /// The most jobs of each lane, as a statement is told.
    pub(super) fn most_of_each(&self) -> Option<i64> {
        self.each.and_then(|each| i64::try_from(each.get()).ok())
    }

    /// Whether something is limited there.
    pub(crate) fn is_limited(&self) -> bool {
        self.way.is_some_and(|way| way.limited)
    }

    /// The first `most` jobs of a queue.
    pub(crate) fn first(queue: Arc<str>, most: usize) -> Self {
        Self {
            queue,
            most,
            each: None,
            after: None,
            way: None,
            start: Start::default(),
            running: None,
        }
    }
}

/// Claims the first jobs that are ready in each queue that no rule bears on, in the order in which they are to run.
///
/// Rows are found along `job_claim` and updated by their place, so that no plan reads the whole table. What an update
/// changes is in no index, so the new version stands beside the old one and no index is written; that the jobs run is told
/// by a row of `queue.claim`. Kinds in `not`, written as `kind@version`, are passed over.
pub(crate) async fn claim(
    db: &mut PgConnection,
    node: i64,
    wants: &[Want],
    not: &[String],
) -> sqlx::Result<Vec<Claimed>> {
    let queues: Vec<&str> = wants.iter().map(|want| &*want.queue).collect();
    let most: Vec<i32> = wants
        .iter()
        .map(|want| i32::try_from(want.most).unwrap_or(i32::MAX))
        .collect();
    let after = || {
        wants
            .iter()
            .map(|want| want.after.unwrap_or(Position::START))
    };
    let priorities: Vec<i16> = after().map(|after| after.priority).collect();
    let run_ats: Vec<DateTime<Utc>> = after().map(|after| after.run_at).collect();
    let ids: Vec<i64> = after().map(|after| after.id).collect();
    let receipt = Receipt::next(node);
    let rows = sqlx::query(
        r#"
        WITH found AS MATERIALIZED (
            SELECT array_agg(ready.ctid) AS places, array_agg(ready.id) AS jobs,
                (extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000000)::bigint AS search
            FROM unnest($2::text[], $3::int[], $5::smallint[], $6::timestamptz[], $7::bigint[])
                AS want (queue, most, priority, run_at, id)
            CROSS JOIN LATERAL (
                SELECT j.ctid, j.id
                FROM queue.job j
                WHERE j.queue = want.queue AND j.state = 0 AND j.lease_by IS NULL
                    AND (j.priority, j.run_at, j.id) > (want.priority, want.run_at, want.id)
                    AND (cardinality($4::text[]) = 0 OR (j.kind || '@' || j.version) <> ALL ($4::text[]))
                ORDER BY j.priority, j.run_at, j.id
                LIMIT want.most
                FOR UPDATE SKIP LOCKED
            ) ready
            WHERE NOT EXISTS (SELECT FROM queue.rule r WHERE r.scope <> 'queue' OR r.name = want.queue)
                AND EXISTS (SELECT FROM queue.node n WHERE n.id = $1 AND n.lease_until > now())
        ), noted AS (
            INSERT INTO queue.claim (node, number, jobs) SELECT $1, $8, jobs FROM found WHERE jobs IS NOT NULL
        )
        UPDATE queue.job
        SET attempt = attempt + 1, epoch = epoch + 1, lease_by = $1, started_at = now()
        WHERE ctid = ANY ((SELECT places FROM found)::tid[])
        RETURNING id, epoch, queue, kind, version, priority, attempt, max_attempts, lane, payload::text, trace, run_at,
            created_at, progress::text, batch_id, (SELECT search FROM found)
        "#,
    )
    .bind(node)
    .bind(queues)
    .bind(most)
    .bind(not)
    .bind(priorities)
    .bind(run_ats)
    .bind(ids)
    .bind(receipt.number)
    .fetch_all(db)
    .await?;
    let mut claimed = rows
        .into_iter()
        .map(|row| read(&row, wants, receipt))
        .collect::<sqlx::Result<Vec<_>>>()?;
    claimed.sort_unstable_by_key(Claimed::position);
    Ok(claimed)
}

pub(super) fn read(row: &PgRow, wants: &[Want], receipt: Receipt) -> sqlx::Result<Claimed> {
    let queue: &str = row.try_get(2)?;
    let queue = wants
        .iter()
        .find(|want| &*want.queue == queue)
        .map_or_else(|| Arc::from(queue), |want| want.queue.clone());
    Ok(Claimed {
        id: row.try_get(0)?,
        epoch: row.try_get(1)?,
        queue,
        kind: row.try_get(3)?,
        version: row.try_get(4)?,
        priority: row.try_get(5)?,
        attempt: row.try_get(6)?,
        max_attempts: row.try_get(7)?,
        lane: row.try_get(8)?,
        payload: row.try_get(9)?,
        trace: row.try_get(10)?,
        run_at: row.try_get(11)?,
        created_at: row.try_get(12)?,
        progress: row.try_get(13)?,
        batch: row.try_get(14)?,
        search: Duration::from_micros(u64::try_from(row.try_get::<i64, _>(15)?).unwrap_or(0)),
        receipt,
    })
}

/// The jobs of a claim whose rows end with facts about the claim itself: where it found none, one row holds these alone.
pub(super) fn read_any(
    rows: &[PgRow],
    want: &Want,
    receipt: Receipt,
) -> sqlx::Result<Vec<Claimed>> {
    let wants = std::slice::from_ref(want);
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        if row.try_get::<Option<i64>, _>(0)?.is_some() {
            jobs.push(read(row, wants, receipt)?);
        }
    }
    Ok(jobs)
}

/// Where those facts begin.
pub(super) const FACTS: usize = 16;

/// None of the jobs of these claims runs any more.
pub(crate) async fn forget(db: &mut PgConnection, receipts: &[Receipt]) -> sqlx::Result<()> {
    let nodes: Vec<i64> = receipts.iter().map(|receipt| receipt.node).collect();
    let numbers: Vec<i64> = receipts.iter().map(|receipt| receipt.number).collect();
    sqlx::query(
        r#"
        DELETE FROM queue.claim c
        USING unnest($1::bigint[], $2::bigint[]) AS ended (node, number)
        WHERE c.node = ended.node AND c.number = ended.number
        "#,
    )
    .bind(nodes)
    .bind(numbers)
    .execute(db)
    .await?;
    Ok(())
}

/// Makes scheduled jobs ready whose time has come, at most `most`; says how many.
pub(crate) async fn promote(db: &mut PgConnection, most: i64) -> sqlx::Result<u64> {
    let promoted = sqlx::query(
        r#"
        UPDATE queue.job
        SET state = 0
        WHERE ctid = ANY (ARRAY (
            SELECT ctid
            FROM queue.job
            WHERE state = 1 AND run_at <= now()
            ORDER BY run_at
            LIMIT $1
            FOR UPDATE SKIP LOCKED
        ))
        "#,
    )
    .bind(most)
    .execute(db)
    .await?;
    Ok(promoted.rows_affected())
}

/// Makes parked jobs ready whose kind and version this process understands, some at a time; says how many. Those that
/// somebody has hold of are left for the next time.
pub(crate) async fn unpark(
    db: &mut PgConnection,
    kinds: &[String],
    versions: &[i16],
) -> sqlx::Result<u64> {
    let mut all = 0;
    loop {
        let released = sqlx::query(
            r#"
            UPDATE queue.job
            SET state = 0
            WHERE ctid = ANY (ARRAY (
                SELECT parked.ctid
                FROM unnest($1::text[], $2::smallint[]) AS known (kind, version)
                CROSS JOIN LATERAL (
                    SELECT j.ctid
                    FROM queue.job j
                    WHERE j.state = 3 AND j.kind = known.kind AND j.version <= known.version
                    LIMIT $3
                    FOR UPDATE SKIP LOCKED
                ) parked
                LIMIT $3
            ))
            "#,
        )
        .bind(kinds)
        .bind(versions)
        .bind(MOST_PROMOTED)
        .execute(&mut *db)
        .await?
        .rows_affected();
        all += released;
        if released < MOST_PROMOTED.unsigned_abs() {
            return Ok(all);
        }
    }
}

/// A queue at a glance.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Glance {
    pub(crate) queue: String,
    /// For how long its first job could have run; `None` if none is ready or the queue is paused.
    pub(crate) ready_seconds: Option<f64>,
    /// Whether jobs are held.
    pub(crate) held: bool,
    /// Whether a rule bears on it, or did when jobs were held.
    pub(crate) ruled: bool,
    /// Whether its lanes take turns.
    pub(crate) turns: bool,
    /// Whether it is limited how many jobs of each of its lanes run.
    pub(crate) each_lane: bool,
    /// Whether something is limited.
    pub(crate) limited: bool,
    /// Whether rules go across queues.
    pub(crate) crossing: bool,
    /// Whether jobs of a lower priority wait than that of the first.
    pub(crate) lower: bool,
    /// In how many seconds the next scheduled job of any queue is due.
    pub(crate) due_seconds: Option<f64>,
    /// Jobs that the node runs and that are to stop, whatever their queue.
    pub(crate) cancelled: Option<Vec<JobId>>,
    /// The epochs of their claims.
    pub(crate) epochs: Option<Vec<i32>>,
}

impl Glance {
    /// How rules bear on the queue, if any do.
    pub(crate) fn way(&self) -> Option<Way> {
        self.ruled.then_some(Way {
            turns: self.turns,
            each_lane: self.each_lane,
            limited: self.limited,
            crossing: self.crossing,
        })
    }
}

/// Looks at queues: some index entries each, and one for each job of `node` that is to stop.
pub(crate) async fn look(
    db: &mut PgConnection,
    queues: &[String],
    node: Option<i64>,
) -> sqlx::Result<Vec<Glance>> {
    sqlx::query_as(
        r#"
        SELECT mine.queue, extract(epoch FROM now() - first.run_at)::float8 AS ready_seconds,
            first.lower IS TRUE AS lower, held.held, across.rules AS crossing,
            (rule.name IS NOT NULL OR across.rules OR held.held) AS ruled,
            (coalesce(rule.turns, false) OR across.lanes) AS turns, rule.lane_running IS NOT NULL AS each_lane,
            (coalesce(rule.paused OR rule.max_running IS NOT NULL OR rule.lane_running IS NOT NULL
                OR rule.key_running IS NOT NULL OR rule.rate_count IS NOT NULL, false)
                OR across.rules OR held.held) AS limited,
            (SELECT extract(epoch FROM j.run_at - now())::float8 FROM queue.job j
                WHERE j.state = 1 ORDER BY j.run_at LIMIT 1) AS due_seconds,
            asked.cancelled, asked.epochs
        FROM unnest($1::text[]) AS mine (queue)
        CROSS JOIN (
            SELECT array_agg(j.id) AS cancelled, array_agg(j.epoch) AS epochs
            FROM queue.job j
            WHERE j.cancel_reason IS NOT NULL AND j.lease_by = $2
        ) asked
        CROSS JOIN (
            SELECT EXISTS (SELECT FROM queue.rule WHERE scope IN ('kind', 'lane', 'key')) AS rules,
                EXISTS (SELECT FROM queue.rule WHERE scope = 'lane') AS lanes
        ) across
        LEFT JOIN queue.rule rule ON rule.scope = 'queue' AND rule.name = mine.queue
        CROSS JOIN LATERAL (
            SELECT rule.paused IS NOT TRUE
                AND EXISTS (SELECT FROM queue.job j WHERE j.queue = mine.queue AND j.state = 4) AS held
        ) held
        LEFT JOIN LATERAL (
            SELECT j.run_at, EXISTS (
                SELECT FROM queue.job l
                WHERE l.queue = mine.queue AND l.state = 0 AND l.lease_by IS NULL AND l.priority > j.priority
            ) AS lower
            FROM queue.job j
            WHERE j.queue = mine.queue AND j.state = 0 AND j.lease_by IS NULL AND rule.paused IS NOT TRUE
            ORDER BY j.priority, j.run_at, j.id
            LIMIT 1
        ) first ON true
        "#,
    )
    .bind(queues)
    .bind(node)
    .fetch_all(db)
    .await
}
