//! The inbox: everything that came in, committed before its sender is answered.

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::capture::OnDuplicate;
use crate::clock::Timestamp;
use crate::id::{ChannelId, FormId, IntakeEventId, LeadId, OrgId, SpaceId};
use crate::submission::{IntakeState, Submission};

/// Something that came in.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// The id its sender is told.
    pub id: IntakeEventId,
    /// The org it is for.
    pub org: OrgId,
    /// The channel it came by.
    pub channel: Option<ChannelId>,
    /// The form it came by.
    pub form: Option<FormId>,
    /// `trpc`, `form`, …
    pub provider: &'a str,
    /// The same submission again has the same key.
    pub dedupe_key: &'a str,
    /// Content type of the body.
    pub content_type: Option<&'a str>,
    /// Headers worth keeping.
    pub headers: Value,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// What was understood of it.
    pub submission: &'a Submission,
    /// Whose request it was.
    pub remote_ip: String,
    /// Kept, and nothing made of it.
    pub spam: bool,
    /// When it came in.
    pub received_at: Timestamp,
}

/// Whether `org` is there and takes leads.
pub async fn is_served(db: &mut PgConnection, org: OrgId) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM orgs WHERE id = $1 AND status = 'active')")
        .bind(org)
        .fetch_one(db)
        .await
}

/// Keeps an event; `false` if one of the same key is there already.
pub async fn insert(db: &mut PgConnection, event: &NewEvent<'_>) -> sqlx::Result<bool> {
    let result = sqlx::query(
        r#"
        INSERT INTO intake_events (id, org_id, channel_id, form_id, provider, dedupe_key, content_type, headers, body,
            submission, remote_ip, state, received_at, processed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, CASE WHEN $12 = 'spam' THEN $13::timestamptz END)
        ON CONFLICT (org_id, provider, dedupe_key) DO NOTHING
        "#,
    )
    .bind(event.id)
    .bind(event.org)
    .bind(event.channel)
    .bind(event.form)
    .bind(event.provider)
    .bind(event.dedupe_key)
    .bind(event.content_type)
    .bind(&event.headers)
    .bind(event.body)
    .bind(Json(event.submission))
    .bind(&event.remote_ip)
    .bind(state_of(event))
    .bind(event.received_at)
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Keep events of one org in one statement, less those whose key is there already; gives the ids of those that were new.
pub async fn insert_many(
    db: &mut PgConnection,
    org: OrgId,
    events: &[&NewEvent<'_>],
) -> sqlx::Result<Vec<IntakeEventId>> {
    let column = || events.iter();
    sqlx::query_scalar(
        r#"
        INSERT INTO intake_events (id, org_id, channel_id, form_id, provider, dedupe_key, content_type, headers, body,
            submission, remote_ip, state, received_at, processed_at)
        SELECT id, $1, channel_id, form_id, provider, dedupe_key, content_type, headers, body, submission, remote_ip,
            state, received_at, CASE WHEN state = 'spam' THEN received_at END
        FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::bytea[],
                $10::jsonb[], $11::text[], $12::text[], $13::timestamptz[])
            AS new (id, channel_id, form_id, provider, dedupe_key, content_type, headers, body, submission, remote_ip,
                state, received_at)
        ON CONFLICT (org_id, provider, dedupe_key) DO NOTHING
        RETURNING id
        "#,
    )
    .bind(org)
    .bind(column().map(|event| event.id).collect::<Vec<_>>())
    .bind(column().map(|event| event.channel).collect::<Vec<_>>())
    .bind(column().map(|event| event.form).collect::<Vec<_>>())
    .bind(column().map(|event| event.provider).collect::<Vec<_>>())
    .bind(column().map(|event| event.dedupe_key).collect::<Vec<_>>())
    .bind(column().map(|event| event.content_type).collect::<Vec<_>>())
    .bind(column().map(|event| &event.headers).collect::<Vec<_>>())
    .bind(column().map(|event| event.body).collect::<Vec<_>>())
    .bind(column().map(|event| Json(event.submission)).collect::<Vec<_>>())
    .bind(column().map(|event| &*event.remote_ip).collect::<Vec<_>>())
    .bind(column().map(|event| state_of(event)).collect::<Vec<_>>())
    .bind(column().map(|event| event.received_at).collect::<Vec<_>>())
    .fetch_all(db)
    .await
}

/// The state that an event begins in.
fn state_of(event: &NewEvent<'_>) -> &'static str {
    if event.spam { "spam" } else { "received" }
}

/// The event kept under `dedupe_key`, and what was understood of it.
pub async fn find_by_key(
    db: &mut PgConnection,
    org: OrgId,
    provider: &str,
    dedupe_key: &str,
) -> sqlx::Result<Option<(IntakeEventId, Submission)>> {
    let row: Option<(IntakeEventId, Json<Submission>)> = sqlx::query_as(
        r#"
        SELECT id, submission
        FROM intake_events
        WHERE org_id = $1 AND provider = $2 AND dedupe_key = $3
        "#,
    )
    .bind(org)
    .bind(provider)
    .bind(dedupe_key)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(id, submission)| (id, submission.0)))
}

