//! What runs by the clock; held back, and run at once.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use queue::admin::{self, ScheduleRow};
use serde::Serialize;

use super::row::Reader;
use super::{open, sight_of};
use crate::app::App;
use crate::commands::{Refused, ops};
use crate::console::Failed;
use crate::console::frame::{Frame, back};
use crate::console::moment::{Moment, span};
use crate::console::posted::Posted;
use crate::web::session::Session;

/// Where the page is.
pub(super) const PATH: &str = "/ops/schedules";

/// The page.
#[derive(Debug, Serialize)]
struct SchedulesPage {
    frame: Frame,
    schedules: Vec<Schedule>,
}

/// A schedule as pages show it.
#[derive(Debug, Serialize)]
pub(super) struct Schedule {
    #[serde(flatten)]
    row: ScheduleRow,
    last: Option<Moment>,
    next: Option<Moment>,
    /// By how much the last tick was late.
    late: Option<String>,
    /// Whether no program has it any more.
    gone: bool,
}

/// Whether no program has the schedule any more: none that runs, and not this one.
pub(super) fn is_gone(row: &ScheduleRow) -> bool {
    row.programs == 0 && ops::schedule(&row.name).is_err()
}

impl Schedule {
    pub(super) fn of(row: ScheduleRow, reader: &Reader) -> Self {
        let fired_and_due = row.last_fired.zip(row.last_due);
        Self {
            last: row.last_due.map(|at| reader.moment(at)),
            next: row.next_due.map(|at| reader.moment(at)),
            gone: is_gone(&row),
            late: fired_and_due.map(|(fired, due)| span((fired - due).as_seconds_f64())),
            row,
        }
    }
}

/// `GET /ops/schedules`.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    sight.need_whole()?;
    let query = query.unwrap_or_default();
    let about = ("Schedules", "schedules");
    let (frame, mut tx) = open(sight, &app, &session, about, &query).await?;
    let rows = admin::schedules(&mut tx).await?;
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, [].into_iter()).await?;
    let schedules = rows.into_iter().map(|row| Schedule::of(row, &reader));
    let page = SchedulesPage {
        schedules: schedules.collect(),
        frame,
    };
    Ok(app
        .views
        .page(StatusCode::OK, "console/ops/schedules.html", &page))
}

/// `POST /ops/schedules/act`.
pub(super) async fn act(State(app): State<App>, posted: Posted) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    sight_of(session)?.need_whole()?;
    let name = fields.text("name");
    let by = session.act(&app, &posted.client);
    let mut tx = session.begin(&app).await?;
    let said = match fields.text("verb") {
        "pause" => {
            ops::pause_schedule(&mut tx, &by, name, true).await?;
            "paused"
        }
        "resume" => {
            ops::pause_schedule(&mut tx, &by, name, false).await?;
            "resumed"
        }
        "forget" => {
            ops::forget_schedule(&mut tx, &by, name).await?;
            "schedule_forgotten"
        }
        "run" => {
            ops::run_schedule(&mut tx, &by, name).await?;
            "fired"
        }
        _ => {
            let why = "Choose what to do: pause, resume, run or forget";
            return Err(Refused::field("verb", "invalid", why).into());
        }
    };
    tx.commit().await?;
    app.wake.notify();
    Ok(Redirect::to(&back(PATH, PATH, said)).into_response())
}
