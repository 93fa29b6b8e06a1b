//! Providers of an org, questions put to them, answers kept.

use serde_json::Value;
use sqlx::PgConnection;

use super::expired;
use crate::{
    clock::Timestamp,
    enrichment::Outcome,
    id::{EnrichmentProviderId, EnrichmentRunId, LeadId, OrgId},
    text::text_enum,
};

/// A provider that may be asked.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Provider {
    /// Its name.
    pub key: String,
    /// How it is asked.
    pub config: Value,
    /// What opens it, sealed.
    pub credentials_enc: Option<Vec<u8>>,
    /// Which key sealed that.
    pub credentials_key_id: Option<String>,
    /// Not before then.
    pub paused_until: Option<Timestamp>,
    /// Not after so many credits a day.
    pub daily_credit_cap: Option<f64>,
}

/// The providers of the org in the order in which they are asked, paused ones too.
pub async fn providers(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<Provider>> {
    sqlx::query_as(
        r#"
        SELECT key, config, credentials_enc, credentials_key_id, paused_until,
            daily_credit_cap::float8 AS daily_credit_cap
        FROM enrichment_providers
        WHERE org_id = $1 AND is_enabled
        ORDER BY priority, key
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

/// What a provider's answers since `since` cost, as far as they said so.
pub async fn spent(
    db: &mut PgConnection,
    org: OrgId,
    key: &str,
    since: Timestamp,
) -> sqlx::Result<f64> {
    sqlx::query_scalar(
        r#"
        SELECT coalesce(sum(credits), 0)::float8
        FROM enrichment_runs
        WHERE org_id = $1 AND provider_key = $2 AND finished_at >= $3 AND credits > 0
        "#,
    )
    .bind(org)
    .bind(key)
    .bind(since)
    .fetch_one(db)
    .await
}

/// Until when a provider is left alone, also one that is not the org's own.
pub async fn paused_until(
    db: &mut PgConnection,
    org: OrgId,
    key: &str,
) -> sqlx::Result<Option<Timestamp>> {
    let found: Option<Option<Timestamp>> = sqlx::query_scalar(
        "SELECT paused_until FROM enrichment_providers WHERE org_id = $1 AND key = $2",
    )
    .bind(org)
    .bind(key)
    .fetch_optional(db)
    .await?;
    Ok(found.flatten())
}

/// Leaves a provider alone until `until`; a longer pause stays. One that is not the org's own gets a row that only says
/// so and is never asked by it.
pub async fn pause(
    db: &mut PgConnection,
    org: OrgId,
    key: &str,
    until: Timestamp,
    why: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO enrichment_providers AS provider (id, org_id, key, is_enabled, config, paused_until, pause_reason)
        VALUES ($1, $2, $3, false, '{}', $4, $5)
        ON CONFLICT (org_id, key) DO UPDATE
            SET paused_until = greatest(provider.paused_until, excluded.paused_until),
                pause_reason = excluded.pause_reason
        "#,
    )
    .bind(EnrichmentProviderId::new())
    .bind(org)
    .bind(key)
    .bind(until)
    .bind(why)
    .execute(db)
    .await?;
    Ok(())
}

/// A provider about to be asked for an org.
#[derive(Debug, Clone)]
pub struct NewProvider<'a> {
    /// Its name.
    pub key: &'a str,
    /// It is asked in this order, lowest first.
    pub priority: i32,
    /// How it is asked.
    pub config: &'a Value,
    /// What opens it, sealed, and which key sealed that.
    pub sealed: Option<(&'a [u8], &'a str)>,
}

/// Connects a provider, or another way to ask one that is there: it is enabled, and no pause is left of before.
pub async fn connect(
    db: &mut PgConnection,
    org: OrgId,
    new: &NewProvider<'_>,
) -> sqlx::Result<EnrichmentProviderId> {
    let (bytes, key_id) = new.sealed.unzip();
    sqlx::query_scalar(
        r#"
        INSERT INTO enrichment_providers (id, org_id, key, priority, config, credentials_enc, credentials_key_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (org_id, key) DO UPDATE
            SET priority = excluded.priority, config = excluded.config, credentials_enc = excluded.credentials_enc,
                credentials_key_id = excluded.credentials_key_id, is_enabled = true, paused_until = NULL, pause_reason = NULL
        RETURNING id
        "#,
    )
    .bind(EnrichmentProviderId::new())
    .bind(org)
    .bind(new.key)
    .bind(new.priority)
    .bind(new.config)
    .bind(bytes)
    .bind(key_id)
    .fetch_one(db)
    .await
}

/// Asks a provider no more and forgets what opened it; none if there is no such one.
pub async fn disconnect(
    db: &mut PgConnection,
    org: OrgId,
    key: &str,
) -> sqlx::Result<Option<EnrichmentProviderId>> {
    sqlx::query_scalar(
        r#"
        UPDATE enrichment_providers SET is_enabled = false, credentials_enc = NULL, credentials_key_id = NULL
        WHERE org_id = $1 AND key = $2
        RETURNING id
        "#,
    )
    .bind(org)
    .bind(key)
    .fetch_optional(db)
    .await
}

/// A provider as its org's people see it: never with what opens it.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow)]
pub struct ListedProvider {
    /// Its name.
    pub key: String,
    /// It is asked in this order, lowest first.
    pub priority: i32,
    /// Whether it is asked.
    pub is_enabled: bool,
    /// Which key sealed what opens it; none if nothing does.
    pub sealed_by: Option<String>,
    /// Not before then.
    pub paused_until: Option<Timestamp>,
    /// Why not.
    pub pause_reason: Option<String>,
}

/// Every provider of the org in the order in which they are asked; asked as the org.
pub async fn list(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<ListedProvider>> {
    sqlx::query_as(
        r#"
        SELECT key, priority, is_enabled, credentials_key_id AS sealed_by, paused_until, pause_reason
        FROM enrichment_providers
        WHERE org_id = $1
        ORDER BY priority, key
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

text_enum! {
    /// How far a question has come.
    RunState {
        /// To be put.
        Queued = "queued",
        /// Put; no answer yet.
        InFlight = "in_flight",
        /// The answer is to follow.
        Pending = "pending",
        /// Settled.
        Done = "done",
    }
}

/// A question about a lead.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Run {
    /// Its id.
    pub id: EnrichmentRunId,
    /// Who was asked.
    pub provider_key: String,
    /// How far it has come.
    pub state: RunState,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// When to ask again.
    pub poll_after: Option<Timestamp>,
    /// The raw answer.
    pub response: Option<Value>,
    /// When it was put.
    pub started_at: Timestamp,
    /// When it was settled.
    pub finished_at: Option<Timestamp>,
}

/// The question, as it is: put just now, still open, or answered for good. It is never there twice.
pub async fn begin(
    db: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
    provider: &str,
    request_hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<Run> {
    sqlx::query(
        r#"
        INSERT INTO enrichment_runs (id, org_id, lead_id, provider_key, request_hash, state, started_at)
        VALUES ($1, $2, $3, $4, $5, 'in_flight', $6)
        ON CONFLICT (org_id, lead_id, provider_key, request_hash)
            WHERE state <> 'done' OR outcome IN ('matched', 'not_found') DO NOTHING
        "#,
    )
    .bind(EnrichmentRunId::new())
    .bind(org)
    .bind(lead)
    .bind(provider)
    .bind(request_hash)
    .bind(now)
    .execute(&mut *db)
    .await?;
    sqlx::query_as(
        r#"
        SELECT id, provider_key, state, outcome, poll_after, response, started_at, finished_at
        FROM enrichment_runs
        WHERE org_id = $1 AND lead_id = $2 AND provider_key = $3 AND request_hash = $4
            AND (state <> 'done' OR outcome IN ('matched', 'not_found'))
        "#,
    )
    .bind(org)
    .bind(lead)
    .bind(provider)
    .bind(request_hash)
    .fetch_one(db)
    .await
}

/// Whether the person has objected to being looked up, with whomever.
pub async fn has_objected(db: &mut PgConnection, org: OrgId, lead: LeadId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM enrichment_runs WHERE org_id = $1 AND lead_id = $2 AND outcome = 'blocked')",
    )
    .bind(org)
    .bind(lead)
    .fetch_one(db)
    .await
}

/// What a provider answered.
#[derive(Debug, Clone, Default)]
pub struct Answered<'a> {
    /// HTTP status.
    pub http_status: Option<u16>,
    /// The raw answer.
    pub response: Option<&'a Value>,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// How sure the provider is.
    pub likelihood: Option<f64>,
    /// What it cost.
    pub credits: Option<f64>,
}

/// Settles a question.
pub async fn finish(
    db: &mut PgConnection,
    org: OrgId,
    run: EnrichmentRunId,
    outcome: Outcome,
    answered: &Answered<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE enrichment_runs SET state = 'done', outcome = $3, http_status = $4, response = $5, error = $6,
            likelihood = $7::float8::numeric, credits = $8::float8::numeric, finished_at = $9, poll_after = NULL
        WHERE org_id = $1 AND id = $2 AND state <> 'done'
        "#,
    )
    .bind(org)
    .bind(run)
    .bind(outcome)
    .bind(answered.http_status.map(i32::from))
    .bind(answered.response)
    .bind(answered.error)
    .bind(answered.likelihood)
    .bind(answered.credits)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that the answer is to follow.
pub async fn wait(
    db: &mut PgConnection,
    org: OrgId,
    run: EnrichmentRunId,
    poll_after: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE enrichment_runs SET state = 'pending', poll_after = $3
        WHERE org_id = $1 AND id = $2 AND state <> 'done'
        "#,
    )
    .bind(org)
    .bind(run)
    .bind(poll_after)
    .execute(db)
    .await?;
    Ok(())
}

/// Every question put about a lead, latest first.
pub async fn runs(db: &mut PgConnection, org: OrgId, lead: LeadId) -> sqlx::Result<Vec<Run>> {
    sqlx::query_as(
        r#"
        SELECT id, provider_key, state, outcome, poll_after, response, started_at, finished_at
        FROM enrichment_runs
        WHERE org_id = $1 AND lead_id = $2
        ORDER BY started_at DESC, id DESC
        "#,
    )
    .bind(org)
    .bind(lead)
    .fetch_all(db)
    .await
}

/// An answer that need not be bought again.
pub async fn find_cached(
    db: &mut PgConnection,
    org: OrgId,
    provider: &str,
    request_hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<Option<(Outcome, Option<Value>)>> {
    sqlx::query_as(
        r#"
        SELECT outcome, response
        FROM enrichment_cache
        WHERE org_id = $1 AND provider_key = $2 AND request_hash = $3 AND expires_at > $4
        "#,
    )
    .bind(org)
    .bind(provider)
    .bind(request_hash)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Keeps an answer until `until`; only answers that will be the same tomorrow.
pub async fn keep(
    db: &mut PgConnection,
    org: OrgId,
    provider: &str,
    request_hash: &[u8],
    said: (Outcome, Option<&Value>),
    now: Timestamp,
    until: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO enrichment_cache (org_id, provider_key, request_hash, outcome, response, fetched_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (org_id, provider_key, request_hash) DO UPDATE
            SET outcome = excluded.outcome, response = excluded.response, fetched_at = excluded.fetched_at,
                expires_at = excluded.expires_at
        "#,
    )
    .bind(org)
    .bind(provider)
    .bind(request_hash)
    .bind(said.0)
    .bind(said.1)
    .bind(now)
    .bind(until)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets answers that have expired, at most so many; how many those were.
pub async fn forget(
    db: &mut PgConnection,
    org: OrgId,
    now: Timestamp,
    most: u64,
) -> sqlx::Result<u64> {
    const EXPIRED: &str = r#"
        DELETE FROM enrichment_cache
        WHERE org_id = $1 AND (provider_key, request_hash) IN (
            SELECT provider_key, request_hash FROM enrichment_cache WHERE org_id = $1 AND expires_at <= $2 LIMIT $3)
            AND expires_at <= $2
    "#;
    expired::forget(db, EXPIRED, org, now, most).await
}
