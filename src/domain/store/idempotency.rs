//! What was answered to requests that may be sent again.

use chrono::TimeDelta;
use serde_json::Value;
use sqlx::PgConnection;

use super::expired;
use crate::clock::Timestamp;
use crate::id::OrgId;

/// How long an answer is remembered.
const KEPT: TimeDelta = TimeDelta::days(1);

/// What is known about a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// Never seen: do the work, then [`finish`] in the same transaction.
    New,
    /// This very request was answered: answer the same.
    Answered {
        /// HTTP status.
        status: u16,
        /// Body.
        response: Value,
    },
    /// The key came with another request.
    Other,
}

/// Claims a key; whoever sends the same one meanwhile waits for this transaction.
pub async fn begin(
    db: &mut PgConnection,
    org: OrgId,
    scope: &str,
    key: &str,
    request_hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<Begun> {
    let claimed = sqlx::query(
        r#"
        INSERT INTO idempotency_keys (org_id, scope, key, request_hash, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (org_id, scope, key) DO UPDATE
            SET request_hash = excluded.request_hash, status = NULL, response = NULL,
                created_at = excluded.created_at, expires_at = excluded.expires_at
            WHERE idempotency_keys.expires_at <= excluded.created_at
        "#,
    )
    .bind(org)
    .bind(scope)
    .bind(key)
    .bind(request_hash)
    .bind(now)
    .bind(now + KEPT)
    .execute(&mut *db)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(Begun::New);
    }
    let (hash, status, response): (Vec<u8>, Option<i32>, Option<Value>) = sqlx::query_as(
        r#"
        SELECT request_hash, status, response
        FROM idempotency_keys
        WHERE org_id = $1 AND scope = $2 AND key = $3
        "#,
    )
    .bind(org)
    .bind(scope)
    .bind(key)
    .fetch_one(db)
    .await?;
    let status = status.and_then(|status| u16::try_from(status).ok());
    Ok(match (status, response) {
        (Some(status), Some(response)) if hash == request_hash => {
            Begun::Answered { status, response }
        }
        _ => Begun::Other,
    })
}

/// Forgets answers that have expired, at most so many; how many those were.
pub async fn forget(
    db: &mut PgConnection,
    org: OrgId,
    now: Timestamp,
    most: u64,
) -> sqlx::Result<u64> {
    const EXPIRED: &str = r#"
        DELETE FROM idempotency_keys
        WHERE org_id = $1 AND (scope, key) IN (
            SELECT scope, key FROM idempotency_keys WHERE org_id = $1 AND expires_at <= $2 LIMIT $3)
            AND expires_at <= $2
    "#;
    expired::forget(db, EXPIRED, org, now, most).await
}

/// Remembers the answer.
pub async fn finish(
    db: &mut PgConnection,
    org: OrgId,
    scope: &str,
    key: &str,
    status: u16,
    response: &Value,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE idempotency_keys SET status = $4, response = $5 WHERE org_id = $1 AND scope = $2 AND key = $3")
        .bind(org)
        .bind(scope)
        .bind(key)
        .bind(i32::from(status))
        .bind(response)
        .execute(db)
        .await?;
    Ok(())
}
