//! Edit what is known about a lead.

use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, difference, lock};
use crate::{
    activity::ActivityKind,
    actor::Act,
    company::{self, CompanyFacts},
    id::LeadId,
    lead::{Lead, patch::LeadPatch},
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
    let names_company = patch.company_name.is_some() || patch.email.is_some();
    let mut company = None;
    if patch.company_id.is_none() && names_company {
        let (after, _) = patch.apply(seen.details.clone()).cleaned();
        if let Some(identity) = company::identify(&after, &CompanyFacts::default()) {
            let none = CompanyFacts::default();
            let said = serde_json::Map::new();
            let found = companies::resolve(db, act.org, &identity, &none, &said);
            company = Some(found.await?);
        }
    }
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
    if patch.company_id.is_none() && names_company {
        after.company_id = company.as_ref().map(|company| company.id);
    }
    let company = match (company, after.company_id) {
        (None, Some(company)) => {
            let found = companies::find_by_id(db, act.org, company).await?;
            Some(found.ok_or(CommandError::NotFound("company"))?)
        }
        (company, _) => company,
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
