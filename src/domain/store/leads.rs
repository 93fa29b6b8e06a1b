//! The row of a lead: locked, inserted, and written group by group. Only commands write it.

use sqlx::{PgConnection, QueryBuilder};

use super::lead_pages::COLUMNS;
use crate::{
    clock::Timestamp,
    id::{LeadId, OrgId, UserId},
    lead::{CaptureChannel, Details, EmailStatus, EnrichmentStatus, ExternalId, Lead},
    normalise,
};

/// The lead, held until the transaction ends; none if it is not there, deleted, or hidden from this member.
pub async fn lock(db: &mut PgConnection, org: OrgId, id: LeadId) -> sqlx::Result<Option<Lead>> {
    let mut query = QueryBuilder::new("SELECT ");
    query
        .push(COLUMNS)
        .push(" FROM leads WHERE deleted_at IS NULL AND org_id = ")
        .push_bind(org);
    query
        .push(" AND id = ")
        .push_bind(id)
        .push(" FOR NO KEY UPDATE");
    query.build_query_as().fetch_optional(db).await
}

/// The lead with this address, however it is written.
pub async fn find_by_email(
    db: &mut PgConnection,
    org: OrgId,
    email: &str,
) -> sqlx::Result<Option<LeadId>> {
    sqlx::query_scalar(
        "SELECT id FROM leads WHERE org_id = $1 AND email_norm = $2 AND deleted_at IS NULL",
    )
    .bind(org)
    .bind(normalise::address(email))
    .fetch_optional(db)
    .await
}

/// Has transactions that make something of the same `identity` take turns: no index keeps two leads from having it.
pub async fn take_turns(db: &mut PgConnection, org: OrgId, identity: &str) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('lead ' || $1 || ' ' || $2, 0))")
        .bind(org.to_string())
        .bind(identity)
        .execute(db)
        .await?;
    Ok(())
}

/// The oldest lead with this phone.
pub async fn find_by_phone(
    db: &mut PgConnection,
    org: OrgId,
    phone_e164: &str,
) -> sqlx::Result<Option<LeadId>> {
    sqlx::query_scalar(
        "SELECT id FROM leads WHERE org_id = $1 AND phone_e164 = $2 AND deleted_at IS NULL ORDER BY created_at, id LIMIT 1",
    )
    .bind(org)
    .bind(phone_e164)
    .fetch_optional(db)
    .await
}

/// The lead that somebody else calls so.
pub async fn find_by_external(
    db: &mut PgConnection,
    org: OrgId,
    external: &ExternalId,
) -> sqlx::Result<Option<LeadId>> {
    sqlx::query_scalar(
        r#"
        SELECT lead.id
        FROM lead_external_ids known
        JOIN leads lead ON lead.org_id = known.org_id AND lead.id = known.lead_id AND lead.deleted_at IS NULL
        WHERE known.org_id = $1 AND known.provider = $2 AND known.external_id = $3
        "#,
    )
    .bind(org)
    .bind(&external.provider)
    .bind(&external.id)
    .fetch_optional(db)
    .await
}

/// Remembers what others call a lead; an id that is taken stays where it is.
pub async fn insert_external(
    db: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
    external: &[ExternalId],
    at: Timestamp,
) -> sqlx::Result<()> {
    if external.is_empty() {
        return Ok(());
    }
    let (providers, ids): (Vec<_>, Vec<_>) = external
        .iter()
        .map(|e| (e.provider.as_str(), e.id.as_str()))
        .unzip();
    sqlx::query(
        r#"
        INSERT INTO lead_external_ids (org_id, provider, external_id, lead_id, created_at)
        SELECT $1, provider, external_id, $2, $3 FROM unnest($4::text[], $5::text[]) AS given (provider, external_id)
        ON CONFLICT (org_id, provider, external_id) DO UPDATE SET lead_id = excluded.lead_id
            WHERE EXISTS (SELECT FROM leads gone WHERE gone.org_id = lead_external_ids.org_id
                AND gone.id = lead_external_ids.lead_id AND gone.deleted_at IS NOT NULL)
        "#,
    )
    .bind(org)
    .bind(lead)
    .bind(at)
    .bind(providers)
    .bind(ids)
    .execute(db)
    .await?;
    Ok(())
}

/// What a new lead has besides its details.
#[derive(Debug, Clone)]
pub struct NewLead<'a> {
    /// Its id.
    pub id: LeadId,
    /// What is known about the person.
    pub details: &'a Details,
    /// How it arrived.
    pub channel: CaptureChannel,
    /// Who typed it in.
    pub created_by: Option<UserId>,
    /// Whether the address is worth writing to.
    pub email_status: EmailStatus,
    /// Left out of every figure.
    pub is_test: bool,
    /// When.
    pub at: Timestamp,
}

