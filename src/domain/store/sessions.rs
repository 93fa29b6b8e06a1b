//! Who is signed in, and the links that sign people in; all asked as the platform.

use chrono::TimeDelta;
use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::id::{OrgId, SpaceId, UserId};
use crate::member::{Member, Role};
use crate::org::Visibility;

/// How long dead links and sessions are kept, for those who ask what happened.
const KEPT: TimeDelta = TimeDelta::days(1);

/// A browser that is signed in, and what its person may do in the org they work in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// What transactions are opened for.
    pub member: Member,
    /// The person's name, as the org knows it.
    pub name: String,
    /// Where the org writes to them.
    pub email: String,
    /// The org's name.
    pub org_name: String,
    /// The org's time zone.
    pub time_zone: String,
    /// Staff of the platform's operator.
    pub is_platform_admin: bool,
    /// Roughly when the session was last used.
    pub last_used_at: Timestamp,
}

/// Writes down a link by its hash, and forgets links long dead.
pub async fn insert_link(
    db: &mut PgConnection,
    token_hash: &[u8],
    user: UserId,
    now: Timestamp,
    expires_at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sign_in_links WHERE expires_at < $1")
        .bind(now - KEPT)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "INSERT INTO sign_in_links (token_hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(token_hash)
    .bind(user)
    .bind(now)
    .bind(expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Whether a link can still be used.
pub async fn is_link_good(
    db: &mut PgConnection,
    token_hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM sign_in_links WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2)",
    )
    .bind(token_hash)
    .bind(now)
    .fetch_one(db)
    .await
}

/// Uses a link up: whom it signs in, if it is good and they may sign in at all.
pub async fn use_link(
    db: &mut PgConnection,
    token_hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar(
        r#"
        UPDATE sign_in_links link SET used_at = $2
        FROM users
        WHERE link.token_hash = $1 AND link.used_at IS NULL AND link.expires_at > $2
            AND users.id = link.user_id AND users.disabled_at IS NULL
        RETURNING link.user_id
        "#,
    )
    .bind(token_hash)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Writes down a session by its hash, and forgets sessions long dead.
pub async fn insert(
    db: &mut PgConnection,
    token_hash: &[u8],
    user: UserId,
    org: OrgId,
    now: Timestamp,
    expires_at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sessions WHERE expires_at < $1")
        .bind(now - KEPT)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        r#"
        INSERT INTO sessions (token_hash, user_id, org_id, created_at, last_used_at, expires_at)
        VALUES ($1, $2, $3, $4, $4, $5)
        "#,
    )
    .bind(token_hash)
    .bind(user)
    .bind(org)
    .bind(now)
    .bind(expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The session of this hash, if it was used since `idle_since` and its person still works in an org that is served.
pub async fn find(
    db: &mut PgConnection,
    token_hash: &[u8],
    now: Timestamp,
    idle_since: Timestamp,
) -> sqlx::Result<Option<SignedIn>> {
    #[derive(sqlx::FromRow)]
    struct Row {
        user_id: UserId,
        org_id: OrgId,
        role: Role,
        visibility: Visibility,
        spaces: Vec<SpaceId>,
        name: String,
        email: String,
        org_name: String,
        time_zone: String,
        is_platform_admin: bool,
        last_used_at: Timestamp,
    }
    let found: Option<Row> = sqlx::query_as(
        r#"
        SELECT session.user_id, session.org_id, member.role, org.lead_visibility AS visibility,
            ARRAY(SELECT space_id FROM space_members
                WHERE org_id = session.org_id AND user_id = session.user_id) AS spaces,
            member.name, member.email, org.name AS org_name, coalesce(account.time_zone, org.time_zone) AS time_zone,
            account.is_platform_admin, session.last_used_at
        FROM sessions session
        JOIN users account ON account.id = session.user_id AND account.disabled_at IS NULL
        JOIN orgs org ON org.id = session.org_id AND org.status = 'active'
        JOIN memberships member ON member.org_id = session.org_id AND member.user_id = session.user_id
        WHERE session.token_hash = $1 AND session.expires_at > $2 AND session.last_used_at > $3
        "#,
    )
    .bind(token_hash)
    .bind(now)
    .bind(idle_since)
    .fetch_optional(db)
    .await?;
    Ok(found.map(|row| SignedIn {
        member: Member {
            org: row.org_id,
            user: row.user_id,
            role: row.role,
            visibility: row.visibility,
            spaces: row.spaces,
        },
        name: row.name,
        email: row.email,
        org_name: row.org_name,
        time_zone: row.time_zone,
        is_platform_admin: row.is_platform_admin,
        last_used_at: row.last_used_at,
    }))
}

/// Notes that a session is in use.
pub async fn touch(db: &mut PgConnection, token_hash: &[u8], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE sessions SET last_used_at = $2 WHERE token_hash = $1")
        .bind(token_hash)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Ends a session.
pub async fn delete(db: &mut PgConnection, token_hash: &[u8]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sessions WHERE token_hash = $1")
        .bind(token_hash)
        .execute(db)
        .await?;
    Ok(())
}
