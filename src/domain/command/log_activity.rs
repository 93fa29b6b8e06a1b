//! Write into the timeline of a lead.

use serde_json::Value;
use sqlx::PgConnection;

use super::{CommandError, lock};
use crate::{
    activity::ActivityKind,
    actor::Act,
    clock::Timestamp,
    id::{ActivityId, LeadId},
    normalise,
    store::journal::{self, Entry, Line},
};

/// What a person did with a lead.
#[derive(Debug, Clone, PartialEq)]
pub struct NewActivity {
    /// What.
    pub kind: ActivityKind,
    /// In words.
    pub description: String,
    /// For programs.
    pub data: Value,
    /// When; none: now.
    pub occurred_at: Option<Timestamp>,
}

/// Longest description.
const LONGEST: usize = 10_000;

/// Writes an entry of the kinds that people write.
pub async fn log_activity(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    new: &NewActivity,
) -> Result<ActivityId, CommandError> {
    if !new.kind.is_manual() {
        return Err(CommandError::Invalid {
            field: "type",
            why: "is written by the platform only",
        });
    }
    lock(db, act, lead).await?;
    let mut entry =
        Entry::of_lead("lead.log_activity", lead).after(serde_json::json!({"type": new.kind}));
    entry.activity = Some(Line {
        kind: new.kind,
        description: normalise::text(&new.description, LONGEST).unwrap_or_default(),
        data: normalise::json(new.data.clone()),
        dedupe_key: None,
        at: new.occurred_at.unwrap_or(act.at).min(act.at),
    });
    let entry = entry.event(
        "lead.activity_logged",
        serde_json::json!({"type": new.kind}),
    );
    Ok(journal::write(db, act, entry).await?)
}
