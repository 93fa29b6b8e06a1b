//! Claims in queues that are under rules: look at what could run, then take what may.
//!
//! Processes that claim in one queue take turns, as what one has taken is what the next has to count.

use sqlx::PgConnection;
use uuid::Uuid;

use super::claim::{Claimed, Receipt, Want, read};
use crate::allow::{Busy, Candidate, InForce};
use crate::rule::Scope;

/// Held jobs are looked for under so many kinds and keys at a time.
pub(crate) const PILES: usize = 256;

/// Where the next look starts, so that every lane and every key comes round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// The first lane.
    pub(crate) lane: Uuid,
    /// The kind and key after which held jobs are looked for.
    pub(crate) pile: (String, String),
    /// Full lanes stand in front: it goes from lane to lane at once.
    pub(crate) walks: bool,
}

impl Start {
    /// It starts with the first lane and the first kind.
    pub(crate) fn is_anew(&self) -> bool {
        self.lane.is_nil() && self.pile == <(String, String)>::default()
    }
}

/// Of the locks of this database, ours.
const SPACE: i32 = 0x6c65_6164;

/// Makes sure, until the transaction ends, that no other process claims in these queues; if `crossing`, in any queue that is
/// under rules, as a rule of a kind, a lane or a key goes across queues.
pub(crate) async fn lock(
    db: &mut PgConnection,
    queues: &[&str],
    crossing: bool,
) -> sqlx::Result<()> {
    // A turn comes round, however short a row is waited for.
    if crossing {
        sqlx::query("SELECT set_config('lock_timeout', '10s', true), pg_advisory_xact_lock($1, 0)")
            .bind(SPACE)
            .execute(db)
            .await?;
        return Ok(());
    }
    // In one order, so that nobody waits for each other.
    sqlx::query(
        r#"
        SELECT set_config('lock_timeout', '10s', true), pg_advisory_xact_lock_shared($1, 0), (SELECT count(pg_advisory_xact_lock($1 + 1, lock)) FROM (
            SELECT DISTINCT hashtext(queue) AS lock FROM unnest($2::text[]) queue ORDER BY 1
        ) locks)
        "#,
    )
    .bind(SPACE)
    .bind(queues)
    .execute(db)
    .await?;
    Ok(())
}

/// Like [`lock`] where that has not to wait for anybody; says whether it is so. If not, some may be locked all the same.
pub(crate) async fn try_lock(
    db: &mut PgConnection,
    queues: &[&str],
    crossing: bool,
) -> sqlx::Result<bool> {
    if crossing {
        return sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, 0)")
            .bind(SPACE)
            .fetch_one(db)
            .await;
    }
    sqlx::query_scalar(
        r#"
        SELECT pg_try_advisory_xact_lock_shared($1, 0) AND (SELECT bool_and(pg_try_advisory_xact_lock($1 + 1, lock)) FROM (
            SELECT DISTINCT hashtext(queue) AS lock FROM unnest($2::text[]) queue
        ) locks)
        "#,
    )
    .bind(SPACE)
    .bind(queues)
    .fetch_one(db)
    .await
}

/// The jobs of a queue that could run next, ready and held ones, in the order of the queue.
pub(crate) async fn first(
    db: &mut PgConnection,
    want: &Want,
    start: &Start,
    not: &[String],
) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query_as(
        r#"
        WITH RECURSIVE pile AS (
            (SELECT j.kind, j.limit_key FROM queue.job j
                WHERE j.queue = $1 AND j.state = 4 AND (j.kind, j.limit_key) > ($4, $5)
                ORDER BY j.kind, j.limit_key LIMIT 1)
            UNION ALL
            SELECT next.kind, next.limit_key FROM pile CROSS JOIN LATERAL (
                SELECT j.kind, j.limit_key FROM queue.job j
                WHERE j.queue = $1 AND j.state = 4 AND (j.kind, j.limit_key) > (pile.kind, pile.limit_key)
                ORDER BY j.kind, j.limit_key LIMIT 1
            ) next
        ), piles AS MATERIALIZED (SELECT kind, limit_key FROM pile LIMIT $6)
        SELECT id, kind, lane, limit_key, held
        FROM (
            (SELECT j.id, j.kind, j.lane, j.limit_key, false AS held, j.priority, j.run_at
                FROM queue.job j
                WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL
                    AND (cardinality($3::text[]) = 0 OR (j.kind || '@' || j.version) <> ALL ($3::text[]))
                ORDER BY j.priority, j.run_at, j.id LIMIT $2)
            UNION ALL
            SELECT held.*
            FROM (SELECT *, count(*) OVER () AS count FROM piles) piles CROSS JOIN LATERAL (
                SELECT j.id, j.kind, j.lane, j.limit_key, true, j.priority, j.run_at
                FROM queue.job j
                WHERE j.queue = $1 AND j.state = 4 AND j.kind = piles.kind AND j.limit_key = piles.limit_key
                ORDER BY j.priority, j.run_at, j.id LIMIT greatest(1, 4 * $2 / piles.count)
            ) held
        ) candidate
        ORDER BY priority, run_at, id
        "#,
    )
    .bind(&*want.queue)
    .bind(i64::try_from(want.most).unwrap_or(i64::MAX))
    .bind(not)
    .bind(&start.pile.0)
    .bind(&start.pile.1)
    .bind(i64::try_from(PILES).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await
}

