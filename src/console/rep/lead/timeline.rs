//! What happened to a lead, entry by entry.

use domain::activity::{Activity, ActivityKind};
use domain::normalise::capitalised;
use serde::Serialize;
use serde_json::Value;

use crate::console::moment::Moment;
use crate::console::rep::row::Reader;
use crate::console::words;

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
        text: told(activity),
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

/// What happened as a sentence: from what programs are told where that says more than its line, else the line itself.
fn told(activity: &Activity) -> String {
    let data = &activity.activity_data;
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    let status = |name: &str| Some(words::status(text(name)?.parse().ok()?));
    let fields = || {
        let names = data.get("fields")?.as_array()?.iter();
        let names: Vec<String> = names.filter_map(Value::as_str).map(field).collect();
        Some(names.join(", ")).filter(|names| !names.is_empty())
    };
    let sentence = match activity.kind {
        ActivityKind::StatusChange => status("to").map(|to| match status("from") {
            Some(from) => format!("Status changed from {from} to {to}"),
            None => format!("Status set to {to}"),
        }),
        ActivityKind::StageChange => text("to_name").map(|to| match text("from_name") {
            Some(from) => format!("Moved from the stage {from} to {to}"),
            None => format!("Moved to the stage {to}"),
        }),
        ActivityKind::ScoreChange => score(data),
        ActivityKind::Updated => fields().map(|fields| format!("Changed: {fields}")),
        ActivityKind::Created => channel(data).map(|by| format!("Came in by {by}")),
        ActivityKind::FormSubmit => channel(data).map(|by| format!("Came again by {by}")),
        ActivityKind::Enrichment if text("outcome") == Some("matched") => fields().map(|fields| {
            let provider = text("provider").unwrap_or("A provider");
            format!("{} added: {fields}", capitalised(provider))
        }),
        ActivityKind::Call
        | ActivityKind::Email
        | ActivityKind::EmailReplied
        | ActivityKind::Meeting
        | ActivityKind::Sms
        | ActivityKind::Linkedin => text("method").and_then(|method| {
            let method = words::method(method.parse().ok()?);
            Some(match text("direction") {
                Some("inbound") => format!("They answered: {method}"),
                _ => format!("Contacted: {method}"),
            })
        }),
        _ => None,
    };
    sentence.unwrap_or_else(|| activity.description.clone())
}

fn score(data: &Value) -> Option<String> {
    let number = |name: &str| data.get(name).and_then(Value::as_i64);
    let band = data.get("band").and_then(Value::as_str)?;
    let to = number("to")?;
    Some(match number("from") {
        Some(from) => format!("Score went from {from} to {to}, {band}"),
        None => format!("Scored {to} of 100, {band}"),
    })
}

fn channel(data: &Value) -> Option<&'static str> {
    let channel = data.get("channel")?.as_str()?.parse().ok()?;
    Some(words::channel(channel))
}

/// A field of a lead as people say it.
fn field(code: &str) -> String {
    match code {
        "next_follow_up_at" => "follow-up date".into(),
        "company_name" => "company".into(),
        "estimated_value_minor" => "deal value".into(),
        "linkedin_url" => "LinkedIn profile".into(),
        "email" => "e-mail address".into(),
        other => {
            let plain = other.strip_suffix("_url").unwrap_or(other);
            words::spoken(plain.strip_suffix("_id").unwrap_or(plain)).to_lowercase()
        }
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
