//! Leads by what is known about them, page by page.

use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::clock::Timestamp;
use crate::id::{LeadId, OrgId, StageId, UserId};
use crate::lead::{CaptureChannel, Lead, SourceCategory};
use crate::score::Band;
use crate::status::Status;

/// Everything a [`Lead`] is read from.
pub(super) const COLUMNS: &str = "id, org_id, created_by_user_id, space_id, name, first_name, last_name, display_name, email, phone, \
    phone_e164, job_title, linkedin_url, company_id, company_name, state, country, time_zone, enrollment, segment, message, \
    notes, tags, capture_channel, source_category, source_id, source_detail, source_workflow, source_channel_id, \
    source_campaign_id, source_url, utm_source, utm_medium, utm_campaign, utm_term, utm_content, gclid, fbclid, form_id, \
    form_submission_data, status, is_open, is_won, status_changed_at, stage_id, stage_entered_at, disqualification_reason, \
    lost_reason, mql_at, sql_at, opportunity_at, opportunity_id, converted_to_customer, converted_at, conversion_source, \
    estimated_value_minor, currency, budget, authority, need, timeline, next_follow_up_at, assigned_to_user_id, assigned_at, \
    last_contacted_at, last_contact_method, contact_count, last_response_at, response_count, score_total, score_band, \
    score_version, score_updated_at, nurture_status, enrichment_status, enrichment_data, enriched_at, custom_fields, \
    email_status, is_test, last_activity_at, version, created_at, updated_at";

/// How a lead was won, or how it arrived: the two vocabularies that callers mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// How it was won.
    Source(SourceCategory),
    /// How it arrived.
    Channel(CaptureChannel),
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// Latest capture first; the only order that can be paged by a lead.
    #[default]
    Newest,
    /// Best score first, those without one last.
    Score,
    /// Earliest follow-up first, those without one last.
    FollowUp,
    /// Latest activity first.
    Activity,
}

/// Which leads, and where in the list of them; newest first.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these statuses; none: in any.
    pub statuses: Vec<Status>,
    /// From there.
    pub origin: Option<Origin>,
    /// In this stage.
    pub stage: Option<StageId>,
    /// With this rep.
    pub assigned_to: Option<UserId>,
    /// In this band.
    pub band: Option<Band>,
    /// Scored at least so high.
    pub score_min: Option<i16>,
    /// Scored at most so high.
    pub score_max: Option<i16>,
    /// Captured at or after.
    pub from: Option<Timestamp>,
    /// Captured before.
    pub to: Option<Timestamp>,
    /// Last contacted before.
    pub contacted_before: Option<Timestamp>,
    /// Last contacted at or after.
    pub contacted_after: Option<Timestamp>,
    /// Whether it ever met a marketing threshold.
    pub qualified: Option<bool>,
    /// In this order.
    pub sort: Sort,
    /// Never contacted.
    pub never_contacted: bool,
    /// To be followed up by then.
    pub follow_up_by: Option<Timestamp>,
    /// Having all of these labels.
    pub tags: Vec<String>,
    /// These words in name, address, company or title.
    pub words: Option<String>,
    /// Behind this lead in the list.
    pub after: Option<(Timestamp, LeadId)>,
    /// How many leads to skip, for callers that count pages.
    pub skip: i64,
}

/// At most `limit` leads of `org` that `filter` lets through.
///
/// Served by `leads_created_ix`, or by the index of the narrowest filter.
pub async fn list(
    db: &mut PgConnection,
    org: OrgId,
    filter: &Filter,
    limit: i64,
) -> sqlx::Result<Vec<Lead>> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(COLUMNS).push(" FROM leads");
    narrow(&mut query, org, filter);
    if let Some((at, id)) = filter.after.filter(|_| filter.sort == Sort::Newest) {
        query
            .push(" AND (created_at, id) < (")
            .push_bind(at)
            .push(", ")
            .push_bind(id)
            .push(")");
    }
    query
        .push(match filter.sort {
            Sort::Newest => " ORDER BY created_at DESC, id DESC",
            Sort::Score => " ORDER BY score_total DESC NULLS LAST, created_at DESC, id DESC",
            Sort::FollowUp => " ORDER BY next_follow_up_at NULLS LAST, id",
            Sort::Activity => " ORDER BY last_activity_at DESC NULLS LAST, id DESC",
        })
        .push(" LIMIT ")
        .push_bind(limit);
    query.push(" OFFSET ").push_bind(filter.skip);
    query.build_query_as().fetch_all(db).await
}

