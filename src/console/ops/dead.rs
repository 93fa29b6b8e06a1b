//! Dead letters by their cause; those of one run again, or are forgotten.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use queue::admin::{self, DeadFilter, FailureRow, Rate, Redrive};
use serde::Serialize;

use super::row::Reader;
use super::{open, sight_of};
use crate::app::App;
use crate::commands::{Refused, in_time, ops};
use crate::console::Failed;
use crate::console::frame::{Frame, back};
use crate::console::moment::Moment;
use crate::console::posted::{Fields, Posted};
use crate::web::session::Session;

/// Where the page is.
pub(super) const PATH: &str = "/ops/dead";

/// The page.
#[derive(Debug, Serialize)]
struct DeadPage {
    frame: Frame,
    /// Whether all orgs are looked at.
    whole: bool,
    causes: Vec<Cause>,
    /// Whether the database gave up looking.
    too_many: bool,
}

#[derive(Debug, Serialize)]
struct Cause {
    #[serde(flatten)]
    row: FailureRow,
    first: Moment,
    last: Moment,
}

/// `GET /ops/dead`.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    let query = query.unwrap_or_default();
    let about = ("Dead letters", "dead");
    let (frame, mut tx) = open(sight, &app, &session, about, &query).await?;
    let filter = DeadFilter {
        lane: sight.lane,
        ..DeadFilter::default()
    };
    let found = in_time(admin::dead(&mut tx, &filter).await)?;
    let too_many = found.is_none();
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, [].into_iter()).await?;
    let causes = found.unwrap_or_default().into_iter().map(|row| Cause {
        first: reader.moment(row.first_at),
        last: reader.moment(row.last_at),
        row,
    });
    let page = DeadPage {
        causes: causes.collect(),
        whole: sight.lane.is_none(),
        too_many,
        frame,
    };
    Ok(app
        .views
        .page(StatusCode::OK, "console/ops/dead.html", &page))
}

/// `POST /ops/dead/redrive`: the letters of one kind and cause.
pub(super) async fn redrive(State(app): State<App>, posted: Posted) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    let filter = of_one_cause(session, fields)?;
    let rate: Option<Rate> = match fields.filled("rate") {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|why: String| Refused::field("rate", "invalid", why))?,
        ),
    };
    let how = Redrive {
        every: rate.map(Rate::every),
        most: None,
    };
    let by = session.act(&app, &posted.client);
    let tx = session.begin(&app).await?;
    let done = ops::redrive(&app.db, tx, &by, &filter, how).await?;
    app.wake.notify();
    let said = match done.retried {
        0 => "nothing".to_owned(),
        count => format!("retried.{count}"),
    };
    Ok(Redirect::to(&back(PATH, PATH, &said)).into_response())
}

/// `POST /ops/dead/forget`: the letters of one kind and cause.
pub(super) async fn forget(State(app): State<App>, posted: Posted) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    let filter = of_one_cause(session, fields)?;
    if filter.until.is_none() {
        let why = "Must say which was the last that was shown";
        return Err(Refused::field("until", "required", why).into());
    }
    let by = session.act(&app, &posted.client);
    let tx = session.begin(&app).await?;
    let gone = ops::forget_dead(&app.db, tx, &by, &filter).await?;
    Ok(Redirect::to(&back(PATH, PATH, &format!("forgotten.{gone}"))).into_response())
}

/// The letters that a row of the page is about, of those that the person sees: what died since it was shown is not meant.
fn of_one_cause(session: &Session, fields: &Fields) -> Result<DeadFilter, Refused> {
    let sight = sight_of(session)?;
    let cause = fields.text("fingerprint").parse().map_err(|_| {
        Refused::field(
            "fingerprint",
            "invalid",
            "Must be the fingerprint of a cause",
        )
    })?;
    let until = fields.filled("until").map(str::parse).transpose();
    let until = until.map_err(|_| Refused::field("until", "invalid", "Must be an instant"))?;
    Ok(DeadFilter {
        until,
        kind: fields.filled("kind").map(str::to_owned),
        fingerprint: Some(cause),
        lane: sight.lane,
        ..DeadFilter::default()
    })
}
