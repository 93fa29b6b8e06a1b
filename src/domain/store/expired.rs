//! Forgetting what has expired, a little at a time.

use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::id::OrgId;

/// Deletes by `statement` what of `org` has expired at `now`, at most so many rows; how many those were.
pub(super) async fn forget(
    db: &mut PgConnection,
    statement: &'static str,
    org: OrgId,
    now: Timestamp,
    most: u64,
) -> sqlx::Result<u64> {
    let done = sqlx::query(statement)
        .bind(org)
        .bind(now)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
