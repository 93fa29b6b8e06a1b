//! Addresses an org must not write to.

use sqlx::PgConnection;

use crate::{
    clock::Timestamp,
    id::{MessageId, OrgId},
    normalise,
    text::text_enum,
};

text_enum! {
    /// What an address must not get.
    Scope {
        /// Mail it may unsubscribe from.
        Marketing = "marketing",
        /// Anything.
        All = "all",
    }
}

text_enum! {
    /// Why.
    Reason {
        /// It asked.
        Unsubscribe = "unsubscribe",
        /// It does not exist.
        HardBounce = "hard_bounce",
        /// It refused too often.
        SoftBounceLimit = "soft_bounce_limit",
        /// It called a mail spam.
        Complaint = "complaint",
        /// Somebody of the org said so.
        Manual = "manual",
        /// It stood in a list.
        Import = "import",
        /// It cannot exist.
        Invalid = "invalid",
        /// Its owner was forgotten.
        Erased = "erased",
    }
}

/// Suppresses an address and calls off what waits for it; `false` if it was suppressed before.
pub async fn insert(
    db: &mut PgConnection,
    org: OrgId,
    email: &str,
    scope: Scope,
    reason: Reason,
    message: Option<MessageId>,
    at: Timestamp,
) -> sqlx::Result<bool> {
    let email = normalise::address(email);
    let done = sqlx::query(
        r#"
        INSERT INTO suppressions (org_id, email_norm, stream, reason, message_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (org_id, email_norm, stream) DO NOTHING
        "#,
    )
    .bind(org)
    .bind(&email)
    .bind(scope)
    .bind(reason)
    .bind(message)
    .bind(at)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        r#"
        UPDATE email_messages SET state = 'cancelled', last_error = 'the address was suppressed'
        WHERE org_id = $1 AND to_norm = $2 AND state IN ('queued', 'deferred')
            AND ($3 = 'all' OR stream = 'marketing')
        "#,
    )
    .bind(org)
    .bind(&email)
    .bind(scope)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
