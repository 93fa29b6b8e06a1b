//! What happened to a lead and what it was scored, page by page, newest first.

use serde_json::Value;
use sqlx::PgConnection;

use crate::activity::Activity;
use crate::clock::Timestamp;
use crate::id::{ActivityId, LeadId, OrgId, ScoreId};
use crate::score::Band;

/// At most `limit` entries of the timeline, behind `after`.
///
/// Served by `activities_lead_ix`.
pub async fn activities(
    db: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
    after: Option<(Timestamp, ActivityId)>,
    limit: i64,
) -> sqlx::Result<Vec<Activity>> {
    let (at, id) = after.unzip();
    sqlx::query_as(
        r#"
        SELECT activity.id, activity.lead_id, activity.user_id, member.name AS user_name, activity.activity_type,
            activity.description, activity.activity_data, activity.occurred_at
        FROM activities activity
        LEFT JOIN memberships member ON member.org_id = activity.org_id AND member.user_id = activity.user_id
        WHERE activity.org_id = $1 AND activity.lead_id = $2
            AND ($3::timestamptz IS NULL OR (activity.occurred_at, activity.id) < ($3, $4))
        ORDER BY activity.occurred_at DESC, activity.id DESC
        LIMIT $5
        "#,
    )
    .bind(org)
    .bind(lead)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// A score a lead was given.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GivenScore {
    /// Its id.
    pub id: ScoreId,
    /// The result, 0 to 100.
    pub score: i16,
    /// How it reads.
    pub band: Band,
    /// The score before.
    pub previous_score: Option<i16>,
    /// Version of the profile.
    pub version: String,
    /// What it is made of.
    pub factors: Value,
    /// What caused the calculation.
    pub trigger: String,
    /// When.
    pub computed_at: Timestamp,
}

/// At most `limit` scores of a lead, behind `after`.
///
/// Served by the primary key.
pub async fn scores(
    db: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
    after: Option<(Timestamp, ScoreId)>,
    limit: i64,
) -> sqlx::Result<Vec<GivenScore>> {
    let (at, id) = after.unzip();
    sqlx::query_as(
        r#"
        SELECT id, score, band, previous_score, version, factors, trigger, computed_at
        FROM lead_scores
        WHERE org_id = $1 AND lead_id = $2 AND ($3::timestamptz IS NULL OR (computed_at, id) < ($3, $4))
        ORDER BY computed_at DESC, id DESC
        LIMIT $5
        "#,
    )
    .bind(org)
    .bind(lead)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await
}
