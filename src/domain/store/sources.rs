//! Named sources of leads.

use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    id::{OrgId, SourceId},
    lead::SourceCategory,
};

/// A source as the org names it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Source {
    /// Its id.
    pub id: SourceId,
    /// Its name.
    pub name: String,
    /// What category it counts as.
    pub category: SourceCategory,
}

/// The sources still offered, by name.
pub async fn list(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<Source>> {
    sqlx::query_as(
        "SELECT id, name, category FROM lead_sources WHERE org_id = $1 AND is_active ORDER BY name",
    )
    .bind(org)
    .fetch_all(db)
    .await
}

/// Makes a source, unless there is one of that name.
pub async fn ensure(
    db: &mut PgConnection,
    org: OrgId,
    name: &str,
    category: SourceCategory,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO lead_sources (id, org_id, name, type, category) VALUES ($1, $2, $3, $4, $4)
        ON CONFLICT (org_id, name) DO NOTHING
        "#,
    )
    .bind(SourceId::new())
    .bind(org)
    .bind(name)
    .bind(category)
    .execute(db)
    .await?;
    Ok(())
}
