//! Take in a lead: make it, or join it with the one that is known under the same address.
//!
//! However many captures of one address run at once, there is one lead: the insert and the unique index decide who makes
//! it, everybody else joins. Those who name the same phone and no address take turns, and so do those who name the same id of
//! a provider's.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, assign_lead, difference, lock, move_stage, org};
use crate::{
    activity::ActivityKind,
    actor::Act,
    capture::{Capture, OnDuplicate},
    company,
    id::LeadId,
    lead::{Details, EmailStatus},
    normalise,
    status::{Status, Trigger},
    store::{
        companies,
        journal::{self, AssignMethod, Entry},
        leads::{self, NewLead},
        stages,
    },
};

/// How often a lead is looked for again that was there and is gone; each round somebody else got further.
const MOST_ROUNDS: usize = 5;
/// The number that Google's test leads carry: it says nothing about who somebody is.
const TEST_PHONE: &str = "+16505550123";

/// What became of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum CaptureOutcome {
    /// A lead was made.
    Created,
    /// It joined a lead that was there.
    Merged,
    /// It joined a lead that was there and told nothing new.
    Known,
}

/// The lead of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// The lead.
    pub lead: LeadId,
    /// What became of the capture.
    pub outcome: CaptureOutcome,
}

/// Takes in a lead from outside; one that is known is joined as the capture says.
pub async fn capture_lead(
    db: &mut PgConnection,
    act: &Act,
    capture: &Capture,
) -> Result<Captured, CommandError> {
    let org = org(db, act).await?;
    if !org.is_active() {
        return Err(CommandError::NotFound("organisation"));
    }
    let (details, cut) = prepare(db, act, capture).await?;
    for _ in 0..MOST_ROUNDS {
        let known = match find(db, act, capture, &details).await? {
            Some(known) => known,
            None => match insert(db, act, capture, &details, &cut).await? {
                Some(lead) => {
                    return Ok(Captured {
                        lead,
                        outcome: CaptureOutcome::Created,
                    });
                }
                // Somebody else made it this moment: look again.
                None => continue,
            },
        };
        match join(db, act, capture, &details, known).await {
            Err(CommandError::NotFound(_)) => continue,
            joined => return joined,
        }
    }
    Err(CommandError::Taken)
}

/// Makes a lead that a person typed in; one that is known is named instead.
pub async fn create_lead(
    db: &mut PgConnection,
    act: &Act,
    capture: &Capture,
) -> Result<LeadId, CommandError> {
    org(db, act).await?;
    let (details, cut) = prepare(db, act, capture).await?;
    for _ in 0..MOST_ROUNDS {
        if let Some(known) = find(db, act, capture, &details).await? {
            return Err(CommandError::Duplicate(known));
        }
        if let Some(lead) = insert(db, act, capture, &details, &cut).await? {
            return Ok(lead);
        }
    }
    Err(CommandError::Taken)
}

/// The details as they are stored, employer and size class resolved; and the texts that had to be cut.
async fn prepare(
    db: &mut PgConnection,
    act: &Act,
    capture: &Capture,
) -> Result<(Details, Vec<&'static str>), CommandError> {
    let (mut details, cut) = capture.details.clone().cleaned();
    if !details.is_somebody() {
        return Err(CommandError::Invalid {
            field: "email",
            why: "or phone, profile or name must be given",
        });
    }
    details.source_category = capture.source.unwrap_or(capture.channel.default_source());
    let company = match details.company_id {
        // Whoever names the employer knows it.
        Some(named) => {
            let found = companies::find_by_id(db, act.org, named).await?;
            Some(found.ok_or(CommandError::NotFound("company"))?)
        }
        None => match company::identify(&details, &capture.company) {
            Some(identity) => {
                let (facts, said) = (&capture.company, Default::default());
                Some(companies::resolve(db, act.org, &identity, facts, &said).await?)
            }
            None => None,
        },
    };
    details.company_id = company.as_ref().map(|company| company.id);
    let employees = company.and_then(|company| company.employees);
    details.segment = company::segment(details.enrollment, employees).map(str::to_owned);
    Ok((details, cut))
}

