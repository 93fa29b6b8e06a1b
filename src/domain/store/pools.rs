//! Reps who take turns.

use sqlx::PgConnection;

use crate::{
    clock::Timestamp,
    id::{OrgId, PoolId, UserId},
    text::text_enum,
};

text_enum! {
    /// How a pool picks.
    Strategy {
        /// In turn.
        RoundRobin = "round_robin",
        /// Whoever has least to do.
        LeastLoaded = "least_loaded",
    }
}

/// A pool, held until the transaction ends.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Pool {
    /// Its id.
    pub id: PoolId,
    /// How it picks.
    pub strategy: Strategy,
    /// What makes it pick by itself, e.g. `status:enriched`.
    pub auto_on: Vec<String>,
    /// Whose turn it was last.
    pub cursor: i64,
}

/// The default pool, held until the transaction ends: turns are taken one after the other.
pub async fn lock_default(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Option<Pool>> {
    sqlx::query_as("SELECT id, strategy, auto_on, cursor FROM assignment_pools WHERE org_id = $1 AND is_default FOR NO KEY UPDATE")
        .bind(org)
        .fetch_optional(db)
        .await
}

/// What makes the default pool pick by itself.
pub async fn auto_on(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<String>> {
    let found: Option<Vec<String>> =
        sqlx::query_scalar("SELECT auto_on FROM assignment_pools WHERE org_id = $1 AND is_default")
            .bind(org)
            .fetch_optional(db)
            .await?;
    Ok(found.unwrap_or_default())
}

/// Says what makes the default pool pick by itself: `scored`, or `status:` and a status.
pub async fn set_auto_on(db: &mut PgConnection, org: OrgId, on: &[String]) -> sqlx::Result<()> {
    sqlx::query("UPDATE assignment_pools SET auto_on = $2 WHERE org_id = $1 AND is_default")
        .bind(org)
        .bind(on)
        .execute(db)
        .await?;
    Ok(())
}

/// Somebody who can take a lead now.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Candidate {
    /// Who.
    pub user_id: UserId,
    /// Open leads they have.
    pub workload: i64,
}

/// Those of a pool who are in office and below their capacity, in the order of their turns.
pub async fn candidates(
    db: &mut PgConnection,
    org: OrgId,
    pool: PoolId,
    now: Timestamp,
) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query_as(
        r#"
        SELECT user_id, workload
        FROM (
            SELECT turn.user_id, turn.position, turn.capacity,
                (SELECT count(*) FROM leads
                 WHERE leads.org_id = turn.org_id AND leads.assigned_to_user_id = turn.user_id AND leads.is_open
                    AND leads.deleted_at IS NULL) AS workload
            FROM assignment_pool_members turn
            JOIN memberships member ON member.org_id = turn.org_id AND member.user_id = turn.user_id
            WHERE turn.org_id = $1 AND turn.pool_id = $2 AND (member.ooo_until IS NULL OR member.ooo_until <= $3)
                AND member.role <> 'viewer'
        ) present
        WHERE capacity IS NULL OR workload < capacity
        ORDER BY position
        "#,
    )
    .bind(org)
    .bind(pool)
    .bind(now)
    .fetch_all(db)
    .await
}

/// Moves the turn on.
pub async fn advance(
    db: &mut PgConnection,
    org: OrgId,
    pool: PoolId,
    cursor: i64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE assignment_pools SET cursor = $3 WHERE org_id = $1 AND id = $2")
        .bind(org)
        .bind(pool)
        .bind(cursor)
        .execute(db)
        .await?;
    Ok(())
}

/// Makes the default pool of an org, unless it has one.
pub async fn ensure_default(db: &mut PgConnection, org: OrgId) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO assignment_pools (id, org_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(PoolId::new())
        .bind(org)
        .execute(db)
        .await?;
    Ok(())
}

/// Puts a rep at the end of the turns of the default pool.
pub async fn join_default(db: &mut PgConnection, org: OrgId, user: UserId) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO assignment_pool_members (org_id, pool_id, user_id, position)
        SELECT pool.org_id, pool.id, $2,
            (SELECT coalesce(max(position), 0) + 1 FROM assignment_pool_members turn
             WHERE turn.org_id = pool.org_id AND turn.pool_id = pool.id)
        FROM assignment_pools pool
        WHERE pool.org_id = $1 AND pool.is_default
        ON CONFLICT (org_id, pool_id, user_id) DO NOTHING
        "#,
    )
    .bind(org)
    .bind(user)
    .execute(db)
    .await?;
    Ok(())
}
