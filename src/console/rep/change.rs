//! What reps do to a lead: each a form, one transaction, and back to the page it came from.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone};
use domain::activity::ActivityKind;
use domain::actor::Act;
use domain::clock::Timestamp;
use domain::command::{self, NewActivity};
use domain::contact::{Contact, Direction};
use domain::id::{LeadId, UserId};
use domain::lead::patch::LeadPatch;
use domain::normalise::capitalised;
use domain::org::Visibility;
use domain::status::{Refusal, Status};
use domain::store::{Tx, lead_pages};
use jobs::follow;
use serde_json::Value;

use super::lead::{Tried, lead_id, render};
use crate::app::App;
use crate::commands::input::LeadInput;
use crate::commands::{Refused, instant, leads};
use crate::console::Failed;
use crate::console::frame::{back, status_said};
use crate::console::posted::Posted;
use crate::console::signed_in::{may_administer, may_edit};

/// Longest note.
const NOTES: usize = 10_000;
/// Longest reason.
const REASON: usize = 500;
/// Longest mark of a form that was sent twice.
const ONCE: usize = 100;

/// What a form is refused for.
enum No {
    /// The field is to be mended.
    Field(&'static str, String, StatusCode),
    /// The whole request.
    Page(Refused),
}

impl<E: Into<Refused>> From<E> for No {
    /// What can be mended in a field is told there.
    fn from(error: E) -> Self {
        match error.into() {
            Refused::Status(refusal) => {
                let field = match refusal {
                    Refusal::NeedsReason => "reason",
                    Refusal::Closed(_) => "reopen",
                    Refusal::NotInProfile(_) => "status",
                };
                Self::Field(field, sentence(&refusal.to_string()), StatusCode::CONFLICT)
            }
            Refused::Invalid(mut errors) if !errors.is_empty() => {
                let error = errors.swap_remove(0);
                let field = match error.field.as_str() {
                    "stage_id" => "stage",
                    "assigned_to" => "to",
                    "next_follow_up_at" => "date",
                    "description" => "notes",
                    _ => "status",
                };
                wrong(field, &error.message)
            }
            refused => Self::Page(refused),
        }
    }
}

fn wrong(field: &'static str, problem: &str) -> No {
    No::Field(field, sentence(problem), StatusCode::UNPROCESSABLE_ENTITY)
}

fn sentence(text: &str) -> String {
    capitalised(text) + "."
}

/// A form being worked on.
struct Change<'a> {
    app: &'a App,
    posted: &'a Posted,
    lead: LeadId,
    act: Act,
}

impl Change<'_> {
    fn text(&self, name: &str) -> &str {
        self.posted.fields.text(name)
    }

    fn filled(&self, name: &'static str, most: usize) -> Result<Option<String>, No> {
        let text = self.posted.fields.filled(name);
        if text.is_some_and(|text| text.chars().nth(most).is_some()) {
            return Err(wrong(name, &format!("must be at most {most} characters")));
        }
        Ok(text.map(str::to_owned))
    }

    async fn begin(&self) -> Result<Tx, No> {
        Ok(self.posted.session.begin(self.app).await?)
    }
}

