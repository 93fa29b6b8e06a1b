//! Keys of programs.

use serde::Serialize;
use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::id::{ApiKeyId, OrgId, SpaceId, UserId};
use crate::key_scope::Scope;
use crate::member::{Member, Role};
use crate::org::Visibility;

/// A key as it is checked.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The org it opens.
    pub org_id: OrgId,
    /// Its first letters.
    pub prefix: String,
    /// Hash of its secret.
    pub secret_hash: Vec<u8>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whose work it does; it sees what they see.
    pub acts_as: Option<Member>,
    /// Whether that person runs the platform, not only an org on it.
    pub operator: bool,
    /// Roughly when it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// The key whose secret has that hash, if it still opens an org that is served, and whoever it acts for still works
/// there; asked as the platform.
pub async fn find_by_hash(
    db: &mut PgConnection,
    secret_hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<Option<ApiKey>> {
    #[derive(sqlx::FromRow)]
    struct Row {
        id: ApiKeyId,
        org_id: OrgId,
        prefix: String,
        secret_hash: Vec<u8>,
        scopes: Vec<String>,
        last_used_at: Option<Timestamp>,
        acts_as_user_id: Option<UserId>,
        role: Option<Role>,
        operator: bool,
        visibility: Visibility,
        spaces: Vec<SpaceId>,
    }
    let found: Option<Row> = sqlx::query_as(
        r#"
        SELECT key.id, key.org_id, key.prefix, key.secret_hash, key.scopes, key.last_used_at, key.acts_as_user_id,
            member.role, coalesce(account.is_platform_admin, false) AS operator, org.lead_visibility AS visibility,
            ARRAY(SELECT space_id FROM space_members
                WHERE org_id = key.org_id AND user_id = key.acts_as_user_id) AS spaces
        FROM api_keys key
        JOIN orgs org ON org.id = key.org_id AND org.status = 'active'
        LEFT JOIN users account ON account.id = key.acts_as_user_id AND account.disabled_at IS NULL
        LEFT JOIN memberships member ON member.org_id = key.org_id AND member.user_id = account.id
        WHERE key.secret_hash = $1 AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > $2)
            AND (key.acts_as_user_id IS NULL OR member.user_id IS NOT NULL)
        "#,
    )
    .bind(secret_hash)
    .bind(now)
    .fetch_optional(db)
    .await?;
    Ok(found.map(|row| ApiKey {
        acts_as: row
            .acts_as_user_id
            .zip(row.role)
            .map(|(user, role)| Member {
                org: row.org_id,
                user,
                role,
                visibility: row.visibility,
                spaces: row.spaces,
            }),
        id: row.id,
        org_id: row.org_id,
        prefix: row.prefix,
        secret_hash: row.secret_hash,
        scopes: row.scopes,
        operator: row.operator,
        last_used_at: row.last_used_at,
    }))
}

/// A key about to be kept.
#[derive(Debug, Clone)]
pub struct NewApiKey<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// Its first letters.
    pub prefix: &'a str,
    /// Hash of its secret.
    pub secret_hash: &'a [u8],
    /// What it may do.
    pub scopes: &'a [Scope],
    /// Whose work it does; nobody's if there is none.
    pub acts_as: Option<UserId>,
}

/// Keeps a key; asked as its org.
pub async fn insert(
    db: &mut PgConnection,
    org: OrgId,
    new: &NewApiKey<'_>,
) -> sqlx::Result<ApiKeyId> {
    let id = ApiKeyId::new();
    sqlx::query(
        r#"
        INSERT INTO api_keys (id, org_id, name, prefix, secret_hash, scopes, acts_as_user_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        "#,
    )
    .bind(id)
    .bind(org)
    .bind(new.name)
    .bind(new.prefix)
    .bind(new.secret_hash)
    .bind(new.scopes)
    .bind(new.acts_as)
    .execute(db)
    .await?;
    Ok(id)
}

/// A key as its org's people see it: by its first letters.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct ListedKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What its owner calls it.
    pub name: String,
    /// Its first letters.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Where the person whose work it does is written to.
    pub acts_as: Option<String>,
    /// Roughly when it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Since when it opens nothing.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Every key of the org, the oldest first; asked as the org.
pub async fn list(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<ListedKey>> {
    sqlx::query_as(
        r#"
        SELECT key.id, key.name, key.prefix, key.scopes, member.email AS acts_as, key.last_used_at, key.revoked_at,
            key.created_at
        FROM api_keys key
        LEFT JOIN memberships member ON member.org_id = key.org_id AND member.user_id = key.acts_as_user_id
        WHERE key.org_id = $1
        ORDER BY key.created_at, key.id
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

/// From `now` on the key opens nothing; asked as its org. `false` if it opened nothing already.
pub async fn revoke(
    db: &mut PgConnection,
    org: OrgId,
    id: ApiKeyId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE api_keys SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL",
    )
    .bind(org)
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Remembers that the key was used.
pub async fn touch(
    db: &mut PgConnection,
    org: OrgId,
    id: ApiKeyId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE api_keys SET last_used_at = $3 WHERE org_id = $1 AND id = $2")
        .bind(org)
        .bind(id)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}