/// Inserts a lead with its counters; `false` if its address is taken, whoever else is taking it right now.
pub async fn insert(db: &mut PgConnection, org: OrgId, new: &NewLead<'_>) -> sqlx::Result<bool> {
    let query = sqlx::query(
        r#"
        WITH lead AS (
            INSERT INTO leads (org_id, id, space_id, name, first_name, last_name, email, phone, phone_e164, job_title,
                linkedin_url, company_id, company_name, state, country, time_zone, enrollment, segment, message, notes,
                tags, source_category, source_id, source_detail, source_workflow, source_channel_id, source_campaign_id,
                source_url, utm_source, utm_medium, utm_campaign, utm_term, utm_content, gclid, fbclid, form_id,
                form_submission_data, estimated_value_minor, currency, budget, authority, need, timeline,
                next_follow_up_at, custom_fields, email_norm,
                capture_channel, created_by_user_id, email_status, is_test, status_changed_at, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43,
                $44, $45, $46, $47, $48, $49, $50, $51, $51, $51)
            ON CONFLICT (org_id, email_norm) WHERE email_norm IS NOT NULL AND deleted_at IS NULL DO NOTHING
            RETURNING org_id, id
        )
        INSERT INTO lead_behaviour (org_id, lead_id) SELECT org_id, id FROM lead
        "#,
    )
    .bind(org)
    .bind(new.id);
    let done = bind_details(query, new.details)
        .bind(new.channel)
        .bind(new.created_by)
        .bind(new.email_status)
        .bind(new.is_test)
        .bind(new.at)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes the details of a lead that is locked; its version grows. An address that stays keeps its key, which may be an
/// older spelling.
pub async fn write_details(
    db: &mut PgConnection,
    org: OrgId,
    id: LeadId,
    details: &Details,
) -> sqlx::Result<()> {
    let query = sqlx::query(
        r#"
        UPDATE leads SET space_id = $3, name = $4, first_name = $5, last_name = $6, email = $7, phone = $8,
            phone_e164 = $9, job_title = $10, linkedin_url = $11, company_id = $12, company_name = $13, state = $14,
            country = $15, time_zone = $16, enrollment = $17, segment = $18, message = $19, notes = $20, tags = $21,
            source_category = $22, source_id = $23, source_detail = $24, source_workflow = $25, source_channel_id = $26,
            source_campaign_id = $27, source_url = $28, utm_source = $29, utm_medium = $30, utm_campaign = $31,
            utm_term = $32, utm_content = $33, gclid = $34, fbclid = $35, form_id = $36, form_submission_data = $37,
            estimated_value_minor = $38, currency = $39, budget = $40, authority = $41, need = $42, timeline = $43,
            next_follow_up_at = $44, custom_fields = $45,
            email_norm = CASE WHEN email IS DISTINCT FROM $7 THEN $46 ELSE email_norm END, version = version + 1
        WHERE org_id = $1 AND id = $2
        "#,
    )
    .bind(org)
    .bind(id);
    bind_details(query, details).execute(db).await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Parameters 3 to 46 of the two statements above.
fn bind_details<'q>(query: Query<'q>, details: &'q Details) -> Query<'q> {
    query
        .bind(details.space_id)
        .bind(&details.name)
        .bind(&details.first_name)
        .bind(&details.last_name)
        .bind(&details.email)
        .bind(&details.phone)
        .bind(&details.phone_e164)
        .bind(&details.job_title)
        .bind(&details.linkedin_url)
        .bind(details.company_id)
        .bind(&details.company_name)
        .bind(&details.state)
        .bind(&details.country)
        .bind(&details.time_zone)
        .bind(details.enrollment)
        .bind(&details.segment)
        .bind(&details.message)
        .bind(&details.notes)
        .bind(&details.tags)
        .bind(details.source_category)
        .bind(details.source_id)
        .bind(&details.source_detail)
        .bind(&details.source_workflow)
        .bind(details.source_channel_id)
        .bind(details.source_campaign_id)
        .bind(&details.source_url)
        .bind(&details.utm_source)
        .bind(&details.utm_medium)
        .bind(&details.utm_campaign)
        .bind(&details.utm_term)
        .bind(&details.utm_content)
        .bind(&details.gclid)
        .bind(&details.fbclid)
        .bind(details.form_id)
        .bind(&details.form_submission_data)
        .bind(details.estimated_value_minor)
        .bind(&details.currency)
        .bind(&details.budget)
        .bind(&details.authority)
        .bind(&details.need)
        .bind(&details.timeline)
        .bind(details.next_follow_up_at)
        .bind(sqlx::types::Json(&details.custom_fields))
        .bind(details.email.as_deref().map(normalise::address))
}

/// Writes where a locked lead stands and every stamp that goes with it; its version grows.
pub async fn write_status(db: &mut PgConnection, lead: &Lead) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE leads SET status = $3, status_changed_at = $4, mql_at = $5, sql_at = $6, opportunity_at = $7,
            opportunity_id = $8, converted_to_customer = $9, converted_at = $10, conversion_source = $11,
            disqualification_reason = $12, lost_reason = $13, version = version + 1
        WHERE org_id = $1 AND id = $2
        "#,
    )
    .bind(lead.org_id)
    .bind(lead.id)
    .bind(lead.status)
    .bind(lead.status_changed_at)
    .bind(lead.mql_at)
    .bind(lead.sql_at)
    .bind(lead.opportunity_at)
    .bind(lead.opportunity_id)
    .bind(lead.converted_to_customer)
    .bind(lead.converted_at)
    .bind(&lead.conversion_source)
    .bind(&lead.disqualification_reason)
    .bind(&lead.lost_reason)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes where a locked lead is in the pipeline; its version grows.
pub async fn write_stage(db: &mut PgConnection, lead: &Lead) -> sqlx::Result<()> {
    sqlx::query("UPDATE leads SET stage_id = $3, stage_entered_at = $4, version = version + 1 WHERE org_id = $1 AND id = $2")
        .bind(lead.org_id)
        .bind(lead.id)
        .bind(lead.stage_id)
        .bind(lead.stage_entered_at)
        .execute(db)
        .await?;
    Ok(())
}

/// Writes whose lead it is; its version grows.
pub async fn write_assignee(db: &mut PgConnection, lead: &Lead) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE leads SET assigned_to_user_id = $3, assigned_at = $4, version = version + 1 WHERE org_id = $1 AND id = $2",
    )
    .bind(lead.org_id)
    .bind(lead.id)
    .bind(lead.assigned_to_user_id)
    .bind(lead.assigned_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes the contact counters of a locked lead.
pub async fn write_contact(db: &mut PgConnection, lead: &Lead) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE leads SET last_contacted_at = $3, last_contact_method = $4, contact_count = $5, last_response_at = $6,
            response_count = $7
        WHERE org_id = $1 AND id = $2
        "#,
    )
    .bind(lead.org_id)
    .bind(lead.id)
    .bind(lead.last_contacted_at)
    .bind(lead.last_contact_method)
    .bind(lead.contact_count)
    .bind(lead.last_response_at)
    .bind(lead.response_count)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes what providers said about a locked lead.
