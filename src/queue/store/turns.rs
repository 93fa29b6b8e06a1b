//! Claims in queues whose lanes take turns and where nothing else is limited than how many jobs of each lane run: one
//! statement, which needs no look at the rules, the lanes and the jobs that run beforehand.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::claim::{Claimed, FACTS, Receipt, Want, read_any};

/// So many lanes are walked over at a time, so that many full ones hold nobody up for long.
pub(crate) const WALK: i32 = 2000;

/// What a claim came to.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) jobs: Vec<Claimed>,
    /// The rules are such that this is the way to claim; otherwise nothing was claimed.
    pub(crate) fits: bool,
    /// Lanes that were found to have jobs, of which some may start.
    pub(crate) lanes: usize,
    /// Where the walk over the lanes ended, if not at the last one.
    pub(crate) last: Option<Uuid>,
    /// Some lane may start nothing more for now.
    pub(crate) fills: bool,
    /// Jobs without a lane may lie further behind than was looked.
    pub(crate) deep: bool,
}

/// Of a lane no more jobs are looked at than this, where `lanes` have some.
pub(crate) fn share(want: &Want, lanes: usize) -> usize {
    let share = if lanes >= want.most {
        1
    } else {
        4 * want.most / lanes.max(1)
    };
    want.each.map_or(share, |each| share.min(each.get()))
}

