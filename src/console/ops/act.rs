//! Run jobs again, call them off, remove them: those that were chosen, each by itself, and written into the audit log.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use queue::admin::Refused as Unmoved;

use super::filter::PATH;
use super::sight_of;
use crate::app::App;
use crate::commands::Refused;
use crate::commands::ops::{self, Verb};
use crate::console::Failed;
use crate::console::frame::back;
use crate::console::posted::{Fields, Posted};

/// Most jobs that can be chosen at once.
const MOST: usize = 200;
/// Longest reason, in characters.
const LONGEST: usize = 500;

/// What is to be done.
fn verb(text: &str) -> Option<Verb> {
    Some(match text {
        "retry" => Verb::Retry,
        "cancel" => Verb::Cancel,
        "delete" => Verb::Delete,
        _ => return None,
    })
}

/// What the page says when it is done.
fn done_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Retry => "retried",
        Verb::Cancel => "cancelled",
        Verb::Delete => "deleted",
    }
}

/// Why, as somebody typed it.
pub(super) fn reason(fields: &Fields) -> Result<&str, Refused> {
    let reason = fields.filled("reason").unwrap_or("from the console");
    if reason.chars().nth(LONGEST).is_some() {
        let told = format!("Must be at most {LONGEST} characters");
        return Err(Refused::field("reason", "too_long", told));
    }
    Ok(reason)
}

/// `POST /ops/jobs/act`.
pub(super) async fn act(State(app): State<App>, posted: Posted) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    let sight = sight_of(session)?;
    let verb = verb(fields.text("verb")).ok_or_else(|| {
        Refused::field(
            "verb",
            "invalid",
            "Choose what to do: retry, cancel or delete",
        )
    })?;
    let chosen: Vec<i64> = fields.all("id").filter_map(|id| id.parse().ok()).collect();
    if chosen.len() > MOST {
        return Err(Refused::field("id", "too_many", format!("Choose at most {MOST} jobs")).into());
    }
    let reason = reason(fields)?;
    let circumstances = session.act(&app, &posted.client);

    let mut done: u32 = 0;
    let mut unmoved = None;
    let mut tx = session.begin(&app).await?;
    for id in &chosen {
        match ops::job(&mut tx, &circumstances, sight, verb, *id, reason).await {
            Ok(_) => done += 1,
            Err(Unmoved::Database(error)) => return Err(error.into()),
            Err(other) => unmoved = Some(other),
        }
    }
    tx.commit().await?;
    // Whoever runs one that is called off hears of it at once.
    if done > 0 && verb != Verb::Delete {
        app.wake.notify();
    }
    // Of one job it is said why; of many, how many it were.
    if let (Some(unmoved), [_]) = (unmoved, chosen.as_slice()) {
        return Err(Refused::from(unmoved).into());
    }
    let said = match done {
        0 => "nothing".to_owned(),
        done => format!("{}.{done}", done_word(verb)),
    };
    // What was deleted has no page to go back to.
    let sent = fields.text("back");
    let is_gone = |id: &i64| verb == Verb::Delete && sent == format!("{PATH}/{id}");
    let sent = if chosen.iter().any(is_gone) {
        PATH
    } else {
        sent
    };
    Ok(Redirect::to(&back(sent, PATH, &said)).into_response())
}
