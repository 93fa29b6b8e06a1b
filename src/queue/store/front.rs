//! Claims in queues where nothing else is limited than how many jobs of each lane run: of the first jobs in the order of the
//! queue, those whose lanes have room. Unlike a walk from lane to lane it costs little more than a claim without limits, and
//! as long as no full lane stands in front it finds all there is to find.

use sqlx::{PgConnection, Row};

use super::claim::{Claimed, FACTS, Receipt, Want, read_any};

/// What a claim came to.
#[derive(Debug, Default)]
pub(crate) struct Front {
    pub(crate) jobs: Vec<Claimed>,
    /// The rules are such that this is a way to claim; otherwise nothing was claimed.
    pub(crate) fits: bool,
    /// How many jobs were looked at.
    pub(crate) seen: usize,
    /// Some lane may start nothing more for now.
    pub(crate) fills: bool,
}

/// Claims those of the first jobs whose lanes have room; only one process may do so at a time.
pub(crate) async fn take(
    db: &mut PgConnection,
    node: i64,
    want: &Want,
    not: &[String],
) -> sqlx::Result<Front> {
    let receipt = Receipt::next(node);
    let rows = sqlx::query(
        r#"
        WITH own AS MATERIALIZED (
            SELECT rule.lane_running
            FROM queue.rule
            WHERE rule.scope = 'queue' AND rule.name = $2 AND rule.lane_running IS NOT NULL AND NOT rule.turns
                AND NOT rule.paused AND rule.max_running IS NULL AND rule.key_running IS NULL AND rule.rate_count IS NULL
                AND NOT EXISTS (SELECT FROM queue.rule other WHERE other.scope <> 'queue')
                AND NOT EXISTS (SELECT FROM queue.job j WHERE j.queue = $2 AND j.state = 4)
        ), front AS MATERIALIZED (
            SELECT j.ctid AS place, j.lane, row_number() OVER (PARTITION BY j.lane ORDER BY j.priority, j.run_at, j.id) AS number
            FROM (
                SELECT j.ctid, j.lane, j.priority, j.run_at, j.id
                FROM queue.job j
                WHERE j.queue = $2 AND j.state = 0 AND j.lease_by IS NULL AND EXISTS (SELECT FROM own)
                    AND (cardinality($4::text[]) = 0 OR (j.kind || '@' || j.version) <> ALL ($4::text[]))
                ORDER BY j.priority, j.run_at, j.id
                LIMIT $3
            ) j
        ), running AS MATERIALIZED (
            SELECT lane, count(*) AS count
            FROM (
                SELECT lane
                FROM queue.running
                WHERE queue = $2 AND lane IS NOT NULL AND ($6::uuid[] IS NULL OR node <> $1) AND EXISTS (SELECT FROM front)
                UNION ALL
                SELECT unnest($6::uuid[])
            ) running
            GROUP BY lane
        ), room AS MATERIALIZED (
            SELECT front.place, front.lane IS NULL OR own.lane_running - coalesce(running.count, 0) >= front.number AS has_room,
                front.lane IS NOT NULL AND own.lane_running - coalesce(running.count, 0) <= front.number AS fills
            FROM front
            CROSS JOIN own
            LEFT JOIN running ON running.lane = front.lane
        ), found AS MATERIALIZED (
            SELECT array_agg(free.ctid) AS places, array_agg(free.id) AS jobs
            FROM (
                SELECT j.ctid, j.id
                FROM queue.job j
                WHERE j.ctid = ANY (ARRAY (SELECT place FROM room WHERE has_room)) AND j.state = 0 AND j.lease_by IS NULL
                FOR UPDATE SKIP LOCKED
            ) free
            WHERE EXISTS (SELECT FROM queue.node n WHERE n.id = $1 AND n.lease_until > now())
        ), noted AS (
            INSERT INTO queue.claim (node, number, jobs) SELECT $1, $5, jobs FROM found WHERE jobs IS NOT NULL
        ), taken AS (
            UPDATE queue.job
            SET attempt = attempt + 1, epoch = epoch + 1, lease_by = $1, started_at = now()
            WHERE ctid = ANY ((SELECT places FROM found)::tid[])
            RETURNING id, epoch, queue, kind, version, priority, attempt, max_attempts, lane, payload::text, trace, run_at,
                created_at, progress::text, batch_id, 0::bigint
        )
        SELECT taken.*, EXISTS (SELECT FROM own) AS fits, (SELECT count(*) FROM front) AS seen,
            EXISTS (SELECT FROM room WHERE fills) AS fills
        FROM (SELECT) one
        LEFT JOIN taken ON true
        "#,
    )
    .bind(node)
    .bind(&*want.queue)
    .bind(i64::try_from(want.most).unwrap_or(i64::MAX))
    .bind(not)
    .bind(receipt.number)
    .bind(want.running.as_deref())
    .fetch_all(db)
    .await?;
    let mut front = Front {
        jobs: read_any(&rows, want, receipt)?,
        ..Front::default()
    };
    if let Some(row) = rows.first() {
        front.fits = row.try_get(FACTS)?;
        front.seen = usize::try_from(row.try_get::<i64, _>(FACTS + 1)?).unwrap_or(0);
        front.fills = row.try_get(FACTS + 2)?;
    }
    front.jobs.sort_unstable_by_key(Claimed::position);
    Ok(front)
}