/// How many leads of `org` the filter lets through, counted up to `most`.
pub async fn count(
    db: &mut PgConnection,
    org: OrgId,
    filter: &Filter,
    most: i64,
) -> sqlx::Result<i64> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM (SELECT FROM leads");
    narrow(&mut query, org, filter);
    query.push(" LIMIT ").push_bind(most).push(") counted");
    query.build_query_scalar().fetch_one(db).await
}

/// One lead, unless it was deleted.
pub async fn find(db: &mut PgConnection, org: OrgId, id: LeadId) -> sqlx::Result<Option<Lead>> {
    let mut query = QueryBuilder::new("SELECT ");
    query
        .push(COLUMNS)
        .push(" FROM leads WHERE deleted_at IS NULL AND org_id = ")
        .push_bind(org);
    query.push(" AND id = ").push_bind(id);
    query.build_query_as().fetch_optional(db).await
}

fn narrow(query: &mut QueryBuilder<Postgres>, org: OrgId, filter: &Filter) {
    query
        .push(" WHERE deleted_at IS NULL AND org_id = ")
        .push_bind(org);
    if !filter.statuses.is_empty() {
        query
            .push(" AND status = ANY(")
            .push_bind(filter.statuses.clone())
            .push(")");
    }
    match filter.origin {
        Some(Origin::Source(source)) => {
            query.push(" AND source_category = ").push_bind(source);
        }
        Some(Origin::Channel(channel)) => {
            query.push(" AND capture_channel = ").push_bind(channel);
        }
        None => {}
    }
    if let Some(stage) = filter.stage {
        query.push(" AND stage_id = ").push_bind(stage);
    }
    if let Some(user) = filter.assigned_to {
        query.push(" AND assigned_to_user_id = ").push_bind(user);
    }
    if let Some(band) = filter.band {
        query.push(" AND score_band = ").push_bind(band);
    }
    if let Some(score) = filter.score_min {
        query.push(" AND score_total >= ").push_bind(score);
    }
    if let Some(score) = filter.score_max {
        query.push(" AND score_total <= ").push_bind(score);
    }
    if let Some(at) = filter.from {
        query.push(" AND created_at >= ").push_bind(at);
    }
    if let Some(at) = filter.to {
        query.push(" AND created_at < ").push_bind(at);
    }
    if let Some(at) = filter.contacted_before {
        query.push(" AND last_contacted_at < ").push_bind(at);
    }
    if let Some(at) = filter.contacted_after {
        query.push(" AND last_contacted_at >= ").push_bind(at);
    }
    match filter.qualified {
        Some(true) => drop(query.push(" AND mql_at IS NOT NULL")),
        Some(false) => drop(query.push(" AND mql_at IS NULL")),
        None => {}
    }
    if filter.never_contacted {
        query.push(" AND last_contacted_at IS NULL");
    }
    if let Some(at) = filter.follow_up_by {
        query
            .push(" AND is_open AND next_follow_up_at <= ")
            .push_bind(at);
    }
    if !filter.tags.is_empty() {
        query.push(" AND tags @> ").push_bind(filter.tags.clone());
    }
    if let Some(words) = &filter.words {
        query
            .push(" AND search @@ websearch_to_tsquery('simple', ")
            .push_bind(words.clone())
            .push(")");
    }
}