/// The lead this is an account of: by what others call it, by its address, or without one by its phone.
async fn find(
    db: &mut PgConnection,
    act: &Act,
    capture: &Capture,
    details: &Details,
) -> Result<Option<LeadId>, CommandError> {
    let mut names: Vec<_> = capture
        .external
        .iter()
        .map(|external| format!("{} {}", external.provider, external.id))
        .collect();
    // Everybody in the same order.
    names.sort_unstable();
    for name in &names {
        leads::take_turns(db, act.org, name).await?;
    }
    for external in &capture.external {
        if let Some(known) = leads::find_by_external(db, act.org, external).await? {
            return Ok(Some(known));
        }
    }
    Ok(match (&details.email, &details.phone_e164) {
        (Some(email), _) => leads::find_by_email(db, act.org, email).await?,
        (None, Some(phone)) if phone != TEST_PHONE => {
            leads::take_turns(db, act.org, phone).await?;
            leads::find_by_phone(db, act.org, phone).await?
        }
        _ => None,
    })
}

async fn insert(
    db: &mut PgConnection,
    act: &Act,
    capture: &Capture,
    details: &Details,
    cut: &[&str],
) -> Result<Option<LeadId>, CommandError> {
    let stage = match capture.stage {
        Some(stage) => Some(
            stages::find(db, act.org, stage)
                .await?
                .ok_or(CommandError::NotFound("stage"))?,
        ),
        None => stages::find_default(db, act.org).await?,
    };
    let id = LeadId::new();
    let address = details.email.as_deref();
    let new = NewLead {
        id,
        details,
        channel: capture.channel,
        created_by: act.actor.user(),
        email_status: match address {
            Some(address) if normalise::email(address).is_none() => EmailStatus::Invalid,
            _ => EmailStatus::Unknown,
        },
        is_test: capture.is_test,
        at: act.at,
    };
    if !leads::insert(db, act.org, &new).await? {
        return Ok(None);
    }
    leads::insert_external(db, act.org, id, &capture.external, act.at).await?;
    journal::status_taken(db, act, id, (None, Status::New), Trigger::Created, None).await?;
    let told = json!({"channel": capture.channel, "source": details.source_category, "cut": cut});
    let entry = Entry::of_lead("lead.create", id)
        .after(serde_json::to_value(details).unwrap_or_default())
        .line(
            act,
            ActivityKind::Created,
            format!(
                "Captured by {}",
                capture.channel.to_string().replace('_', " ")
            ),
            told.clone(),
        )
        .event("lead.created", told);
    journal::write(db, act, entry).await?;

    if stage.is_some() || capture.assigned_to.is_some() {
        let mut lead = lock(db, act, id).await?;
        if let Some(stage) = stage {
            move_stage::first(db, act, &mut lead, &stage).await?;
        }
        if let Some(user) = capture.assigned_to {
            assign_lead::apply(db, act, &mut lead, Some(user), AssignMethod::Manual, None).await?;
        }
    }
    Ok(Some(id))
}

async fn join(
    db: &mut PgConnection,
    act: &Act,
    capture: &Capture,
    new: &Details,
    known: LeadId,
) -> Result<Captured, CommandError> {
    let lead = lock(db, act, known).await?;
    // A lead that is known by its phone or foreign id keeps its own address; another's would make two people one.
    let mut new = new.clone();
    if let Some(own) = lead.details.email.as_deref().map(normalise::address)
        && new.email.as_deref().map(normalise::address) != Some(own)
    {
        new.email = None;
    }
    let after = match capture.on_duplicate {
        OnDuplicate::Merge => lead.details.clone().filled_from(&new),
        OnDuplicate::Overwrite => lead.details.clone().overwritten_by(&new),
        OnDuplicate::Ignore => lead.details.clone(),
    };
    let (was, is) = difference(&lead.details, &after);
    let outcome = if is.is_empty() {
        CaptureOutcome::Known
    } else {
        CaptureOutcome::Merged
    };
    if !is.is_empty() {
        leads::write_details(db, act.org, known, &after).await?;
    }
    leads::insert_external(db, act.org, known, &capture.external, act.at).await?;
    let fields: Vec<_> = is.keys().cloned().collect();
    let told = json!({
        "channel": capture.channel, "fields": fields, "message": new.message, "answers": new.form_submission_data,
        "source_url": new.source_url, "utm_source": new.utm_source, "utm_medium": new.utm_medium,
        "utm_campaign": new.utm_campaign,
    });
    let entry = Entry::of_lead("lead.merge", known)
        .changed(was.into(), is.into())
        .line(
            act,
            ActivityKind::FormSubmit,
            format!("Came again by {}", capture.channel),
            told,
        )
        .event(
            "lead.merged",
            json!({"channel": capture.channel, "fields": fields}),
        );
    journal::write(db, act, entry).await?;
    Ok(Captured {
        lead: known,
        outcome,
    })
}
