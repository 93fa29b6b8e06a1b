//! Leads that somebody should come back to.

use sqlx::PgConnection;

use crate::{
    clock::Timestamp,
    contact::ContactMethod,
    id::{LeadId, OrgId, UserId},
    status::Status,
};

/// A lead to come back to.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Due {
    /// The lead.
    pub lead_id: LeadId,
    /// Its name.
    pub display_name: Option<String>,
    /// Its employer.
    pub company_name: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Its score.
    pub score_total: Option<i16>,
    /// The rep; none: nobody has it.
    pub assigned_to_user_id: Option<UserId>,
    /// When the rep wanted to; none: it was only not spoken to for long.
    pub next_follow_up_at: Option<Timestamp>,
    /// Last outbound contact.
    pub last_contacted_at: Option<Timestamp>,
    /// How that was.
    pub last_contact_method: Option<ContactMethod>,
}

/// At most `limit` open leads behind `after` whose follow-up is due at `now`, in the order of their ids; with
/// `silent_since`, also those that are being spoken to and were last spoken to before then.
///
/// Served by `leads_follow_up_due_ix` and `leads_last_contacted_idx`.
pub async fn due(
    db: &mut PgConnection,
    org: OrgId,
    now: Timestamp,
    silent_since: Option<Timestamp>,
    after: Option<LeadId>,
    limit: i64,
) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as(
        r#"
        SELECT id AS lead_id, display_name, company_name, status, score_total, assigned_to_user_id,
            CASE WHEN next_follow_up_at <= $2 THEN next_follow_up_at END AS next_follow_up_at, last_contacted_at,
            last_contact_method
        FROM leads
        WHERE org_id = $1 AND is_open AND deleted_at IS NULL AND NOT is_test AND ($4::uuid IS NULL OR id > $4)
            AND (next_follow_up_at <= $2
                OR ($3::timestamptz IS NOT NULL AND last_contacted_at < $3 AND status IN ('contacted', 'conversing')))
        ORDER BY id
        LIMIT $5
        "#,
    )
    .bind(org)
    .bind(now)
    .bind(silent_since)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}
