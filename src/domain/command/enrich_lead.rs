//! Take in what a provider said about a lead.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, difference, lock, org, transition};
use crate::{
    activity::ActivityKind,
    actor::Act,
    company,
    enrichment::{Facts, Outcome},
    id::LeadId,
    status::Trigger,
    store::{
        companies,
        journal::{self, Entry},
        lead_pages, leads, pools,
    },
};

/// A lead after a provider was asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Enriched {
    /// Fields that were empty and are filled now.
    pub filled: Vec<String>,
    /// Its status.
    pub status: transition::Moved,
    /// The org wants such leads given to the next rep; the caller does so.
    pub auto_assign: bool,
}

/// Fills what nobody has entered, remembers everything said, and moves a new lead on.
pub async fn record_enrichment(
    db: &mut PgConnection,
    act: &Act,
    id: LeadId,
    provider: &str,
    outcome: Outcome,
    facts: &Facts,
) -> Result<Enriched, CommandError> {
    let org = org(db, act).await?;
    let matched = outcome == Outcome::Matched;
    let seen = lead_pages::find(db, act.org, id)
        .await?
        .ok_or(CommandError::NotFound("lead"))?;
    // The employer first, the lead second: the order in which everybody takes them.
    let mut company = None;
    if matched && let Some(identity) = company::identify(&facts.fill(seen.details), &facts.company)
    {
        let said = serde_json::to_value(&facts.company).unwrap_or_default();
        let said = said.as_object().cloned().unwrap_or_default();
        let said = said
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect();
        company = Some(companies::resolve(db, act.org, &identity, &facts.company, &said).await?);
    }

    let mut lead = lock(db, act, id).await?;
    let mut after = lead.details.clone();
    if matched {
        after = facts.fill(after);
        after.company_id = after
            .company_id
            .or(company.as_ref().map(|company| company.id));
        let employees = company.and_then(|company| company.employees);
        if let Some(segment) = company::segment(after.enrollment, employees) {
            after.segment = Some(segment.to_owned());
        }
        if lead.details.email.is_none()
            && let Some(email) = after.email.as_deref()
        {
            // Somebody else has that address: two leads may be one person, which a person must decide.
            if leads::find_by_email(db, act.org, email).await?.is_some() {
                after.email = None;
            }
        }
        lead.enrichment_data = facts.remembered(std::mem::take(&mut lead.enrichment_data));
        lead.enriched_at = Some(act.at);
    }
    lead.enrichment_status = outcome.lead_status();
    let (was, is) = difference(&lead.details, &after);
    let filled: Vec<String> = is.keys().cloned().collect();
    if !filled.is_empty() {
        leads::write_details(db, act.org, id, &after).await?;
        lead.details = after;
        lead.version += 1;
    }
    leads::write_enrichment(db, &lead).await?;
    let told = json!({"provider": provider, "outcome": outcome, "fields": filled});
    let line = match outcome {
        Outcome::Matched if filled.is_empty() => format!("{provider} knows nothing new"),
        Outcome::Matched => format!("{provider} told {}", filled.join(", ").replace('_', " ")),
        other => format!("{provider}: {other}"),
    };
    let entry = Entry::of_lead("lead.enrich", id)
        .changed(was.into(), is.into())
        .line(act, ActivityKind::Enrichment, line, told.clone())
        .event("lead.enriched", told);
    journal::write(db, act, entry).await?;

    let mut status = transition::Moved {
        from: lead.status,
        to: lead.status,
    };
    if matched {
        status = transition::automatic(db, act, &org, &mut lead, Trigger::Enrichment).await?;
    }
    let auto_assign = status.changed()
        && lead.assigned_to_user_id.is_none()
        && pools::auto_on(db, act.org)
            .await?
            .iter()
            .any(|on| on == "status:enriched");
    Ok(Enriched {
        filled,
        status,
        auto_assign,
    })
}
