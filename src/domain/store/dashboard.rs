//! The figures of a rep's day and of where leads come from; deleted and test leads are left out.

use chrono::TimeDelta;
use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    clock::Timestamp,
    id::{OrgId, UserId},
    lead::SourceCategory,
};

/// A rep's leads in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct MyDay {
    /// All that are theirs.
    pub my_leads: i64,
    /// Theirs, known well enough to be written to.
    pub ready_for_outreach: i64,
    /// Theirs, answering.
    pub in_conversation: i64,
    /// Theirs, spoken to, then silent for a week.
    pub follow_ups_due: i64,
    /// Theirs, with a date set that has come.
    pub dates_due: i64,
    /// Theirs, not spoken to for thirty days.
    pub stale: i64,
    /// Theirs, never spoken to.
    pub never_contacted: i64,
    /// Theirs, contacted three times and more without an answer.
    pub no_response: i64,
}

/// The numbers of `user`.
///
/// Served by `leads_assigned_to_idx`.
pub async fn my_day(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    now: Timestamp,
) -> sqlx::Result<MyDay> {
    sqlx::query_as(
        r#"
        SELECT count(*) AS my_leads,
            count(*) FILTER (WHERE status = 'enriched') AS ready_for_outreach,
            count(*) FILTER (WHERE status = 'conversing') AS in_conversation,
            count(*) FILTER (WHERE last_contacted_at < $3 AND status IN ('contacted', 'conversing')) AS follow_ups_due,
            count(*) FILTER (WHERE next_follow_up_at <= $5 AND is_open) AS dates_due,
            count(*) FILTER (WHERE last_contacted_at < $4) AS stale,
            count(*) FILTER (WHERE last_contacted_at IS NULL) AS never_contacted,
            count(*) FILTER (WHERE contact_count >= 3 AND status = 'contacted') AS no_response
        FROM leads
        WHERE org_id = $1 AND assigned_to_user_id = $2 AND deleted_at IS NULL AND NOT is_test
        "#,
    )
    .bind(org)
    .bind(user)
    .bind(now - TimeDelta::days(7))
    .bind(now - TimeDelta::days(30))
    .bind(now)
    .fetch_one(db)
    .await
}

/// What came by one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct SourceTotals {
    /// How they were won.
    pub source: SourceCategory,
    /// How many.
    pub count: i64,
    /// How many of them became customers.
    pub won: i64,
    /// Their deal value, in cents or pence.
    pub value: i64,
}

/// Every category that brought leads, most first.
pub async fn by_source(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<SourceTotals>> {
    sqlx::query_as(
        r#"
        SELECT source_category AS source, count(*) AS count, count(*) FILTER (WHERE is_won) AS won,
            coalesce(sum(estimated_value_minor), 0)::bigint AS value
        FROM leads
        WHERE org_id = $1 AND deleted_at IS NULL AND NOT is_test
        GROUP BY source_category
        ORDER BY count(*) DESC, source_category
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}