/// Claims the first job of each lane, then the second of each and so on, what runs of a lane being its first.
///
/// The walk goes from lane to lane along `job_lane` and finds the first job of each on its way; it ends when it has found
/// enough. Unless the queue is `locked`, nothing is claimed where anything is limited. Jobs without a lane take turns with
/// the lanes once they are near the front of the queue: no index finds them further behind.
pub(crate) async fn take(
    db: &mut PgConnection,
    node: i64,
    want: &Want,
    not: &[String],
    locked: bool,
) -> sqlx::Result<Turn> {
    let receipt = Receipt::next(node);
    let rows = sqlx::query(
        r#"
        WITH RECURSIVE own AS MATERIALIZED (
            SELECT rule.lane_running
            FROM (SELECT) one
            LEFT JOIN queue.rule ON rule.scope = 'queue' AND rule.name = $2
            WHERE rule.paused IS NOT TRUE AND rule.max_running IS NULL AND rule.key_running IS NULL AND rule.rate_count IS NULL
                AND (rule.lane_running IS NULL OR $7)
                AND NOT EXISTS (SELECT FROM queue.rule other WHERE other.scope <> 'queue')
                AND NOT EXISTS (SELECT FROM queue.job j WHERE j.queue = $2 AND j.state = 4)
        ), running AS MATERIALIZED (
            SELECT lane
            FROM queue.running
            WHERE queue = $2 AND lane IS NOT NULL AND ($10::uuid[] IS NULL OR node <> $1)
                AND (SELECT lane_running FROM own) IS NOT NULL
            UNION ALL
            SELECT lane FROM unnest($10::uuid[]) AS lane WHERE (SELECT lane_running FROM own) IS NOT NULL
        ), filled AS MATERIALIZED (
            SELECT lane FROM running GROUP BY lane HAVING count(*) >= (SELECT lane_running FROM own)
        ), front AS (
            (SELECT 1 AS step, j.ctid AS place, j.lane, j.priority, j.run_at, j.id
                FROM queue.job j
                WHERE j.queue = $2 AND j.state = 0 AND j.lease_by IS NULL AND j.lane >= $5 AND EXISTS (SELECT FROM own)
                    AND (cardinality($4::text[]) = 0 OR (j.kind || '@' || j.version) <> ALL ($4::text[]))
                ORDER BY j.lane, j.priority, j.run_at, j.id LIMIT 1)
            UNION ALL
            SELECT front.step + 1, next.*
            FROM front CROSS JOIN LATERAL (
                SELECT j.ctid, j.lane, j.priority, j.run_at, j.id
                FROM queue.job j
                WHERE j.queue = $2 AND j.state = 0 AND j.lease_by IS NULL AND j.lane > front.lane
                    AND (cardinality($4::text[]) = 0 OR (j.kind || '@' || j.version) <> ALL ($4::text[]))
                ORDER BY j.lane, j.priority, j.run_at, j.id LIMIT 1
            ) next
            WHERE front.step < $6
        ), open AS MATERIALIZED (
            SELECT *, count(*) OVER () AS count
            FROM (SELECT * FROM front WHERE lane NOT IN (SELECT lane FROM filled) OR step = $6 LIMIT $3) open
        ), near AS MATERIALIZED (
            SELECT j.ctid AS place, j.lane, j.kind, j.version, j.priority, j.run_at, j.id
            FROM queue.job j
            WHERE j.queue = $2 AND j.state = 0 AND j.lease_by IS NULL AND EXISTS (SELECT FROM own)
            ORDER BY j.priority, j.run_at, j.id
            LIMIT greatest($3, 200)
        ), candidate AS (
            SELECT place, lane, true AS waits, priority, run_at, id FROM open
            UNION ALL
            SELECT more.place, more.lane, true, more.priority, more.run_at, more.id
            FROM open CROSS JOIN LATERAL (
                SELECT j.ctid AS place, j.lane, j.priority, j.run_at, j.id
                FROM queue.job j
                WHERE j.queue = $2 AND j.state = 0 AND j.lease_by IS NULL AND j.lane = open.lane
                    AND (j.priority, j.run_at, j.id) > (open.priority, open.run_at, open.id)
                    AND (cardinality($4::text[]) = 0 OR (j.kind || '@' || j.version) <> ALL ($4::text[]))
                ORDER BY j.priority, j.run_at, j.id
                LIMIT least(CASE WHEN open.count >= $3 THEN 1 ELSE 4 * $3 / open.count END, $8::bigint,
                    (SELECT lane_running FROM own)) - 1
            ) more
            UNION ALL
            SELECT place, lane, true, priority, run_at, id
            FROM near
            WHERE lane IS NULL AND (cardinality($4::text[]) = 0 OR (kind || '@' || version) <> ALL ($4::text[]))
            UNION ALL
            SELECT NULL, lane, false, NULL, NULL, NULL FROM running
        ), turns AS MATERIALIZED (
            SELECT *, coalesce(lane IS NOT NULL AND turn >= (SELECT lane_running FROM own), false) AS fills,
                coalesce(lane IS NOT NULL AND turn > (SELECT lane_running FROM own), false) AS exceeds
            FROM (
                SELECT *, row_number() OVER (PARTITION BY lane ORDER BY waits, priority, run_at, id) AS turn FROM candidate
            ) candidate
            WHERE waits
        ), found AS MATERIALIZED (
            SELECT array_agg(free.ctid) AS places, array_agg(free.id) AS jobs
            FROM (
                SELECT j.ctid, j.id
                FROM queue.job j
                WHERE j.ctid = ANY (ARRAY (
                        SELECT place FROM turns WHERE NOT exceeds ORDER BY turn, lane, priority, run_at, id LIMIT $3
                    )) AND j.state = 0 AND j.lease_by IS NULL
                FOR UPDATE SKIP LOCKED
            ) free
            WHERE EXISTS (SELECT FROM queue.node n WHERE n.id = $1 AND n.lease_until > now())
        ), noted AS (
            INSERT INTO queue.claim (node, number, jobs) SELECT $1, $9, jobs FROM found WHERE jobs IS NOT NULL
        ), taken AS (
            UPDATE queue.job
            SET attempt = attempt + 1, epoch = epoch + 1, lease_by = $1, started_at = now()
            WHERE ctid = ANY ((SELECT places FROM found)::tid[])
            RETURNING id, epoch, queue, kind, version, priority, attempt, max_attempts, lane, payload::text, trace, run_at,
                created_at, progress::text, batch_id, 0::bigint
        )
        SELECT taken.*, EXISTS (SELECT FROM own) AS fits, (SELECT count(*) FROM open) AS lanes,
            (SELECT lane FROM open WHERE count >= $3 OR step >= $6 ORDER BY step DESC LIMIT 1) AS last,
            EXISTS (SELECT FROM filled) OR EXISTS (SELECT FROM turns WHERE fills) AS fills,
            (SELECT count(*) FROM near) >= greatest($3, 200) AS deep
        FROM (SELECT) one
        LEFT JOIN taken ON true
        "#,
    )
    .bind(node)
    .bind(&*want.queue)
    .bind(i64::try_from(want.most).unwrap_or(i64::MAX))
    .bind(not)
    .bind(want.start.lane)
    .bind(WALK)
    .bind(locked)
    .bind(want.most_of_each())
    .bind(receipt.number)
    .bind(want.running.as_deref())
    .fetch_all(db)
    .await?;
    let mut turn = Turn {
        jobs: read_any(&rows, want, receipt)?,
        ..Turn::default()
    };
    if let Some(row) = rows.first() {
        turn.fits = row.try_get(FACTS)?;
        turn.lanes = usize::try_from(row.try_get::<i64, _>(FACTS + 1)?).unwrap_or(0);
        turn.last = row.try_get(FACTS + 2)?;
        turn.fills = row.try_get(FACTS + 3)?;
        turn.deep = row.try_get(FACTS + 4)?;
    }
    Ok(turn)
}
