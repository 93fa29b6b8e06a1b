//! Say whom an org asks about its leads.

use serde_json::json;
use sqlx::PgConnection;

use super::CommandError;
use crate::{
    actor::Act,
    id::EnrichmentProviderId,
    store::{
        enrichment::{self, NewProvider},
        journal::{self, Entry},
    },
};

/// From now on the org asks this provider; asked as the org.
pub async fn connect_provider(
    db: &mut PgConnection,
    act: &Act,
    new: &NewProvider<'_>,
) -> Result<EnrichmentProviderId, CommandError> {
    let id = enrichment::connect(db, act.org, new).await?;
    let sealed_by = new.sealed.map(|(_, key_id)| key_id);
    let after = json!({"key": new.key, "priority": new.priority, "sealed_by": sealed_by});
    let entry = Entry::of("provider.connect", "enrichment_provider", id.uuid()).after(after);
    journal::write(db, act, entry).await?;
    Ok(id)
}

/// From now on the org does not ask this provider; asked as the org. `false` if there is none of that name.
pub async fn disconnect_provider(
    db: &mut PgConnection,
    act: &Act,
    key: &str,
) -> Result<bool, CommandError> {
    let Some(id) = enrichment::disconnect(db, act.org, key).await? else {
        return Ok(false);
    };
    let entry = Entry::of("provider.disconnect", "enrichment_provider", id.uuid())
        .after(json!({"key": key}));
    journal::write(db, act, entry).await?;
    Ok(true)
}
