//! Jobs that belong together: how far they have got, and calling them off.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use queue::admin::{self, BatchFilter, BatchRow};
use serde::Serialize;

use super::act::reason;
use super::row::Reader;
use super::{open, sight_of};
use crate::app::App;
use crate::commands::query::Parameters;
use crate::commands::{Refused, in_time, ops};
use crate::console::Failed;
use crate::console::frame::{Frame, address, back, without};
use crate::console::moment::Moment;
use crate::console::posted::Posted;
use crate::web::cursor;
use crate::web::session::Session;

/// Where the page is.
pub(super) const PATH: &str = "/ops/batches";

/// The page.
#[derive(Debug, Serialize)]
struct BatchesPage {
    frame: Frame,
    /// Whether all orgs are looked at.
    whole: bool,
    batches: Vec<Row>,
    /// Whether the database gave up looking.
    too_many: bool,
    unfinished: bool,
    /// Where this page is, to come back to.
    here: String,
    first: Option<String>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    row: BatchRow,
    org: Option<String>,
    /// Jobs that have ended.
    ended: i64,
    created: Moment,
    completed: Option<Moment>,
}

/// `GET /ops/batches`.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    let sent = query.unwrap_or_default();
    let mut given = Parameters::parse(&without(&sent, &["said"]));
    let (unfinished, below) = (given.flag("unfinished"), given.cursor::<i64>());
    given.finish()?;
    let about = ("Batches", "batches");
    let (frame, mut tx) = open(sight, &app, &session, about, &sent).await?;
    let filter = BatchFilter {
        unfinished,
        lane: sight.lane,
        limit: None,
    };
    let found = in_time(admin::batches(&mut tx, filter, below).await)?;
    let too_many = found.is_none();
    let (rows, next) = found.map_or_else(Default::default, |found| (found.items, found.next));
    let lanes = rows.iter().filter_map(|batch| batch.lane);
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, lanes).await?;
    let clean = without(&sent, &["said", "cursor"]);
    let batches = rows.into_iter().map(|row| Row {
        org: reader.org(row.lane),
        ended: row.total - row.remaining,
        created: reader.moment(row.created_at),
        completed: row.completed_at.map(|at| reader.moment(at)),
        row,
    });
    let page = BatchesPage {
        batches: batches.collect(),
        whole: sight.lane.is_none(),
        too_many,
        unfinished,
        here: address(PATH, &without(&sent, &["said"])),
        first: below.map(|_| address(PATH, &clean)),
        next: next.map(|next| {
            let query = format!("{clean}&cursor={}", cursor::encode(&next));
            address(PATH, query.trim_start_matches('&'))
        }),
        frame,
    };
    Ok(app
        .views
        .page(StatusCode::OK, "console/ops/batches.html", &page))
}

/// `POST /ops/batches/{id}/cancel`.
pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let (session, fields) = (&posted.session, &posted.fields);
    let sight = sight_of(session)?;
    let id: i64 = id.parse().map_err(|_| Refused::NotFound("batch"))?;
    let reason = reason(fields)?;
    let (tx, by) = (
        session.begin(&app).await?,
        session.act(&app, &posted.client),
    );
    let done = ops::cancel_batch(&app.db, tx, &by, sight, id, reason).await?;
    // Whoever runs one of them hears of it at once.
    app.wake.notify();
    let said = format!("called_off.{}", done.cancelled);
    Ok(Redirect::to(&back(fields.text("back"), PATH, &said)).into_response())
}