/// The event kept under `dedupe_key` since `since`.
pub async fn find_recent(
    db: &mut PgConnection,
    org: OrgId,
    provider: &str,
    dedupe_key: &str,
    since: Timestamp,
) -> sqlx::Result<Option<IntakeEventId>> {
    sqlx::query_scalar(
        r#"
        SELECT id
        FROM intake_events
        WHERE org_id = $1 AND provider = $2 AND dedupe_key = $3 AND received_at > $4
        "#,
    )
    .bind(org)
    .bind(provider)
    .bind(dedupe_key)
    .bind(since)
    .fetch_optional(db)
    .await
}

/// An event as it is worked on.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Event {
    /// Its id.
    pub id: IntakeEventId,
    /// The channel it came by.
    pub channel_id: Option<ChannelId>,
    /// What that channel says about people who are known already.
    pub on_duplicate: Option<OnDuplicate>,
    /// The form it came by.
    pub form_id: Option<FormId>,
    /// The client workspace that leads of that form belong to, if it takes any.
    pub space_id: Option<SpaceId>,
    /// `trpc`, `form`, …
    pub provider: String,
    /// A test click of a provider.
    pub is_test: bool,
    /// What was understood of it.
    #[sqlx(json)]
    pub submission: Submission,
    /// What became of it so far.
    pub state: IntakeState,
    /// The lead it became or joined.
    pub lead_id: Option<LeadId>,
    /// When it came in.
    pub received_at: Timestamp,
}

/// The event, held until the transaction ends.
pub async fn lock(
    db: &mut PgConnection,
    org: OrgId,
    id: IntakeEventId,
) -> sqlx::Result<Option<Event>> {
    sqlx::query_as(
        r#"
        SELECT event.id, event.channel_id, channel.on_duplicate, event.form_id, space.id AS space_id, event.provider,
            event.is_test, event.submission, event.state, event.lead_id, event.received_at
        FROM intake_events event
        LEFT JOIN channels channel ON channel.org_id = event.org_id AND channel.id = event.channel_id
        LEFT JOIN forms form ON form.org_id = event.org_id AND form.id = event.form_id
        LEFT JOIN spaces space ON space.org_id = form.org_id AND space.id = form.space_id AND space.is_active
        WHERE event.org_id = $1 AND event.id = $2
        FOR NO KEY UPDATE OF event
        "#,
    )
    .bind(org)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Writes down what became of a locked event.
pub async fn settle(
    db: &mut PgConnection,
    org: OrgId,
    id: IntakeEventId,
    state: IntakeState,
    lead: Option<LeadId>,
    error: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE intake_events
        SET state = $3, lead_id = coalesce($4, lead_id), error = $5, attempts = attempts + 1, processed_at = $6
        WHERE org_id = $1 AND id = $2
        "#,
    )
    .bind(org)
    .bind(id)
    .bind(state)
    .bind(lead)
    .bind(error)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}
