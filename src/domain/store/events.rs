//! Events of many leads at once.

use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use crate::{
    clock::Timestamp,
    id::{EventId, LeadId, OrgId},
};

/// Writes one event per lead.
pub async fn insert_many(
    db: &mut PgConnection,
    org: OrgId,
    name: &str,
    events: &[(LeadId, Value)],
    at: Timestamp,
) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = events.iter().map(|_| EventId::new()).collect();
    let (leads, payloads): (Vec<_>, Vec<_>) = events
        .iter()
        .map(|(lead, payload)| (*lead, Json(payload)))
        .unzip();
    sqlx::query(
        r#"
        INSERT INTO domain_events (id, org_id, type, lead_id, payload, occurred_at)
        SELECT id, $1, $2, lead_id, payload, $3
        FROM unnest($4::uuid[], $5::uuid[], $6::jsonb[]) AS given (id, lead_id, payload)
        "#,
    )
    .bind(org)
    .bind(name)
    .bind(at)
    .bind(ids)
    .bind(leads)
    .bind(payloads)
    .execute(db)
    .await?;
    Ok(())
}
