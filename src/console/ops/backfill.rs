//! Ticks of a schedule that fell due and never fired: which there are in a span of time, and firing them.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use domain::clock::Timestamp;
use serde::Serialize;

use super::schedules::PATH;
use super::{open, sight_of};
use crate::app::App;
use crate::commands::query::Parameters;
use crate::commands::{Refused, instant, ops};
use crate::console::Failed;
use crate::console::frame::{Frame, back, without};
use crate::console::moment::Moment;
use crate::console::posted::Posted;
use crate::web::session::Session;

/// Most ticks that are told one by one.
const TOLD: usize = 50;

/// The page.
#[derive(Debug, Serialize)]
struct BackfillPage {
    frame: Frame,
    /// The schedule.
    name: String,
    /// Whose clock the fields show.
    zone: String,
    from: String,
    to: String,
    /// Mistakes by field.
    problems: BTreeMap<String, String>,
    /// What was asked for, if it was.
    found: Option<Found>,
}

/// Ticks that would fire.
#[derive(Debug, Serialize)]
struct Found {
    count: usize,
    ticks: Vec<Moment>,
    /// How many are not told one by one.
    more: usize,
    /// The first and the last, for the button that fires just these.
    first: String,
    last: String,
}

impl Found {
    fn of(missing: &[Timestamp], now: Timestamp, zone: Tz) -> Self {
        let exact =
            |at: Option<&Timestamp>| at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        let told = missing.iter().take(TOLD);
        Self {
            count: missing.len(),
            ticks: told.map(|at| Moment::of(*at, now, zone)).collect(),
            more: missing.len().saturating_sub(TOLD),
            first: exact(missing.first()).unwrap_or_default(),
            last: exact(missing.last()).unwrap_or_default(),
        }
    }
}

/// `GET /ops/schedules/{name}/backfill`: what would fire, before anything does.
pub(super) async fn show(
    State(app): State<App>,
    session: Session,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    sight.need_whole()?;
    let query = query.unwrap_or_default();
    let mut given = Parameters::parse(&without(&query, &["said"]));
    let (from, to) = (given.text("from"), given.text("to"));
    given.finish()?;
    let title = format!("Make up for {name}");
    let about = (title, "schedules");
    let (frame, mut tx) = open(sight, &app, &session, about, &query).await?;
    let asked = match (&from, &to) {
        // Nothing is asked yet; whether there is such a schedule is.
        (None, None) => {
            ops::schedule(&name)?;
            Ok(None)
        }
        (from, to) => match span(from.as_deref(), to.as_deref(), session.zone) {
            Ok(span) => ops::preview_backfill(&mut tx, &name, span).await.map(Some),
            Err(mistake) => Err(mistake),
        },
    };
    let (found, problems) = match asked {
        Ok(missing) => (missing, BTreeMap::new()),
        Err(Refused::Invalid(errors)) => {
            let each = errors.into_iter();
            (
                None,
                each.map(|error| (error.field, error.message)).collect(),
            )
        }
        Err(other) => return Err(other.into()),
    };
    let status = match problems.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let now = app.clock.now();
    let page = BackfillPage {
        frame,
        name,
        zone: session.zone.to_string(),
        from: from.unwrap_or_default(),
        to: to.unwrap_or_default(),
        problems,
        found: found.map(|missing| Found::of(&missing, now, session.zone)),
    };
    Ok(app.views.page(status, "console/ops/backfill.html", &page))
}

/// `POST /ops/schedules/{name}/backfill`: the ticks from the first to the last that were told.
pub(super) async fn fire(
    State(app): State<App>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    sight_of(session)?.need_whole()?;
    let exact = |field: &str| {
        let why = format!("Must be an instant such as {}", instant::EXAMPLE);
        instant::exact(fields.text(field)).ok_or(Refused::field(field, "invalid", why))
    };
    let span = (exact("from")?, exact("to")?);
    let by = session.act(&app, &posted.client);
    let mut tx = session.begin(&app).await?;
    let fired = ops::backfill_schedule(&mut tx, &by, &name, span).await?;
    tx.commit().await?;
    app.wake.notify();
    let said = format!("filled.{}", fired.len());
    Ok(Redirect::to(&back(PATH, PATH, &said)).into_response())
}

/// The span between two times on the clock of `zone`; it ends now if nothing else is said.
fn span(from: Option<&str>, to: Option<&str>, zone: Tz) -> Result<(Timestamp, Timestamp), Refused> {
    let read = |field: &str, text: &str| {
        // As browsers send it, seconds only where there are some.
        let mut forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"].into_iter();
        let at = forms.find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let at = at.and_then(|at| at.and_local_timezone(zone).earliest());
        let at = at.and_then(|at| instant::in_reach(at.to_utc()));
        let why = "Must be a time that there is on your clock, such as 2030-12-31T08:00";
        at.ok_or(Refused::field(field, "invalid", why))
    };
    let from = from.ok_or(Refused::field("from", "required", "Say from when"))?;
    let from = read("from", from)?;
    // Later than now is as good as now.
    let to = to.map(|to| read("to", to)).transpose()?;
    Ok((from, to.unwrap_or(DateTime::<Utc>::MAX_UTC)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_on_the_clock_of_who_asks() {
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        let read = |from, to| span(Some(from), to, zone);
        let (from, to) = read("2030-01-01T08:00", Some("2030-07-01T08:00:30")).unwrap();
        assert_eq!(from.to_rfc3339(), "2030-01-01T07:00:00+00:00");
        assert_eq!(to.to_rfc3339(), "2030-07-01T06:00:30+00:00");
        assert_eq!(
            read("2030-01-01T08:00", None).unwrap().1,
            DateTime::<Utc>::MAX_UTC
        );
        // This hour is left out when the clock goes forward.
        for wrong in ["2030-03-31T02:30", "soon", "9999-01-01T00:00"] {
            let Err(Refused::Invalid(errors)) = read(wrong, None) else {
                panic!("{wrong} should have been refused");
            };
            assert_eq!(errors[0].field, "from");
        }
        assert!(span(None, Some("2030-01-01T08:00"), zone).is_err());
    }
}
