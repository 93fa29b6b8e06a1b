//! Let a person in by a link.

use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::id::UserId;
use crate::session::{LINK_LIFETIME, new_token, token_hash};
use crate::store::sessions;

/// Makes a link that signs `user` in once; returns the token that stands in it. Asked as the platform.
pub async fn new_sign_in_link(
    db: &mut PgConnection,
    user: UserId,
    now: Timestamp,
) -> sqlx::Result<String> {
    let token = new_token();
    sessions::insert_link(db, &token_hash(&token), user, now, now + LINK_LIFETIME).await?;
    Ok(token)
}
