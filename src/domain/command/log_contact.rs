//! A lead was spoken to, or spoke.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, lock, org, transition};
use crate::{
    activity::ActivityKind,
    actor::Act,
    contact::{Contact, ContactMethod, ContactState, Direction},
    id::LeadId,
    status::Trigger,
    store::{
        journal::{self, Entry},
        leads,
    },
};

/// A lead after a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Contacted {
    /// Its counters.
    pub state: ContactState,
    /// Its status.
    pub status: transition::Moved,
    /// False: it was reported before, and nothing changed.
    pub counted: bool,
}

/// Counts a contact, once per dedupe key, and moves the lead on.
pub async fn log_contact(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    contact: &Contact,
) -> Result<Contacted, CommandError> {
    let org = org(db, act).await?;
    let mut lead = lock(db, act, lead).await?;
    let mut status = transition::Moved {
        from: lead.status,
        to: lead.status,
    };
    let counted = journal::contacted(db, act, lead.id, contact).await?;
    if counted {
        let before =
            json!({"contact_count": lead.contact_count, "response_count": lead.response_count});
        match contact.direction {
            Direction::Outbound => {
                lead.contact_count += 1;
                lead.last_contacted_at = Some(act.at);
                lead.last_contact_method = Some(contact.method);
            }
            Direction::Inbound => {
                lead.response_count += 1;
                lead.last_response_at = Some(act.at);
            }
        }
        leads::write_contact(db, &lead).await?;
        let after =
            json!({"contact_count": lead.contact_count, "response_count": lead.response_count});
        let (verb, event, trigger) = match contact.direction {
            Direction::Outbound => ("Contacted", "lead.contacted", Trigger::Contact),
            Direction::Inbound => ("Answered", "lead.replied", Trigger::Reply),
        };
        let told = json!({"method": contact.method, "direction": contact.direction, "notes": contact.notes,
            "subject": contact.subject, "successful": contact.successful});
        let entry = Entry::of_lead("lead.contact", lead.id)
            .changed(before, after)
            .line(
                act,
                kind(contact),
                format!("{verb} by {}", contact.method),
                told,
            )
            .event(event, json!({"method": contact.method}));
        journal::write(db, act, entry).await?;
        status = transition::automatic(db, act, &org, &mut lead, trigger).await?;
    }
    let state = ContactState {
        last_contacted_at: lead.last_contacted_at,
        last_contact_method: lead.last_contact_method,
        contact_count: lead.contact_count,
        last_response_at: lead.last_response_at,
        response_count: lead.response_count,
    };
    Ok(Contacted {
        state,
        status,
        counted,
    })
}

fn kind(contact: &Contact) -> ActivityKind {
    match (contact.method, contact.direction) {
        (ContactMethod::Email, Direction::Inbound) => ActivityKind::EmailReplied,
        (ContactMethod::Email, Direction::Outbound) if contact.email_message.is_some() => {
            ActivityKind::EmailSent
        }
        (ContactMethod::Email, Direction::Outbound) => ActivityKind::Email,
        (ContactMethod::Linkedin, _) => ActivityKind::Linkedin,
        (ContactMethod::Call, _) => ActivityKind::Call,
        (ContactMethod::Meeting, _) => ActivityKind::Meeting,
        (ContactMethod::Sms, _) => ActivityKind::Sms,
        (ContactMethod::Other, _) => ActivityKind::Other,
    }
}
