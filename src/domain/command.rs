//! What can be done to the business, by whomever: REST, tRPC, console, command line and jobs.
//!
//! Every command runs in the caller's transaction, which is scoped to the org already, and writes the row, its history,
//! the timeline, the event and the audit entry there. The caller enqueues what follows in the same transaction.

mod api_keys;
mod assign_lead;
mod capture_lead;
mod create_form;
mod create_org;
mod delete_lead;
mod enrich_lead;
mod log_activity;
mod log_contact;
mod move_stage;
mod providers;
mod rescore_org;
mod score_lead;
mod sign_in_link;
mod transition;
mod update_lead;

pub use api_keys::{create_api_key, revoke_api_key};
pub use assign_lead::{Assigned, assign_lead, auto_assign};
pub use capture_lead::{CaptureOutcome, Captured, capture_lead, create_lead};
pub use create_form::create_form;
pub use create_org::{
    NewMember, add_member, admit, assign_by_itself, create_org, ensure_default_pipeline,
};
pub use delete_lead::soft_delete_lead;
pub use enrich_lead::{Enriched, record_enrichment};
pub use log_activity::{NewActivity, log_activity};
pub use log_contact::{Contacted, log_contact};
pub use move_stage::{StageMoved, move_stage};
pub use providers::{connect_provider, disconnect_provider};
pub use rescore_org::{Rescored, Stretch, next_stretch, rescore_stretch};
pub use score_lead::{Scored, record_score};
pub use sign_in_link::new_sign_in_link;
pub use transition::{Moved, Transition, accept, recycle, transition};
pub use update_lead::{Updated, update_lead};

use serde_json::{Map, Value};
use sqlx::PgConnection;

use crate::{
    actor::Act,
    id::LeadId,
    lead::{Details, Lead},
    org::Org,
    status::Refusal,
    store,
};

/// Why a command was not carried out; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not there, or not for this caller to see.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The rules for statuses refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A lead with this address is there already.
    #[error("a lead with this e-mail address exists")]
    Duplicate(LeadId),
    /// The same, but it is not for this caller to see.
    #[error("a lead with this e-mail address exists")]
    Taken,
    /// The lead changed since the caller read it; this is its version now.
    #[error("the lead was changed in the meantime; its version is now {0}")]
    Stale(i32),
    /// Some field cannot be taken.
    #[error("{field} {why}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The database failed or refused.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for CommandError {
    /// Two that take the same address at once: the second is told as if it had come later.
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|e| e.constraint()) {
            Some("leads_org_email_uq") => Self::Taken,
            _ => Self::Database(error),
        }
    }
}

/// The org acted in.
async fn org(db: &mut PgConnection, act: &Act) -> Result<Org, CommandError> {
    store::orgs::find(db, act.org)
        .await?
        .ok_or(CommandError::NotFound("organisation"))
}

/// The lead acted on, held until the transaction ends.
async fn lock(db: &mut PgConnection, act: &Act, lead: LeadId) -> Result<Lead, CommandError> {
    store::leads::lock(db, act.org, lead)
        .await?
        .ok_or(CommandError::NotFound("lead"))
}

/// The fields that differ, as they were and as they are.
fn difference(before: &Details, after: &Details) -> (Map<String, Value>, Map<String, Value>) {
    let object = |details: &Details| match serde_json::to_value(details) {
        Ok(Value::Object(map)) => map,
        other => unreachable!("the details of a lead are a JSON object, not {other:?}"),
    };
    let (before, after) = (object(before), object(after));
    let differs = |key: &String| before.get(key) != after.get(key);
    let keys: Vec<_> = after.keys().filter(|key| differs(key)).cloned().collect();
    let pick = |map: &Map<String, Value>| {
        keys.iter()
            .map(|key| (key.clone(), map.get(key).cloned().unwrap_or_default()))
            .collect()
    };
    (pick(&before), pick(&after))
}
