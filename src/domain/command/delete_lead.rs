//! Put a lead out of sight.

use sqlx::PgConnection;

use super::{CommandError, lock};
use crate::{
    actor::Act,
    id::LeadId,
    store::{
        journal::{self, Entry},
        leads,
    },
};

/// Hides a lead everywhere; its history stays, and its address may be captured again.
pub async fn soft_delete_lead(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
) -> Result<(), CommandError> {
    let lead = lock(db, act, lead).await?;
    leads::soft_delete(db, act.org, lead.id, act.actor.user(), act.at).await?;
    let entry = Entry::of_lead("lead.delete", lead.id)
        .changed(
            serde_json::json!({"deleted": false}),
            serde_json::json!({"deleted": true}),
        )
        .event("lead.deleted", serde_json::json!({}));
    journal::write(db, act, entry).await?;
    Ok(())
}