pub async fn write_enrichment(db: &mut PgConnection, lead: &Lead) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE leads SET enrichment_status = $3, enrichment_data = $4, enriched_at = $5 WHERE org_id = $1 AND id = $2",
    )
    .bind(lead.org_id)
    .bind(lead.id)
    .bind(lead.enrichment_status)
    .bind(sqlx::types::Json(&lead.enrichment_data))
    .bind(lead.enriched_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Notes how far enrichment has come, without locking the lead first.
pub async fn set_enrichment_status(
    db: &mut PgConnection,
    org: OrgId,
    id: LeadId,
    status: EnrichmentStatus,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE leads SET enrichment_status = $3 WHERE org_id = $1 AND id = $2 AND enrichment_status <> $3")
        .bind(org)
        .bind(id)
        .bind(status)
        .execute(db)
        .await?;
    Ok(())
}

/// Puts a locked lead out of sight; its address is free again.
pub async fn soft_delete(
    db: &mut PgConnection,
    org: OrgId,
    id: LeadId,
    by: Option<UserId>,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE leads SET deleted_at = $3, deleted_by_user_id = $4, version = version + 1 WHERE org_id = $1 AND id = $2",
    )
    .bind(org)
    .bind(id)
    .bind(at)
    .bind(by)
    .execute(db)
    .await?;
    Ok(())
}

/// Open leads of a rep.
pub async fn workload(db: &mut PgConnection, org: OrgId, user: UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM leads WHERE org_id = $1 AND assigned_to_user_id = $2 AND is_open AND deleted_at IS NULL",
    )
    .bind(org)
    .bind(user)
    .fetch_one(db)
    .await
}
