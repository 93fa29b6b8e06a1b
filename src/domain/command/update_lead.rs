//! Edit what is known about a lead.

use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, difference, lock};
use crate::{
    activity::ActivityKind,
    actor::Act,
    company::{self, CompanyFacts},
    id::{CompanyId, LeadId},
    lead::{Details, Lead, patch::LeadPatch},
    store::{
        companies,
        journal::{self, Entry},
        lead_pages, leads,
    },
};

/// Fields that no scoring profile looks at.
const UNSCORED: [&str; 10] = [
    "notes",
    "message",
    "next_follow_up_at",
    "space_id",
    "time_zone",
    "source_detail",
    "budget",
    "authority",
    "need",
    "timeline",
];

/// A lead after an edit.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The lead.
    pub lead: Lead,
    /// The fields that changed.
    pub changed: Vec<String>,
}

impl Updated {
    /// The score may come out differently now.
    pub fn affects_score(&self) -> bool {
        self.changed
            .iter()
            .any(|field| !UNSCORED.contains(&field.as_str()))
    }
}

/// Edits a lead; with a `version`, only if it is still that one.
pub async fn update_lead(
    db: &mut PgConnection,
    act: &Act,
    id: LeadId,
    patch: &LeadPatch,
    version: Option<i32>,
) -> Result<Updated, CommandError> {
    let seen = lead_pages::find(db, act.org, id)
        .await?
        .ok_or(CommandError::NotFound("lead"))?;
    // The employer first, the lead second: the order in which everybody takes them.
    let employer = employer(db, act, &seen.details, patch).await?;
    let mut lead = lock(db, act, id).await?;
    if version.is_some_and(|version| version != lead.version) {
        return Err(CommandError::Stale(lead.version));
    }
    let (mut after, _) = patch.apply(lead.details.clone()).cleaned();
    if patch.name.is_some() && patch.first_name.is_none() && patch.last_name.is_none() {
        let split = after.name.as_deref().map(crate::normalise::split_name);
        (after.first_name, after.last_name) = split.unwrap_or_default();
    } else if patch.name.is_none() && (patch.first_name.is_some() || patch.last_name.is_some()) {
        after.name = None;
    }
    if !after.is_somebody() {
        return Err(CommandError::Invalid {
            field: "email",
            why: "or phone, profile or name must stay",
        });
    }
    if let Some(email) = after.email.as_deref().filter(|_| patch.email.is_some()) {
        match leads::find_by_email(db, act.org, email).await? {
            Some(other) if other != id => return Err(CommandError::Duplicate(other)),
            _ => {}
        }
    }
    // Somebody may have named another meanwhile.
    if let Some(employer) = employer.filter(|_| lead.details.company_id == seen.details.company_id)
    {
        after.company_id = employer;
    }
    let company = match after.company_id {
        Some(company) => {
            let found = companies::find_by_id(db, act.org, company).await?;
            Some(found.ok_or(CommandError::NotFound("company"))?)
        }
        None => None,
    };
    let employees = company.and_then(|company| company.employees);
    after.segment = company::segment(after.enrollment, employees).map(str::to_owned);

    let (was, is) = difference(&lead.details, &after);
    let changed: Vec<String> = is.keys().cloned().collect();
    if changed.is_empty() {
        return Ok(Updated { lead, changed });
    }
    leads::write_details(db, act.org, id, &after).await?;
    let entry = Entry::of_lead("lead.update", id)
        .changed(was.into(), is.into())
        .line(
            act,
            ActivityKind::Updated,
            format!("Edited {}", changed.join(", ")),
            json!({"fields": changed}),
        )
        .event("lead.updated", json!({"fields": changed}));
    journal::write(db, act, entry).await?;
    lead.display_name = after.display_name();
    lead.details = after;
    lead.version += 1;
    Ok(Updated { lead, changed })
}

/// Who the employer is after an edit that names none by id: another one, or nobody any more; none: as before.
///
/// A name says so. An address does so only where nobody has said otherwise, that is of a lead that has no employer or the one
/// that its old address led to; and an address that leads to nobody says nothing.
async fn employer(
    db: &mut PgConnection,
    act: &Act,
    was: &Details,
    patch: &LeadPatch,
) -> Result<Option<Option<CompanyId>>, CommandError> {
    if patch.company_id.is_some() {
        return Ok(None);
    }
    let (after, _) = patch.apply(was.clone()).cleaned();
    let none = CompanyFacts::default();
    let identity = company::identify(&after, &none);
    let is_named = patch.company_name.is_some()
        && (after.company_name != was.company_name || was.company_id.is_none());
    if !is_named {
        let moved = patch.email.is_some() && identity.is_some();
        if !moved || !is_by_address(db, act, was).await? {
            return Ok(None);
        }
    }
    let Some(identity) = identity else {
        return Ok(Some(None));
    };
    let said = serde_json::Map::new();
    let found = companies::resolve(db, act.org, &identity, &none, &said).await?;
    Ok(Some(Some(found.id)))
}

/// Whether a lead has the employer that its address leads to, or none.
async fn is_by_address(db: &mut PgConnection, act: &Act, lead: &Details) -> sqlx::Result<bool> {
    let Some(company) = lead.company_id else {
        return Ok(true);
    };
    let Some(identity) = company::identify(lead, &CompanyFacts::default()) else {
        return Ok(false);
    };
    let found = companies::find(db, act.org, &identity).await?;
    Ok(found.is_some_and(|found| found.id == company))
}
