//! Move a lead to another status: the only code that does so, but for [`qualify_many`](super::score_lead::qualify_many).

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, lock, org};
use crate::{
    activity::ActivityKind,
    actor::Act,
    id::LeadId,
    lead::Lead,
    org::Org,
    status::{self, Status, Trigger},
    store::{
        journal::{self, Entry},
        leads,
    },
};

/// A move by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition<'a> {
    /// Where to.
    pub to: Status,
    /// Why; disqualifying needs it.
    pub reason: Option<&'a str>,
    /// A closed lead may be opened again.
    pub reopen: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Where it was.
    pub from: Status,
    /// Where it is; the same if nothing had to be done.
    pub to: Status,
}

impl Moved {
    /// Something changed.
    pub fn changed(&self) -> bool {
        self.from != self.to
    }
}

/// Moves a lead because a person or program says so.
pub async fn transition(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    how: &Transition<'_>,
) -> Result<Moved, CommandError> {
    let org = org(db, act).await?;
    let mut lead = lock(db, act, lead).await?;
    status::by_hand(org.profile, lead.status, how.to, how.reason, how.reopen)?;
    Ok(apply(db, act, &mut lead, how.to, Trigger::Manual, how.reason).await?)
}

/// A rep takes a lead that marketing holds ready. The rules for it are the org's; no door opens to it yet.
pub async fn accept(db: &mut PgConnection, act: &Act, lead: LeadId) -> Result<Moved, CommandError> {
    let org = org(db, act).await?;
    let mut lead = lock(db, act, lead).await?;
    Ok(automatic(db, act, &org, &mut lead, Trigger::Accept).await?)
}

/// Gives a lead back to marketing. As [`accept`], for orgs whose marketing and sales hand leads to each other.
pub async fn recycle(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
) -> Result<Moved, CommandError> {
    let org = org(db, act).await?;
    let mut lead = lock(db, act, lead).await?;
    if org.settings.recycle_resets_mql
        && status::automatic(org.profile, lead.status, Trigger::Recycle).is_some()
    {
        lead.mql_at = None;
    }
    Ok(automatic(db, act, &org, &mut lead, Trigger::Recycle).await?)
}

/// Moves a locked lead where `trigger` takes it in this org, if anywhere.
pub(super) async fn automatic(
    db: &mut PgConnection,
    act: &Act,
    org: &Org,
    lead: &mut Lead,
    trigger: Trigger,
) -> sqlx::Result<Moved> {
    let to = status::automatic(org.profile, lead.status, trigger).unwrap_or(lead.status);
    apply(db, act, lead, to, trigger, None).await
}

/// Moves a locked lead; the caller has asked the rules.
pub(super) async fn apply(
    db: &mut PgConnection,
    act: &Act,
    lead: &mut Lead,
    to: Status,
    trigger: Trigger,
    reason: Option<&str>,
) -> sqlx::Result<Moved> {
    let from = lead.status;
    if from == to {
        return Ok(Moved { from, to });
    }
    stamp(act, lead, to, reason);
    leads::write_status(db, lead).await?;
    journal::status_taken(db, act, lead.id, (Some(from), to), trigger, reason).await?;
    let moved = Moved { from, to };
    journal::write(db, act, entry(act, lead.id, moved, trigger, reason)).await?;
    Ok(moved)
}

/// What is told of a move.
pub(super) fn entry(
    act: &Act,
    lead: LeadId,
    Moved { from, to }: Moved,
    trigger: Trigger,
    reason: Option<&str>,
) -> Entry<'static> {
    let told = json!({"from": from, "to": to, "trigger": trigger, "reason": reason});
    Entry::of_lead("lead.transition", lead)
        .changed(
            json!({"status": from}),
            json!({"status": to, "reason": reason}),
        )
        .line(
            act,
            ActivityKind::StatusChange,
            format!("Status: {from} → {to}"),
            told.clone(),
        )
        .event("lead.status_changed", told)
}

/// Everything a status brings with it.
fn stamp(act: &Act, lead: &mut Lead, to: Status, reason: Option<&str>) {
    let reason = reason.map(str::to_owned);
    match to {
        Status::Mql => lead.mql_at = lead.mql_at.or(Some(act.at)),
        Status::Sql => lead.sql_at = lead.sql_at.or(Some(act.at)),
        Status::Opportunity => lead.opportunity_at = lead.opportunity_at.or(Some(act.at)),
        Status::Disqualified => lead.disqualification_reason = reason,
        Status::Lost => lead.lost_reason = reason,
        _ => {}
    }
    lead.converted_to_customer = to.is_won();
    if to.is_won() {
        if !lead.is_won {
            lead.converted_at = Some(act.at);
            lead.conversion_source = lead.last_contact_method.map(|method| method.to_string());
        }
    } else {
        (lead.converted_at, lead.conversion_source) = (None, None);
    }
    (lead.is_open, lead.is_won) = (to.is_open(), to.is_won());
    (lead.status, lead.status_changed_at) = (to, act.at);
    lead.version += 1;
}
