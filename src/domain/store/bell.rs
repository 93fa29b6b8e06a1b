//! What a person is told: the list behind the bell.

use serde_json::Value;
use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::id::{LeadId, NotificationId, OrgId, UserId};

/// One piece of news.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct News {
    /// Its id.
    pub id: NotificationId,
    /// `lead_hot`, `lead_assigned`, `follow_up_due`, …
    pub kind: String,
    /// One line.
    pub title: String,
    /// A little more.
    pub body: Option<String>,
    /// What it is about.
    pub lead_id: Option<LeadId>,
    /// The same for programs.
    pub data: Value,
    /// When.
    pub created_at: Timestamp,
    /// When it was read.
    pub read_at: Option<Timestamp>,
}

/// At most `limit` pieces of news for `user`, newest first, behind `after`.
///
/// Served by `notifications_user_ix` and `notifications_unread_ix`.
pub async fn list(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    unread_only: bool,
    after: Option<(Timestamp, NotificationId)>,
    limit: i64,
) -> sqlx::Result<Vec<News>> {
    let (at, id) = after.unzip();
    sqlx::query_as(
        r#"
        SELECT id, kind, title, body, lead_id, data, created_at, read_at
        FROM notifications
        WHERE org_id = $1 AND user_id = $2 AND (NOT $3 OR read_at IS NULL)
            AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5))
        ORDER BY created_at DESC, id DESC
        LIMIT $6
        "#,
    )
    .bind(org)
    .bind(user)
    .bind(unread_only)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Note that `user` has read it; the first time stays. Nothing if it is not there or not theirs.
pub async fn mark_read(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    id: NotificationId,
    now: Timestamp,
) -> sqlx::Result<Option<News>> {
    sqlx::query_as(
        r#"
        UPDATE notifications SET read_at = coalesce(read_at, $4)
        WHERE org_id = $1 AND user_id = $2 AND id = $3
        RETURNING id, kind, title, body, lead_id, data, created_at, read_at
        "#,
    )
    .bind(org)
    .bind(user)
    .bind(id)
    .bind(now)
    .fetch_optional(db)
    .await
}
