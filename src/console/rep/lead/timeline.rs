//! What happened to a lead, entry by entry.

use domain::activity::{Activity, ActivityKind};
use serde::Serialize;

use crate::console::moment::Moment;
use crate::console::rep::row::Reader;

/// An entry.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// Names the mark in front.
    mark: &'static str,
    text: String,
    more: String,
    who: String,
    at: Moment,
}

pub(super) fn entry(activity: &Activity, reader: &Reader<'_>) -> Entry {
    let notes = activity.activity_data.get("notes");
    Entry {
        mark: mark(activity.kind),
        text: activity.description.clone(),
        more: notes
            .and_then(|notes| notes.as_str())
            .unwrap_or_default()
            .to_owned(),
        who: activity
            .user_name
            .clone()
            .unwrap_or_else(|| "Leadmill".into()),
        at: reader.moment(activity.occurred_at),
    }
}

fn mark(kind: ActivityKind) -> &'static str {
    match kind {
        ActivityKind::Call | ActivityKind::Meeting | ActivityKind::Sms | ActivityKind::Linkedin => {
            "talk"
        }
        ActivityKind::Email
        | ActivityKind::EmailSent
        | ActivityKind::EmailOpened
        | ActivityKind::EmailClicked
        | ActivityKind::EmailReplied => "mail",
        ActivityKind::StageChange | ActivityKind::StatusChange => "move",
        ActivityKind::Assignment => "person",
        ActivityKind::Enrichment => "look",
        ActivityKind::ScoreChange => "score",
        ActivityKind::Created
        | ActivityKind::FormSubmit
        | ActivityKind::Import
        | ActivityKind::Merge => "in",
        ActivityKind::EmailBounced | ActivityKind::SlaBreach | ActivityKind::Unsubscribed => {
            "alarm"
        }
        ActivityKind::Note | ActivityKind::Updated | ActivityKind::Task => "note",
        ActivityKind::Nurture | ActivityKind::Workflow | ActivityKind::Other => "dot",
    }
}