/// The jobs of a queue that could run next, where lanes take turns: the first of each lane, then the second of each.
///
/// Lanes that may start nothing are left out. Of a lane as many jobs are looked at as its turn may come to. Jobs
/// without a lane take turns with the lanes once they are near the front of the queue: no index finds them further behind.
pub(crate) async fn by_turns(
    db: &mut PgConnection,
    want: &Want,
    start: &Start,
    not: &[String],
) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query_as(
        r#"
        WITH RECURSIVE lane AS (
            (SELECT j.lane FROM queue.job j WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL AND j.lane >= $7
                ORDER BY j.lane LIMIT 1)
            UNION ALL
            SELECT (SELECT j.lane FROM queue.job j
                WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL AND j.lane > lane.lane
                ORDER BY j.lane LIMIT 1)
            FROM lane
            WHERE lane.lane IS NOT NULL
        ), busy AS MATERIALIZED (
            SELECT lane, count(*) AS everywhere, count(*) FILTER (WHERE queue = $1) AS here
            FROM queue.running
            WHERE lane IS NOT NULL
            GROUP BY lane
        ), open AS MATERIALIZED (
            SELECT lane, room
            FROM (
                SELECT lane.lane, least(own.lane_running - coalesce(here, 0), rule.max_running - coalesce(everywhere, 0))
                    AS room
                FROM lane
                LEFT JOIN busy ON busy.lane = lane.lane
                LEFT JOIN queue.rule rule ON rule.scope = 'lane' AND rule.name = lane.lane::text
                LEFT JOIN queue.rule own ON own.scope = 'queue' AND own.name = $1
                WHERE lane.lane IS NOT NULL AND rule.paused IS NOT TRUE
            ) lane
            WHERE room IS NULL OR room > 0
            LIMIT $2
        ), pile AS (
            (SELECT j.kind, j.limit_key FROM queue.job j
                WHERE j.queue = $1 AND j.state = 4 AND (j.kind, j.limit_key) > ($4, $5)
                ORDER BY j.kind, j.limit_key LIMIT 1)
            UNION ALL
            SELECT next.kind, next.limit_key FROM pile CROSS JOIN LATERAL (
                SELECT j.kind, j.limit_key FROM queue.job j
                WHERE j.queue = $1 AND j.state = 4 AND (j.kind, j.limit_key) > (pile.kind, pile.limit_key)
                ORDER BY j.kind, j.limit_key LIMIT 1
            ) next
        ), piles AS MATERIALIZED (SELECT kind, limit_key FROM pile LIMIT $6)
        SELECT id, kind, lane, limit_key, held
        FROM (
            SELECT *, row_number() OVER (PARTITION BY lane ORDER BY priority, run_at, id) AS turn
            FROM (
                SELECT ready.*
                FROM (SELECT *, count(*) OVER () AS count FROM open) open
                CROSS JOIN LATERAL (
                    SELECT j.id, j.kind, j.lane, j.limit_key, false AS held, j.priority, j.run_at
                    FROM queue.job j
                    WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL AND j.lane = open.lane
                        AND (cardinality($3::text[]) = 0 OR (j.kind || '@' || j.version) <> ALL ($3::text[]))
                    ORDER BY j.priority, j.run_at, j.id LIMIT least(room, $2, $8::bigint, greatest(1, 4 * $2 / open.count))
                ) ready
                UNION ALL
                SELECT id, kind, lane, limit_key, false, priority, run_at
                FROM (SELECT j.id, j.kind, j.version, j.lane, j.limit_key, j.priority, j.run_at
                    FROM queue.job j
                    WHERE j.queue = $1 AND j.state = 0 AND j.lease_by IS NULL
                    ORDER BY j.priority, j.run_at, j.id LIMIT 4 * $2) front
                WHERE lane IS NULL AND (cardinality($3::text[]) = 0 OR (kind || '@' || version) <> ALL ($3::text[]))
                UNION ALL
                SELECT held.*
                FROM (SELECT *, count(*) OVER () AS count FROM piles) piles CROSS JOIN LATERAL (
                    SELECT j.id, j.kind, j.lane, j.limit_key, true, j.priority, j.run_at
                    FROM queue.job j
                    WHERE j.queue = $1 AND j.state = 4 AND j.kind = piles.kind AND j.limit_key = piles.limit_key
                    ORDER BY j.priority, j.run_at, j.id LIMIT greatest(1, 4 * $2 / piles.count)
                ) held
            ) candidate
        ) candidate
        ORDER BY turn, lane, priority, run_at, id
        LIMIT 2 * $2
        "#,
    )
    .bind(&*want.queue)
    .bind(i64::try_from(want.most).unwrap_or(i64::MAX))
    .bind(not)
    .bind(&start.pile.0)
    .bind(&start.pile.1)
    .bind(i64::try_from(PILES).unwrap_or(i64::MAX))
    .bind(start.lane)
    .bind(want.most_of_each())
    .fetch_all(db)
    .await
}

