//! Pipelines and their stages.

use sqlx::PgConnection;

use crate::{
    id::{OrgId, PipelineId, StageId},
    stage::{DefaultStage, Stage},
};

/// Every stage still offered, pipeline by pipeline, in order.
pub async fn list(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<Stage>> {
    sqlx::query_as(
        r#"
        SELECT id, pipeline_id, name, stage_order, probability::float8, colour, auto_nurture, sla_days, status_on_enter,
            is_default
        FROM pipeline_stages
        WHERE org_id = $1 AND archived_at IS NULL
        ORDER BY pipeline_id, stage_order
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

/// One stage, if it is still offered.
pub async fn find(db: &mut PgConnection, org: OrgId, id: StageId) -> sqlx::Result<Option<Stage>> {
    sqlx::query_as(
        r#"
        SELECT id, pipeline_id, name, stage_order, probability::float8, colour, auto_nurture, sla_days, status_on_enter,
            is_default
        FROM pipeline_stages
        WHERE org_id = $1 AND id = $2 AND archived_at IS NULL
        "#,
    )
    .bind(org)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Where new leads start.
pub async fn find_default(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Option<Stage>> {
    sqlx::query_as(
        r#"
        SELECT stage.id, stage.pipeline_id, stage.name, stage.stage_order, stage.probability::float8, stage.colour,
            stage.auto_nurture, stage.sla_days, stage.status_on_enter, stage.is_default
        FROM pipelines pipeline
        JOIN pipeline_stages stage ON stage.org_id = pipeline.org_id AND stage.pipeline_id = pipeline.id
        WHERE pipeline.org_id = $1 AND pipeline.is_default AND stage.is_default AND stage.archived_at IS NULL
        "#,
    )
    .bind(org)
    .fetch_optional(db)
    .await
}

/// Makes the default pipeline, unless there is one or somebody else is making it.
pub async fn insert_default_pipeline(
    db: &mut PgConnection,
    org: OrgId,
    name: &str,
) -> sqlx::Result<Option<PipelineId>> {
    sqlx::query_scalar(
        r#"
        INSERT INTO pipelines (id, org_id, name, is_default) VALUES ($1, $2, $3, true)
        ON CONFLICT (org_id) WHERE is_default DO NOTHING
        RETURNING id
        "#,
    )
    .bind(PipelineId::new())
    .bind(org)
    .bind(name)
    .fetch_optional(db)
    .await
}

/// Gives a new pipeline its stages; leads start in the first.
pub async fn insert(
    db: &mut PgConnection,
    org: OrgId,
    pipeline: PipelineId,
    stages: &[DefaultStage],
) -> sqlx::Result<()> {
    for (position, stage) in (1..).zip(stages) {
        sqlx::query(
            r#"
            INSERT INTO pipeline_stages (id, org_id, pipeline_id, name, stage_order, probability, colour, status_on_enter,
                is_default)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $5 = 1)
            "#,
        )
        .bind(StageId::new())
        .bind(org)
        .bind(pipeline)
        .bind(stage.name)
        .bind(position)
        .bind(stage.probability)
        .bind(stage.colour)
        .bind(stage.status_on_enter)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
