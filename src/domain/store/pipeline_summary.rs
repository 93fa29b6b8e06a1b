//! The figures of an org's pipeline.

use sqlx::PgConnection;

use crate::id::{OrgId, StageId};

/// All leads of an org in a few numbers; deleted and test leads are left out.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Totals {
    /// All leads.
    pub total: i64,
    /// Those still worked on.
    pub active: i64,
    /// Those that became customers.
    pub won: i64,
    /// Those that were lost.
    pub lost: i64,
    /// Deal value of those still worked on, in cents or pence.
    pub total_pipeline_value: i64,
    /// The same, each by the chance of its stage.
    pub weighted_pipeline_value: i64,
    /// Of a hundred leads, how many were won; one decimal.
    pub conversion_rate: f64,
    /// Average score, one decimal; none if nothing was scored.
    pub avg_score: Option<f64>,
}

/// One stage, or the leads that are in none.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct StageTotals {
    /// The stage; none for leads without one.
    pub stage_id: Option<StageId>,
    /// Its name.
    pub stage_name: Option<String>,
    /// Leads in it.
    pub count: i64,
    /// Their deal value, in cents or pence.
    pub value: i64,
}

/// The totals of `org`.
pub async fn totals(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Totals> {
    sqlx::query_as(
        r#"
        SELECT count(*) AS total,
            count(*) FILTER (WHERE lead.is_open) AS active,
            count(*) FILTER (WHERE lead.is_won) AS won,
            count(*) FILTER (WHERE lead.status = 'lost') AS lost,
            coalesce(sum(lead.estimated_value_minor) FILTER (WHERE lead.is_open), 0)::bigint AS total_pipeline_value,
            coalesce(round(sum(lead.estimated_value_minor * stage.probability / 100.0) FILTER (WHERE lead.is_open)), 0)::bigint
                AS weighted_pipeline_value,
            coalesce(round(100.0 * count(*) FILTER (WHERE lead.is_won) / nullif(count(*), 0), 1), 0)::float8 AS conversion_rate,
            round(avg(lead.score_total), 1)::float8 AS avg_score
        FROM leads lead
        LEFT JOIN pipeline_stages stage ON stage.org_id = lead.org_id AND stage.id = lead.stage_id
        WHERE lead.org_id = $1 AND lead.deleted_at IS NULL AND NOT lead.is_test
        "#,
    )
    .bind(org)
    .fetch_one(db)
    .await
}

/// All stages in order, empty ones too, and last the leads that are in none if there are any.
pub async fn by_stage(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<StageTotals>> {
    sqlx::query_as(
        r#"
        WITH counted AS (
            SELECT stage_id, count(*) AS count, coalesce(sum(estimated_value_minor), 0)::bigint AS value
            FROM leads
            WHERE org_id = $1 AND deleted_at IS NULL AND NOT is_test
            GROUP BY stage_id
        )
        SELECT stage.id AS stage_id, stage.name AS stage_name, coalesce(counted.count, 0) AS count,
            coalesce(counted.value, 0) AS value
        FROM (SELECT id, name, pipeline_id, stage_order FROM pipeline_stages WHERE org_id = $1) stage
        FULL JOIN counted ON counted.stage_id = stage.id
        ORDER BY stage.pipeline_id NULLS LAST, stage.stage_order
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}
