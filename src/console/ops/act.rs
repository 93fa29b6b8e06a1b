//! Run jobs again, call them off, remove them: those that were chosen, each by itself, and written into the audit log.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use domain::actor::Act as Circumstances;
use domain::store::Tx;
use domain::store::journal::{self, Entry};
use queue::admin::{self, Act, Refused as Unmoved};
use serde_json::json;

use super::Sight;
use super::filter::PATH;
use crate::app::App;
use crate::commands::Refused;
use crate::console::Failed;
use crate::console::frame::back;
use crate::console::posted::Posted;

/// Most jobs that can be chosen at once.
const MOST: usize = 200;
/// Longest reason, in characters.
const LONGEST: usize = 500;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Retry,
    Cancel,
    Delete,
}

impl Verb {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "retry" => Self::Retry,
            "cancel" => Self::Cancel,
            "delete" => Self::Delete,
            _ => return None,
        })
    }

    /// The verb in the audit log.
    fn audited(self) -> &'static str {
        match self {
            Self::Retry => "job.retry",
            Self::Cancel => "job.cancel",
            Self::Delete => "job.delete",
        }
    }

    /// What the page says when it is done.
    fn done(self) -> &'static str {
        match self {
            Self::Retry => "retried",
            Self::Cancel => "cancelled",
            Self::Delete => "deleted",
        }
    }
}

/// `POST /ops/jobs/act`.
pub(super) async fn act(State(app): State<App>, posted: Posted) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    let sight = Sight::of(session)?;
    let verb = Verb::read(fields.text("verb")).ok_or_else(|| {
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
    let given = fields.filled("reason").unwrap_or("from the console");
    let reason: String = given.chars().take(LONGEST).collect();
    let circumstances = session.act(&app, &posted.client);

    let mut done: u32 = 0;
    let mut unmoved = None;
    let mut tx = session.begin(&app).await?;
    for id in &chosen {
        match one(&mut tx, sight, verb, *id, &reason).await {
            Ok((act, kind)) => {
                done += 1;
                audit(&mut tx, &circumstances, verb, (*id, &kind), act, &reason).await?;
            }
            Err(Unmoved::Database(error)) => return Err(error.into()),
            Err(other) => unmoved = Some(other),
        }
    }
    tx.commit().await?;
    if done > 0 && verb == Verb::Retry {
        app.wake.notify();
    }
    // Of one job it is said why; of many, how many it were.
    if let (Some(unmoved), [_]) = (unmoved, chosen.as_slice()) {
        return Err(match unmoved {
            Unmoved::Unknown(_) => Refused::NotFound("job"),
            other => Refused::Illegal(other.to_string()),
        }
        .into());
    }
    let said = match done {
        0 => "nothing".to_owned(),
        done => format!("{}.{done}", verb.done()),
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

/// Does it to one job; says what was done, and to a job of which kind.
async fn one(
    tx: &mut Tx,
    sight: Sight,
    verb: Verb,
    id: i64,
    reason: &str,
) -> Result<(Act, String), Unmoved> {
    let found = admin::show(tx, id).await?;
    let found = found.filter(|found| sight.takes_in(found.job.lane));
    let found = found.ok_or(Unmoved::Unknown(id))?;
    let done = match verb {
        Verb::Retry => admin::retry(tx, id).await,
        Verb::Cancel => admin::cancel(tx, id, reason).await,
        Verb::Delete => admin::delete(tx, id).await,
    };
    Ok((done?, found.job.kind))
}

async fn audit(
    tx: &mut Tx,
    circumstances: &Circumstances,
    verb: Verb,
    (job, kind): (i64, &str),
    act: Act,
    reason: &str,
) -> sqlx::Result<()> {
    let what = json!({"job": job, "kind": kind, "done": act, "reason": reason});
    let entry = Entry {
        id: None,
        ..Entry::of(verb.audited(), "job", uuid::Uuid::nil())
    };
    journal::write(tx, circumstances, entry.after(what)).await?;
    Ok(())
}
