//! How an org scores, what a lead is scored by, and what it was given.

use sqlx::{PgConnection, types::Json};

use crate::{
    clock::Timestamp,
    id::{LeadId, OrgId, ScoreId, UserId},
    mql::MqlTrigger,
    score::{Band, Cause, Factor, Inputs, Rule, ScoringProfile},
};

/// The profile that scores.
pub async fn find_active_profile(
    db: &mut PgConnection,
    org: OrgId,
) -> sqlx::Result<Option<ScoringProfile>> {
    sqlx::query_as(
        r#"
        SELECT id, name, version, model, config, band_warm, band_hot
        FROM scoring_profiles
        WHERE org_id = $1 AND is_active
        "#,
    )
    .bind(org)
    .fetch_optional(db)
    .await
}

/// Whether the org is served and has a profile that scores.
pub async fn is_scored(db: &mut PgConnection, org: OrgId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        r#"
        SELECT EXISTS (SELECT FROM orgs WHERE id = $1 AND status = 'active')
            AND EXISTS (SELECT FROM scoring_profiles WHERE org_id = $1 AND is_active)
        "#,
    )
    .bind(org)
    .fetch_one(db)
    .await
}

/// Keeps a new version and lets it score from now on; the one before stays for the record.
pub async fn activate_profile(
    db: &mut PgConnection,
    org: OrgId,
    profile: &ScoringProfile,
    by: Option<UserId>,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE scoring_profiles SET is_active = false WHERE org_id = $1 AND is_active")
        .bind(org)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        r#"
        INSERT INTO scoring_profiles (id, org_id, name, version, model, config, band_warm, band_hot, is_active,
            activated_at, created_by_user_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, true, $9, $10)
        "#,
    )
    .bind(profile.id)
    .bind(org)
    .bind(&profile.name)
    .bind(&profile.version)
    .bind(profile.model)
    .bind(Json(&profile.config))
    .bind(profile.band_warm)
    .bind(profile.band_hot)
    .bind(at)
    .bind(by)
    .execute(db)
    .await?;
    Ok(())
}

/// The org's own rules, oldest first.
pub async fn rules(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<Rule>> {
    sqlx::query_as(
        r#"
        SELECT id, name, criteria_type, condition, value, points
        FROM scoring_rules
        WHERE org_id = $1 AND is_active
        ORDER BY id
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

/// The thresholds that make a lead marketing qualified.
pub async fn mql_triggers(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<MqlTrigger>> {
    sqlx::query_as("SELECT metric, threshold FROM mql_triggers WHERE org_id = $1 AND is_active ORDER BY metric")
        .bind(org)
        .fetch_all(db)
        .await
}

/// Gives a new org its thresholds.
pub async fn insert_mql_triggers(
    db: &mut PgConnection,
    org: OrgId,
    triggers: &[MqlTrigger],
) -> sqlx::Result<()> {
    let (metrics, thresholds): (Vec<_>, Vec<_>) =
        triggers.iter().map(|t| (t.metric, t.threshold)).unzip();
    sqlx::query(
        r#"
        INSERT INTO mql_triggers (org_id, metric, threshold)
        SELECT $1, metric, threshold FROM unnest($2::text[], $3::int[]) AS given (metric, threshold)
        ON CONFLICT (org_id, metric) DO NOTHING
        "#,
    )
    .bind(org)
    .bind(metrics)
    .bind(thresholds)
    .execute(db)
    .await?;
    Ok(())
}

/// What one lead is scored by.
pub async fn find_inputs(
    db: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
) -> sqlx::Result<Option<Inputs>> {
    sqlx::query_as(
        r#"
        SELECT coalesce(behaviour.website_visits, 0) AS website_visits,
            coalesce(behaviour.content_downloads, 0) AS content_downloads, coalesce(behaviour.email_opens, 0) AS email_opens,
            coalesce(behaviour.email_clicks, 0) AS email_clicks, coalesce(behaviour.demo_requested, false) AS demo_requested,
            lead.enrollment, company.employees, company.company_size, company.industry, company.website,
            lead.source_category, source.quality_points AS source_points, lead.capture_channel, lead.status,
            lead.estimated_value_minor, lead.first_name, lead.last_name, lead.email, lead.phone, lead.company_name,
            lead.job_title, lead.linkedin_url, lead.source_url, lead.country, lead.state, lead.tags, lead.custom_fields
        FROM leads lead
        LEFT JOIN lead_behaviour behaviour ON behaviour.org_id = lead.org_id AND behaviour.lead_id = lead.id
        LEFT JOIN companies company ON company.org_id = lead.org_id AND company.id = lead.company_id
        LEFT JOIN lead_sources source ON source.org_id = lead.org_id AND source.id = lead.source_id
        WHERE lead.org_id = $1 AND lead.id = $2 AND lead.deleted_at IS NULL
        "#,
    )
    .bind(org)
    .bind(lead)
    .fetch_optional(db)
    .await
}

/// A score to be kept.
#[derive(Debug, Clone)]
pub struct NewScore<'a> {
    /// The lead.
    pub lead: LeadId,
    /// 0 to 100.
    pub total: i16,
    /// Its band.
    pub band: Band,
    /// The one before.
    pub previous: Option<i16>,
    /// The profile that gave it.
    pub profile: &'a ScoringProfile,
    /// Its reasons.
    pub factors: &'a [Factor],
    /// What caused it.
    pub cause: Cause,
    /// Fingerprint of the inputs.
    pub hash: &'a [u8],
    /// When.
    pub at: Timestamp,
}

/// Keeps a score for good and shows it on the lead, which is locked.
pub async fn insert(db: &mut PgConnection, org: OrgId, new: &NewScore<'_>) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        WITH shown AS (
            UPDATE leads SET score_total = $4, score_band = $5, score_version = $7, score_hash = $10, score_updated_at = $11
            WHERE org_id = $1 AND id = $3
        )
        INSERT INTO lead_scores (id, org_id, lead_id, score, band, previous_score, version, profile_id, factors, trigger,
            input_hash, computed_at)
        VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9, $12, $10, $11)
        "#,
    )
    .bind(org)
    .bind(ScoreId::new())
    .bind(new.lead)
    .bind(new.total)
    .bind(new.band)
    .bind(new.previous)
    .bind(&new.profile.version)
    .bind(new.profile.id)
    .bind(Json(new.factors))
    .bind(new.hash)
    .bind(new.at)
    .bind(new.cause)
    .execute(db)
    .await?;
    Ok(())
}
