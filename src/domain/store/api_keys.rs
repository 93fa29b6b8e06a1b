//! Keys of programs.

use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::id::{ApiKeyId, OrgId, UserId};

/// A key as it is checked.
#[derive(Debug, Clone, sqlx::FromRow)]
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
    /// Whose work it does.
    pub acts_as_user_id: Option<UserId>,
    /// Roughly when it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// The key whose secret has that hash, if it still opens an org that is served; asked as the platform.
pub async fn find_by_hash(
    db: &mut PgConnection,
    secret_hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<Option<ApiKey>> {
    sqlx::query_as(
        r#"
        SELECT key.id, key.org_id, key.prefix, key.secret_hash, key.scopes, key.acts_as_user_id, key.last_used_at
        FROM api_keys key
        JOIN orgs org ON org.id = key.org_id AND org.status = 'active'
        WHERE key.secret_hash = $1 AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > $2)
        "#,
    )
    .bind(secret_hash)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Keeps a key; asked as its org.
pub async fn insert(
    db: &mut PgConnection,
    org: OrgId,
    name: &str,
    prefix: &str,
    secret_hash: &[u8],
    scopes: &[String],
    acts_as: Option<UserId>,
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
    .bind(name)
    .bind(prefix)
    .bind(secret_hash)
    .bind(scopes)
    .bind(acts_as)
    .execute(db)
    .await?;
    Ok(id)
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