/// Runs `change`, then goes back with its word for it, or shows the lead again with what is to be mended.
async fn run(
    app: App,
    id: String,
    posted: Posted,
    form: &'static str,
    change: impl AsyncFnOnce(&Change<'_>) -> Result<&'static str, No>,
) -> Result<Response, Failed> {
    let lead = lead_id(&id)?;
    may_edit(&posted.session)?;
    let work = Change {
        act: posted.session.act(&app, &posted.client),
        app: &app,
        posted: &posted,
        lead,
    };
    match change(&work).await {
        Ok(said) => {
            app.wake.notify();
            let org = posted.session.member.org;
            app.bells.lead_changed(org, lead).await;
            let own = format!("/dashboard/crm/leads/{lead}");
            let left = match said {
                GONE => Some("assigned"),
                DELETED => Some(DELETED),
                _ => None,
            };
            let (usual, sent, said) = match left {
                Some(said) => (LEADS, LEADS, said),
                None => (&*own, posted.fields.text("back"), said),
            };
            // What the page showed before is what one click goes back to; disqualifying anew would need a reason.
            let was = posted.fields.text("was").parse::<Status>().ok();
            let was = was.filter(|was| form == "status" && *was != Status::Disqualified);
            let said = was.map_or_else(|| said.to_owned(), |was| status_said(lead, was));
            Ok(Redirect::to(&back(sent, usual, &said)).into_response())
        }
        Err(No::Page(refused)) => Err(refused.into()),
        Err(No::Field(field, problem, status)) => {
            let tried = Tried {
                form,
                field,
                problem,
                fields: posted.fields,
                status,
            };
            render(&app, &posted.session, lead, "", Some(tried)).await
        }
    }
}

const LEADS: &str = "/dashboard/crm/leads";
/// The lead was given to somebody else by a person who only sees their own.
const GONE: &str = "gone";
/// Nobody sees the lead any more.
const DELETED: &str = "lead_deleted";

/// `POST …/status`.
pub(super) async fn status(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    run(app, id, posted, "status", async |change| {
        let to: Status = change
            .text("status")
            .parse()
            .map_err(|_| wrong("status", "choose a status"))?;
        let input = LeadInput {
            status: Some(to),
            reason: change.filled("reason", REASON)?,
            reopen: change.text("reopen") == "true",
            ..LeadInput::default()
        };
        let mut tx = change.begin().await?;
        leads::change(&mut tx, &change.act, change.lead, &input).await?;
        tx.commit().await?;
        Ok("status")
    })
    .await
}

/// `POST …/stage`.
pub(super) async fn stage(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    run(app, id, posted, "stage", async |change| {
        let to = change
            .text("stage")
            .parse()
            .map_err(|_| wrong("stage", "choose a stage"))?;
        let input = LeadInput {
            stage: Some(to),
            ..LeadInput::default()
        };
        let mut tx = change.begin().await?;
        leads::change(&mut tx, &change.act, change.lead, &input).await?;
        tx.commit().await?;
        Ok("stage")
    })
    .await
}

/// `POST …/assign`.
pub(super) async fn assign(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    run(app, id, posted, "assign", async |change| {
        let to: Option<UserId> = match change.text("to") {
            "" => None,
            id => Some(id.parse().map_err(|_| wrong("to", "choose somebody"))?),
        };
        let member = &change.posted.session.member;
        let mut tx = change.begin().await?;
        lead_pages::find(&mut tx, member.org, change.lead)
            .await?
            .ok_or(No::Page(Refused::NotFound("lead")))?;
        drop(tx);
        // Who sees their own leads only may give one away, after which they see it no more.
        let mut tx = change.app.db.org(member.org).await?;
        let assigned = command::assign_lead(&mut tx, &change.act, change.lead, to).await?;
        if assigned.changed() && to.is_some_and(|to| to != member.user) {
            follow::after_assignment(&mut tx, member.org, change.lead).await?;
        }
        tx.commit().await?;
        let sees_it = member.effective_visibility() == Visibility::Org || to == Some(member.user);
        Ok(if sees_it { "assigned" } else { GONE })
    })
    .await
}

/// `POST …/contact`.
pub(super) async fn contact(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    run(app, id, posted, "contact", async |change| {
        let method = change
            .text("method")
            .parse()
            .map_err(|_| wrong("method", "choose how"))?;
        let direction = match change.text("direction") {
            "inbound" => Direction::Inbound,
            _ => Direction::Outbound,
        };
        let contact = Contact {
            direction,
            notes: change.filled("notes", NOTES)?,
            // Sent twice by a double click, it counts once.
            dedupe_key: change.filled("once", ONCE)?,
            ..Contact::outbound(method)
        };
        let mut tx = change.begin().await?;
        command::log_contact(&mut tx, &change.act, change.lead, &contact).await?;
        tx.commit().await?;
        Ok("contact")
    })
    .await
}

/// `POST …/follow-up`.
pub(super) async fn follow_up(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    run(app, id, posted, "follow-up", async |change| {
        let at = match change.text("date") {
            "" => None,
            day => Some(
                start_of(day, change)
                    .ok_or_else(|| wrong("date", "this is no day of the calendar"))?,
            ),
        };
        let zone = change.posted.session.zone;
        let day = |at: DateTime<_>| at.with_timezone(&zone).date_naive();
        if at.is_some_and(|at| day(at) < day(change.act.at)) {
            return Err(wrong(
                "date",
                "that day is over; choose today or a later one",
            ));
        }
        let patch = LeadPatch {
            next_follow_up_at: Some(at),
            ..LeadPatch::default()
        };
        let mut tx = change.begin().await?;
        command::update_lead(&mut tx, &change.act, change.lead, &patch, None).await?;
        tx.commit().await?;
        Ok(if at.is_some() {
            "follow_up"
        } else {
            "follow_up_none"
        })
    })
    .await
}

/// When a day begins on the rep's clock.
fn start_of(day: &str, change: &Change<'_>) -> Option<Timestamp> {
    let day: NaiveDate = day.parse().ok()?;
    let zone = change.posted.session.zone;
    // Where clocks skip midnight, the day begins an hour later.
    let hours = (0..3).filter_map(|hour| NaiveTime::from_hms_opt(hour, 0, 0));
    let mut starts =
        hours.filter_map(|hour| zone.from_local_datetime(&day.and_time(hour)).earliest());
    starts
        .next()
        .and_then(|start| instant::in_reach(start.to_utc()))
}

/// `POST …/note`.
pub(super) async fn note(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    run(app, id, posted, "note", async |change| {
        let text = change
            .filled("notes", NOTES)?
            .ok_or_else(|| wrong("notes", "write something first"))?;
        let note = NewActivity {
            kind: ActivityKind::Note,
            description: text,
            data: Value::Object(serde_json::Map::new()),
            occurred_at: None,
        };
        let mut tx = change.begin().await?;
        command::log_activity(&mut tx, &change.act, change.lead, &note).await?;
        tx.commit().await?;
        Ok("note")
    })
    .await
}

/// `POST …/delete`.
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    run(app, id, posted, "delete", async |change| {
        may_administer(&change.posted.session)?;
        let mut tx = change.begin().await?;
        command::soft_delete_lead(&mut tx, &change.act, change.lead).await?;
        tx.commit().await?;
        Ok(DELETED)
    })
    .await
}
