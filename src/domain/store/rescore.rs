//! Scores of an org in bulk: where a stretch of leads ends, then one statement to read it and two to write.
//!
//! None of these statements is kept prepared. After some uses of one that is, Postgres plans it for arrays of ten entries,
//! and compares each lead of a stretch with every other.
//!
//! What is written asks for open leads in words that fit no partial index: with old statistics Postgres would rather walk
//! through all open leads of the org by one of those than look up each lead of a stretch by its key.

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::{
    clock::Timestamp,
    id::{LeadId, OrgId, RunId, ScoreId, ScoringProfileId},
    score::{Band, Factor, Inputs},
    status::Status,
};

/// An open lead with what it is scored by and what it was given last.
#[derive(Debug, sqlx::FromRow)]
pub struct Scored {
    /// The lead.
    pub id: LeadId,
    /// What it is scored by.
    #[sqlx(flatten)]
    pub inputs: Inputs,
    /// Its score.
    pub score_total: Option<i16>,
    /// Its band.
    pub score_band: Option<Band>,
    /// Fingerprint of profile and inputs of that score.
    pub score_hash: Option<Vec<u8>>,
    /// When it was given.
    pub score_updated_at: Option<Timestamp>,
    /// First met a marketing threshold.
    pub mql_at: Option<Timestamp>,
}

/// Reads what is named by its key, for the rest of the transaction: while a table is small, or its statistics are old, Postgres
/// would rather read all of it, and so once for each stretch.
pub async fn by_key(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SET LOCAL enable_seqscan = off")
        .execute(db)
        .await?;
    Ok(())
}

/// The last of the first `limit` open leads behind `after`, in the order of their ids, and how many they are.
///
/// Served by the primary key.
pub async fn end(
    db: &mut PgConnection,
    org: OrgId,
    after: Option<LeadId>,
    limit: i64,
) -> sqlx::Result<Option<(LeadId, i64)>> {
    sqlx::query_as(
        r#"
        SELECT id, number
        FROM (
            SELECT id, row_number() OVER (ORDER BY org_id, id) AS number
            FROM (
                SELECT org_id, id FROM leads
                WHERE org_id = $1 AND id > $2 AND is_open AND deleted_at IS NULL
                ORDER BY org_id, id
                LIMIT $3
            ) lead
        ) numbered
        ORDER BY number DESC
        LIMIT 1
        "#,
    )
    .bind(org)
    .bind(after.unwrap_or(LeadId::nil()))
    .bind(limit)
    .persistent(false)
    .fetch_optional(db)
    .await
}

/// The open leads behind `after` up to `until`, in the order of their ids. One that came after `due` and has no score yet is
/// left to the job that scores new leads.
///
/// Served by the primary key.
pub async fn open(
    db: &mut PgConnection,
    org: OrgId,
    (after, until): (Option<LeadId>, LeadId),
    due: Timestamp,
) -> sqlx::Result<Vec<Scored>> {
    sqlx::query_as(
        r#"
        SELECT lead.id, lead.score_total, lead.score_band, lead.score_hash, lead.score_updated_at, lead.mql_at,
            coalesce(behaviour.website_visits, 0) AS website_visits,
            coalesce(behaviour.content_downloads, 0) AS content_downloads, coalesce(behaviour.email_opens, 0) AS email_opens,
            coalesce(behaviour.email_clicks, 0) AS email_clicks, coalesce(behaviour.demo_requested, false) AS demo_requested,
            lead.enrollment, company.employees, company.company_size, company.industry, company.website,
            lead.source_category, source.quality_points AS source_points, lead.capture_channel, lead.status,
            lead.estimated_value_minor, lead.first_name, lead.last_name, lead.email, lead.phone, lead.company_name,
            lead.job_title, lead.linkedin_url, lead.source_url, lead.country, lead.state, lead.tags, lead.custom_fields
        FROM leads lead
        LEFT JOIN lead_behaviour behaviour ON behaviour.org_id = lead.org_id AND behaviour.lead_id = lead.id
        LEFT JOIN companies company ON company.org_id = lead.org_id AND company.id = lead.company_id
        LEFT JOIN lead_sources source ON source.org_id = lead.org_id AND source.id = lead.source_id
        WHERE lead.org_id = $1 AND lead.id > $2 AND lead.id <= $3 AND lead.is_open AND lead.deleted_at IS NULL
            AND (lead.score_updated_at IS NOT NULL OR lead.created_at <= $4)
        ORDER BY lead.org_id, lead.id
        "#,
    )
    .bind(org)
    .bind(after.unwrap_or(LeadId::nil()))
    .bind(until)
    .bind(due)
    .persistent(false)
    .fetch_all(db)
    .await
}

/// Scores that a run is to keep, column by column as the database takes them.
#[derive(Debug, Default)]
pub struct NewScores {
    leads: Vec<LeadId>,
    ids: Vec<ScoreId>,
    totals: Vec<i16>,
    bands: Vec<Band>,
    previous: Vec<Option<i16>>,
    hashes: Vec<Vec<u8>>,
    /// Each as JSON.
    factors: Vec<String>,
}

