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

/// One piece of news about to be told.
#[derive(Debug, Clone)]
pub struct NewNews<'a> {
    /// Whom.
    pub user: UserId,
    /// `lead_hot`, `lead_assigned`, `follow_up_due`, …
    pub kind: &'a str,
    /// One line.
    pub title: String,
    /// A little more.
    pub body: Option<String>,
    /// What it is about.
    pub lead: Option<LeadId>,
    /// The same for programs.
    pub data: Value,
    /// The same news again has the same key.
    pub dedupe_key: String,
    /// When.
    pub at: Timestamp,
}

/// Tells people; what they were told before they are not told again. Answers who heard something new.
pub async fn insert(
    db: &mut PgConnection,
    org: OrgId,
    news: &[NewNews<'_>],
) -> sqlx::Result<Vec<UserId>> {
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let column = |of: fn(&NewNews<'_>) -> Option<String>| news.iter().map(of).collect::<Vec<_>>();
    sqlx::query_scalar(
        r#"
        WITH told AS (
            INSERT INTO notifications (id, org_id, user_id, kind, title, body, lead_id, data, dedupe_key, created_at)
            SELECT id, $1, user_id, kind, title, body, lead_id, data, dedupe_key, created_at
            FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::jsonb[], $9::text[],
                $10::timestamptz[]) AS given (id, user_id, kind, title, body, lead_id, data, dedupe_key, created_at)
            ON CONFLICT (org_id, user_id, dedupe_key) DO NOTHING
            RETURNING user_id
        )
        SELECT DISTINCT user_id FROM told
        "#,
    )
    .bind(org)
    .bind(news.iter().map(|_| NotificationId::new()).collect::<Vec<_>>())
    .bind(news.iter().map(|new| new.user).collect::<Vec<_>>())
    .bind(news.iter().map(|new| new.kind).collect::<Vec<_>>())
    .bind(column(|new| Some(new.title.clone())))
    .bind(column(|new| new.body.clone()))
    .bind(news.iter().map(|new| new.lead).collect::<Vec<_>>())
    .bind(news.iter().map(|new| &new.data).collect::<Vec<_>>())
    .bind(column(|new| Some(new.dedupe_key.clone())))
    .bind(news.iter().map(|new| new.at).collect::<Vec<_>>())
    .fetch_all(db)
    .await
}

/// When a person was told the news of this key, and which score they named.
pub async fn told(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    dedupe_key: &str,
) -> sqlx::Result<Option<(Timestamp, Option<i16>)>> {
    sqlx::query_as(
        r#"
        SELECT created_at, (data ->> 'score')::smallint
        FROM notifications
        WHERE org_id = $1 AND user_id = $2 AND dedupe_key = $3
        "#,
    )
    .bind(org)
    .bind(user)
    .bind(dedupe_key)
    .fetch_optional(db)
    .await
}

/// The channel on which open pages hear that somebody has news or that a lead was changed; the payload names org and person,
/// or org and lead, nothing else.
pub const CHANNEL: &str = "leadmill_notifications";

/// Lets open pages of these people know that they have news; for after the commit.
pub async fn ring(db: &mut PgConnection, org: OrgId, users: &[UserId]) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        SELECT pg_notify($1, json_build_object('org', $2::text, 'user', told::text)::text)
        FROM unnest($3::uuid[]) AS told
        "#,
    )
    .bind(CHANNEL)
    .bind(org.to_string())
    .bind(users.iter().map(|user| user.uuid()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// Lets open pages of `lead` know that it was changed; for after the commit.
///
/// A page that does not hear it finds out by itself, so the word need not survive a crash.
pub async fn lead_changed(db: &mut PgConnection, org: OrgId, lead: LeadId) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        SELECT set_config('synchronous_commit', 'off', true),
            pg_notify($1, json_build_object('org', $2::text, 'lead', $3::text)::text)
        "#,
    )
    .bind(CHANNEL)
    .bind(org.to_string())
    .bind(lead.to_string())
    .execute(db)
    .await?;
    Ok(())
}

/// Lets open pages of leads of `org` know that some were changed; heard when the transaction of `db` commits.
pub async fn leads_changed(db: &mut PgConnection, org: OrgId) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_notify($1, json_build_object('org', $2::text, 'lead', NULL)::text)")
        .bind(CHANNEL)
        .bind(org.to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// When a lead was last edited, and its score: being scored is no edit.
pub type State = (Timestamp, Option<i16>);

/// How a lead is, if the transaction sees it.
pub async fn lead_state(
    db: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
) -> sqlx::Result<Option<State>> {
    sqlx::query_as(
        "SELECT updated_at, score_total FROM leads WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL",
    )
    .bind(org)
    .bind(lead)
    .fetch_optional(db)
    .await
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

/// Notes that `user` has read it; the first time stays. Nothing if it is not there or not theirs.
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

/// How many pieces of news `user` has not read, counted up to `most`.
pub async fn unread(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    most: i64,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        r#"
        SELECT count(*)
        FROM (SELECT FROM notifications WHERE org_id = $1 AND user_id = $2 AND read_at IS NULL LIMIT $3) unread
        "#,
    )
    .bind(org)
    .bind(user)
    .bind(most)
    .fetch_one(db)
    .await
}

/// Notes that `user` has read everything there is.
pub async fn mark_all_read(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    now: Timestamp,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "UPDATE notifications SET read_at = $3 WHERE org_id = $1 AND user_id = $2 AND read_at IS NULL",
    )
    .bind(org)
    .bind(user)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
