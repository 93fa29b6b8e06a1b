//! What is paused, limited or slowed down, and changing it.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use queue::admin::{self, Limits, LimitsChange, Rate, Rule, Scope};
use serde::Serialize;

use super::row::Reader;
use super::{open, sight_of};
use crate::app::App;
use crate::commands::{Refused, ops};
use crate::console::Failed;
use crate::console::frame::{Frame, back};
use crate::console::moment::Moment;
use crate::console::posted::{Fields, Posted};
use crate::console::words::Choice;
use crate::web::session::Session;

/// What takes a limit away.
const NONE: &str = "none";
/// What a limit has to be.
const COUNT: &str = "Must be a number from 1 to 1000000, or `none`";

/// Where the page is.
pub(super) const PATH: &str = "/ops/limits";

/// The page.
#[derive(Debug, Serialize)]
struct LimitsPage {
    frame: Frame,
    rules: Vec<Row>,
    scopes: Vec<Choice>,
}

/// A rule.
#[derive(Debug, Serialize)]
struct Row {
    scope: Scope,
    name: String,
    /// The name as people know it, of an org.
    org: Option<String>,
    limits: Limits,
    changed: Moment,
}

/// `GET /ops/limits`.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    sight.need_whole()?;
    let query = query.unwrap_or_default();
    let about = ("Limits", "limits");
    let (frame, mut tx) = open(sight, &app, &session, about, &query).await?;
    let rules = admin::rules(&mut tx).await?;
    let lanes = rules.iter().filter(|rule| rule.scope == Scope::Lane);
    let lanes = lanes.filter_map(|rule| rule.name.parse().ok());
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, lanes).await?;
    let page = LimitsPage {
        rules: rules.into_iter().map(|rule| row(rule, &reader)).collect(),
        scopes: Scope::ALL
            .map(|scope| Choice::new(scope, scope.as_str(), scope == Scope::Queue))
            .into(),
        frame,
    };
    Ok(app
        .views
        .page(StatusCode::OK, "console/ops/limits.html", &page))
}

fn row(rule: Rule, reader: &Reader) -> Row {
    let lane = (rule.scope == Scope::Lane).then(|| rule.name.parse().ok());
    Row {
        org: lane.flatten().and_then(|lane| reader.org(Some(lane))),
        changed: reader.moment(rule.changed_at),
        scope: rule.scope,
        name: rule.name,
        limits: rule.limits,
    }
}

/// `POST /ops/limits/act`.
pub(super) async fn act(State(app): State<App>, posted: Posted) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    sight_of(session)?.need_whole()?;
    let scope: Scope = fields
        .text("scope")
        .parse()
        .map_err(|why: String| Refused::field("scope", "invalid", why))?;
    let name = fields.text("name");
    let (change, said) = match fields.text("verb") {
        "pause" => (Some(LimitsChange::PAUSE), "paused"),
        "resume" => (Some(LimitsChange::RESUME), "resumed"),
        "clear" => (None, "cleared"),
        "set" => (Some(asked(fields)?), "limited"),
        _ => {
            let why = "Choose what to do: pause, resume, set or clear";
            return Err(Refused::field("verb", "invalid", why).into());
        }
    };
    let by = session.act(&app, &posted.client);
    let mut tx = session.begin(&app).await?;
    ops::limits(&mut tx, &by, scope, name, |limits| match change {
        Some(change) => change.apply(limits),
        None => *limits = Limits::default(),
    })
    .await?;
    tx.commit().await?;
    Ok(Redirect::to(&back(PATH, PATH, said)).into_response())
}

/// The limits that were typed; an empty field stays as it is, `none` takes a limit away.
fn asked(fields: &Fields) -> Result<LimitsChange, Refused> {
    let count = |name: &str| match fields.filled(name) {
        None => Ok(None),
        Some(NONE) => Ok(Some(None)),
        Some(text) => text
            .parse()
            .map(|count| Some(Some(count)))
            .map_err(|_| Refused::field(name, "invalid", COUNT)),
    };
    let rate = match fields.filled("rate") {
        None => None,
        Some(NONE) => Some(None),
        Some(text) => {
            let rate: Result<Rate, String> = text.parse();
            Some(Some(
                rate.map_err(|why| Refused::field("rate", "invalid", why))?,
            ))
        }
    };
    let turns = fields.filled("turns").map(str::parse).transpose();
    let change = LimitsChange {
        paused: None,
        max_running: count("max_running")?,
        lane_running: count("lane_running")?,
        key_running: count("key_running")?,
        turns: turns.map_err(|_| Refused::field("turns", "invalid", "Must be true or false"))?,
        rate,
        burst: count("burst")?,
    };
    if change == LimitsChange::default() {
        let why = "Type at least one limit, or `none` where one is to be taken away";
        return Err(Refused::field("limits", "required", why));
    }
    Ok(change)
}
