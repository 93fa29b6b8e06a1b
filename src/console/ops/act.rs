//! Run jobs again, call them off, remove them: those that were chosen, each by itself, and written into the audit log.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use domain::actor::Act;
use queue::admin::{Act as Done, Refused as Unmoved};

use super::filter::PATH;
use super::sight_of;
use crate::app::App;
use crate::commands::Refused;
use crate::commands::ops::{self, Sight, Verb};
use crate::console::Failed;
use crate::console::frame::back;
use crate::console::posted::{Fields, Posted};
use crate::web::session::Session;

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

/// What became of the jobs that were chosen.
#[derive(Debug, Default)]
struct Tally {
    retried: u32,
    hastened: u32,
    cancelled: u32,
    stopping: u32,
    deleted: u32,
    unmoved: u32,
}

impl Tally {
    fn add(&mut self, done: Done) {
        *match done {
            Done::Retried(_) => &mut self.retried,
            Done::Hastened => &mut self.hastened,
            Done::Cancelled => &mut self.cancelled,
            Done::Cancelling => &mut self.stopping,
            Done::Deleted => &mut self.deleted,
        } += 1;
    }

    /// The words that the next page says it by.
    fn said(&self) -> String {
        let all = [
            ("retried", self.retried),
            ("hastened", self.hastened),
            ("cancelled", self.cancelled),
            ("stopping", self.stopping),
            ("deleted", self.deleted),
        ];
        let done = all.iter().filter(|(_, count)| *count > 0);
        let mut words: Vec<String> = done
            .map(|(word, count)| format!("{word}.{count}"))
            .collect();
        if words.is_empty() {
            return "nothing".into();
        }
        if self.unmoved > 0 {
            words.push(format!("unmoved.{}", self.unmoved));
        }
        words.join(",")
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
    let mut chosen: Vec<i64> = fields.all("id").filter_map(|id| id.parse().ok()).collect();
    if chosen.len() > MOST {
        return Err(Refused::field("id", "too_many", format!("Choose at most {MOST} jobs")).into());
    }
    chosen.sort_unstable();
    chosen.dedup();
    let reason = reason(fields)?;
    let order = Order {
        app: &app,
        session,
        by: session.act(&app, &posted.client),
        sight,
        verb,
        reason,
    };

    let mut tally = Tally::default();
    let mut unmoved = None;
    let mut broken = None;
    for id in &chosen {
        match order.carry_out(*id).await {
            Ok(done) => tally.add(done),
            Err(Unmoved::Database(error)) => {
                broken = Some(error);
                break;
            }
            Err(other) => {
                tally.unmoved += 1;
                unmoved = Some(other);
            }
        }
    }
    // Whoever runs one that is called off hears of it at once.
    if verb != Verb::Delete {
        app.wake.notify();
    }
    if let Some(error) = broken {
        return Err(error.into());
    }
    // Of one job it is said why; of many, how many it were.
    if let (Some(unmoved), [_]) = (unmoved, chosen.as_slice()) {
        return Err(Refused::from(unmoved).into());
    }
    // What was deleted has no page to go back to.
    let sent = fields.text("back");
    let is_gone = |id: &i64| verb == Verb::Delete && sent == format!("{PATH}/{id}");
    let sent = if chosen.iter().any(is_gone) {
        PATH
    } else {
        sent
    };
    Ok(Redirect::to(&back(sent, PATH, &tally.said())).into_response())
}

/// What somebody wants done to each of the jobs that they chose.
struct Order<'a> {
    app: &'a App,
    session: &'a Session,
    by: Act,
    sight: Sight,
    verb: Verb,
    reason: &'a str,
}

impl Order<'_> {
    /// Does it to one job, in a transaction of its own: in one with the next, that job would be locked after the batch of this
    /// one, and workers lock jobs first.
    async fn carry_out(&self, id: i64) -> Result<Done, Unmoved> {
        let mut tx = self.session.begin(self.app).await?;
        let done = ops::job(&mut tx, &self.by, self.sight, self.verb, id, self.reason).await?;
        tx.commit().await?;
        Ok(done)
    }
}
