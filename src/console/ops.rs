//! What operations works with: how things are now, jobs, one job, dead letters, batches, limits and schedules.

mod act;
mod alarm;
mod backfill;
mod batches;
mod chart;
mod dead;
mod filter;
mod job;
mod jobs;
mod limits;
mod now;
mod row;
mod schedules;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use domain::store::Tx;
use queue::admin::in_time;

use crate::app::App;
use crate::commands::Refused;
use crate::commands::ops::Sight;
use crate::console::signed_in::may_operate;
use crate::web::session::Session;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/ops", get(now::show))
        .route("/ops/jobs", get(jobs::list))
        .route(
            "/ops/jobs/act",
            post(act::act).get(async || Redirect::to(filter::PATH)),
        )
        .route("/ops/jobs/{id}", get(job::show))
        .route("/ops/dead", get(dead::list))
        .route(
            "/ops/dead/redrive",
            post(dead::redrive).get(async || Redirect::to(dead::PATH)),
        )
        .route(
            "/ops/dead/forget",
            post(dead::forget).get(async || Redirect::to(dead::PATH)),
        )
        .route("/ops/batches", get(batches::list))
        .route(
            "/ops/batches/{id}/cancel",
            post(batches::cancel).get(async || Redirect::to(batches::PATH)),
        )
        .route("/ops/limits", get(limits::list))
        .route(
            "/ops/limits/act",
            post(limits::act).get(async || Redirect::to(limits::PATH)),
        )
        .route("/ops/schedules", get(schedules::list))
        .route(
            "/ops/schedules/act",
            post(schedules::act).get(async || Redirect::to(schedules::PATH)),
        )
        .route(
            "/ops/schedules/{name}/backfill",
            get(backfill::show).post(backfill::fire),
        )
}

/// What a person sees.
fn sight_of(session: &Session) -> Result<Sight, Refused> {
    may_operate(session)?;
    let own = session.member.org.uuid();
    Ok(Sight {
        lane: (!session.operator).then_some(own),
    })
}

/// A transaction that sees the queue, and only those orgs that are in `sight`.
async fn begin(sight: Sight, app: &App, session: &Session) -> sqlx::Result<Tx> {
    match sight.lane {
        None => app.db.platform().await,
        Some(_) => session.begin(app).await,
    }
}