/// The rules that these jobs of a queue are under.
pub(crate) async fn in_force(
    db: &mut PgConnection,
    queue: &str,
    candidates: &[Candidate],
) -> sqlx::Result<Vec<InForce>> {
    let mut kinds: Vec<&str> = candidates.iter().map(|job| &*job.kind).collect();
    let mut lanes: Vec<Uuid> = candidates.iter().filter_map(|job| job.lane).collect();
    let mut keys: Vec<&str> = candidates.iter().map(|job| &*job.limit_key).collect();
    kinds.sort_unstable();
    kinds.dedup();
    lanes.sort_unstable();
    lanes.dedup();
    keys.sort_unstable();
    keys.dedup();
    sqlx::query_as(
        r#"
        SELECT scope, name, paused, max_running, lane_running, key_running, queue.rate_left(rule) AS rate_left,
            queue.rate_wait(rule) AS rate_wait
        FROM queue.rule
        WHERE (scope = 'queue' AND name = $1) OR (scope = 'kind' AND name = ANY ($2))
            OR (scope = 'lane' AND name = ANY ($3::uuid[]::text[])) OR (scope = 'key' AND name = ANY ($4))
        "#,
    )
    .bind(queue)
    .bind(kinds)
    .bind(lanes)
    .bind(keys)
    .fetch_all(db)
    .await
}

/// All jobs that run, counted by what rules can be about.
pub(crate) async fn busy(db: &mut PgConnection) -> sqlx::Result<Vec<Busy>> {
    sqlx::query_as(
        "SELECT queue, kind, lane, limit_key, count(*) FROM queue.running GROUP BY queue, kind, lane, limit_key",
    )
    .fetch_all(db)
    .await
}

/// Claims those of these jobs that still wait and that nobody has hold of.
pub(crate) async fn take(
    db: &mut PgConnection,
    node: i64,
    want: &Want,
    ids: &[i64],
) -> sqlx::Result<Vec<Claimed>> {
    let receipt = Receipt::next(node);
    let rows = sqlx::query(
        r#"
        WITH found AS MATERIALIZED (
            SELECT array_agg(free.ctid) AS places, array_agg(free.id) AS jobs
            FROM (
                SELECT ctid, id
                FROM queue.job
                WHERE id = ANY ($2) AND state IN (0, 4) AND lease_by IS NULL
                FOR UPDATE SKIP LOCKED
            ) free
            WHERE EXISTS (SELECT FROM queue.node n WHERE n.id = $1 AND n.lease_until > now())
        ), noted AS (
            INSERT INTO queue.claim (node, number, jobs) SELECT $1, $3, jobs FROM found WHERE jobs IS NOT NULL
        )
        UPDATE queue.job
        SET state = 0, attempt = attempt + 1, epoch = epoch + 1, lease_by = $1, started_at = now()
        WHERE ctid = ANY ((SELECT places FROM found)::tid[])
        RETURNING id, epoch, queue, kind, version, priority, attempt, max_attempts, lane, payload::text, trace, run_at,
            created_at, progress::text, batch_id, 0::bigint
        "#,
    )
    .bind(node)
    .bind(ids)
    .bind(receipt.number)
    .fetch_all(db)
    .await?;
    let wants = std::slice::from_ref(want);
    rows.iter().map(|row| read(row, wants, receipt)).collect()
}

/// Puts these jobs out of the way of those behind them.
pub(crate) async fn hold(db: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE queue.job
        SET state = 4
        WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM queue.job WHERE id = ANY ($1) AND state = 0 AND lease_by IS NULL FOR UPDATE SKIP LOCKED
        ))
        "#,
    )
    .bind(ids)
    .execute(db)
    .await?;
    Ok(())
}

/// So many jobs start under the rate of this rule.
pub(crate) async fn use_rate(
    db: &mut PgConnection,
    scope: Scope,
    name: &str,
    started: i32,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE queue.rule
        SET rate_used = greatest(rate_used, clock_timestamp()) + $3 * rate_seconds / rate_count * interval '1 second'
        WHERE scope = $1 AND name = $2 AND rate_count IS NOT NULL
        "#,
    )
    .bind(scope)
    .bind(name)
    .bind(started)
    .execute(db)
    .await?;
    Ok(())
}
