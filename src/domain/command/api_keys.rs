//! Hand out keys to programs, and take them back.

use serde_json::json;
use sqlx::PgConnection;

use super::CommandError;
use crate::{
    actor::Act,
    id::ApiKeyId,
    store::{
        api_keys::{self, NewApiKey},
        journal::{self, Entry},
    },
};

/// Keeps a key by its hash; asked as its org.
pub async fn create_api_key(
    db: &mut PgConnection,
    act: &Act,
    new: &NewApiKey<'_>,
) -> Result<ApiKeyId, CommandError> {
    let id = api_keys::insert(db, act.org, new).await?;
    let after = json!({
        "name": new.name,
        "prefix": new.prefix,
        "scopes": new.scopes,
        "acts_as": new.acts_as,
    });
    let entry = Entry::of("api_key.create", "api_key", id.uuid()).after(after);
    journal::write(db, act, entry).await?;
    Ok(id)
}

/// From now on the key opens nothing; asked as its org. `false` if it opened nothing already.
pub async fn revoke_api_key(
    db: &mut PgConnection,
    act: &Act,
    id: ApiKeyId,
) -> Result<bool, CommandError> {
    if !api_keys::revoke(db, act.org, id, act.at).await? {
        return Ok(false);
    }
    let entry = Entry::of("api_key.revoke", "api_key", id.uuid())
        .changed(json!({"revoked": false}), json!({"revoked": true}));
    journal::write(db, act, entry).await?;
    Ok(true)
}