impl NewScores {
    /// One more.
    pub fn push(
        &mut self,
        run: RunId,
        of: &Scored,
        total: i16,
        band: Band,
        hash: Vec<u8>,
        factors: &[Factor],
    ) -> serde_json::Result<()> {
        self.leads.push(of.id);
        self.ids.push(id_of(run, of.id));
        self.totals.push(total);
        self.bands.push(band);
        self.previous.push(of.score_total);
        self.hashes.push(hash);
        self.factors.push(serde_json::to_string(factors)?);
        Ok(())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.leads.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.leads.is_empty()
    }
}

/// The same whenever the run comes to the lead, so that the primary key refuses its second score.
fn id_of(run: RunId, lead: LeadId) -> ScoreId {
    let digest = Sha256::new()
        .chain_update(run.uuid())
        .chain_update(lead.uuid())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
}

/// Which run scores, by what, and for when.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// The run; done again it writes nothing twice.
    pub id: RunId,
    /// The profile.
    pub profile: ScoringProfileId,
    /// Its version.
    pub version: &'a str,
    /// Its nominal time.
    pub due: Timestamp,
}

/// Keeps the scores and shows them on their leads; answers which leads took theirs.
///
/// A lead that was scored at the run's nominal time or later keeps what it has: the latest score stays the one shown, and a
/// run that is done again changes nothing. So does one that was closed or deleted since it was read.
///
/// Leads are found by their ids: the join alone reads all leads there are for each stretch.
pub async fn insert(
    db: &mut PgConnection,
    org: OrgId,
    run: &Run<'_>,
    new: NewScores,
) -> sqlx::Result<Vec<LeadId>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        r#"
        WITH given AS (
            SELECT * FROM unnest($6::uuid[], $7::uuid[], $8::smallint[], $9::text[], $10::smallint[], $11::bytea[], $12::text[])
                AS given (lead_id, id, score, band, previous, hash, factors)
        ), shown AS (
            UPDATE leads SET score_total = given.score, score_band = given.band, score_version = $4,
                score_hash = given.hash, score_updated_at = $5
            FROM given
            WHERE leads.org_id = $1 AND leads.id = given.lead_id AND leads.id = ANY($6)
                AND CASE WHEN leads.is_open THEN leads.deleted_at IS NULL ELSE false END
                AND (leads.score_updated_at IS NULL OR leads.score_updated_at < $5)
            RETURNING leads.id
        ), kept AS (
            INSERT INTO lead_scores (id, org_id, lead_id, score, band, previous_score, version, profile_id, factors, trigger,
                input_hash, run_id, computed_at)
            SELECT given.id, $1, given.lead_id, given.score, given.band, given.previous, $4, $3, given.factors::json, 'refresh',
                given.hash, $2, $5
            FROM given JOIN shown ON shown.id = given.lead_id
        )
        SELECT id FROM shown
        "#,
    )
    .bind(org)
    .bind(run.id)
    .bind(run.profile)
    .bind(run.version)
    .bind(run.due)
    .bind(new.leads)
    .bind(new.ids)
    .bind(new.totals)
    .bind(new.bands)
    .bind(new.previous)
    .bind(new.hashes)
    .bind(new.factors)
    .persistent(false)
    .fetch_all(db)
    .await
}

/// Notes on leads whose score came out as before that it was calculated.
pub async fn touch(
    db: &mut PgConnection,
    org: OrgId,
    leads: &[LeadId],
    due: Timestamp,
) -> sqlx::Result<()> {
    if leads.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r#"
        UPDATE leads SET score_updated_at = $3
        WHERE org_id = $1 AND id = ANY($2) AND CASE WHEN is_open THEN deleted_at IS NULL ELSE false END
            AND (score_updated_at IS NULL OR score_updated_at < $3)
        "#,
    )
    .bind(org)
    .bind(leads)
    .bind(due)
    .persistent(false)
    .execute(db)
    .await?;
    Ok(())
}

/// Where `leads` stand that this transaction has given a score, and since when marketing holds them ready; held until it ends.
pub async fn lock(
    db: &mut PgConnection,
    org: OrgId,
    leads: &[LeadId],
) -> sqlx::Result<Vec<(LeadId, Status, Option<Timestamp>)>> {
    sqlx::query_as(
        r#"
        SELECT id, status, mql_at FROM leads
        WHERE org_id = $1 AND id = ANY($2)
        ORDER BY id
        FOR NO KEY UPDATE
        "#,
    )
    .bind(org)
    .bind(leads)
    .persistent(false)
    .fetch_all(db)
    .await
}

/// Marketing holds these locked leads ready from now on, each in the status it has then.
pub async fn qualify(
    db: &mut PgConnection,
    org: OrgId,
    leads: &[(LeadId, Status)],
    at: Timestamp,
) -> sqlx::Result<()> {
    let (ids, statuses): (Vec<_>, Vec<_>) = leads.iter().copied().unzip();
    sqlx::query(
        r#"
        UPDATE leads SET mql_at = $2, status = given.status,
            status_changed_at = CASE WHEN leads.status = given.status THEN leads.status_changed_at ELSE $2 END,
            version = version + 1
        FROM unnest($3::uuid[], $4::text[]) AS given (lead_id, status)
        WHERE leads.org_id = $1 AND leads.id = given.lead_id AND leads.id = ANY($3)
        "#,
    )
    .bind(org)
    .bind(at)
    .bind(ids)
    .bind(statuses)
    .persistent(false)
    .execute(db)
    .await?;
    Ok(())
}
