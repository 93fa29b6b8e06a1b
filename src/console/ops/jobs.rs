//! The job table.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use queue::admin;
use serde::Serialize;

use super::filter::{Asked, Filters, PATH};
use super::row::{Reader, Row};
use super::{open, sight_of};
use crate::app::App;
use crate::commands::in_time;
use crate::console::Failed;
use crate::console::frame::{Frame, address, without};
use crate::web::cursor;
use crate::web::session::Session;

/// The page.
#[derive(Debug, Serialize)]
struct JobsPage {
    frame: Frame,
    filters: Filters,
    jobs: Vec<Row>,
    /// Whether the database gave up looking.
    too_many: bool,
    /// Where this page is, to come back to.
    here: String,
    first: Option<String>,
    next: Option<String>,
}

/// `GET /ops/jobs`.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    let sent = query.unwrap_or_default();
    let asked = Asked::read(&sent, sight)?;
    if let Some(id) = asked.id {
        return Ok(Redirect::to(&format!("{PATH}/{id}")).into_response());
    }
    let about = ("Jobs", "jobs");
    let (frame, mut tx) = open(sight, &app, &session, about, &sent).await?;
    let found = in_time(admin::list(&mut tx, &asked.filter, asked.after).await)?;
    let too_many = found.is_none();
    let (jobs, next) = found.map_or_else(Default::default, |found| (found.items, found.next));
    let lanes = jobs.iter().filter_map(|job| job.lane);
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, lanes).await?;

    let page = JobsPage {
        jobs: jobs.iter().map(|job| reader.row(job)).collect(),
        too_many,
        here: address(PATH, &without(&sent, &["said"])),
        first: asked.after.map(|_| address(PATH, &asked.clean)),
        next: next.map(|next| {
            let query = format!("{}&cursor={}", asked.clean, cursor::encode(&next));
            address(PATH, query.trim_start_matches('&'))
        }),
        filters: asked.filters(sight),
        frame,
    };
    Ok(app
        .views
        .page(StatusCode::OK, "console/ops/jobs.html", &page))
}
