//! What runs by the clock: held back, run at once, made up for. For those who run the platform.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use queue::admin::{self, ScheduleRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::Asked;
use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::{Refused, ops};
use crate::web::cursor::Page;
use crate::web::problem::Problem;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(run))
        .routes(routes!(backfill))
        .routes(routes!(forget))
}

/// Whether a schedule is held back.
#[derive(Debug, Serialize, ToSchema)]
struct Held {
    /// The schedule.
    name: String,
    /// Whether its ticks do not fire.
    paused: bool,
}

/// A schedule that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct ForgottenSchedule {
    /// The schedule.
    name: String,
    /// That it is forgotten.
    forgotten: bool,
}

/// Ticks that fired, or would.
#[derive(Debug, Serialize, ToSchema)]
struct Ticks {
    /// The schedule.
    name: String,
    /// Nominal times of what fired.
    fired: Vec<DateTime<Utc>>,
    /// Nominal times of what would have fired, had it not been a dry run.
    would_fire: Vec<DateTime<Utc>>,
}

/// A span of time to make up for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Span {
    /// The first instant; up to 399 days ago.
    from: DateTime<Utc>,
    /// The last instant; now without it.
    to: Option<DateTime<Utc>>,
    /// Only say which ticks there are.
    #[serde(default)]
    dry_run: bool,
}

/// List schedules
#[utoipa::path(
    get, path = "/api/v1/admin/schedules", operation_id = "list_schedules", tag = "admin",
    responses(
        (status = 200, body = Page<ScheduleRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Page<ScheduleRow>>, Problem> {
    caller.may_look_after()?.need_whole()?;
    let mut tx = caller.begin(&app).await?;
    let rows = admin::schedules(&mut tx).await.map_err(Refused::from)?;
    Ok(Json(Page::whole(rows)))
}

/// Pause a schedule
///
/// No tick fires until it is resumed, and what falls due meanwhile is not made up for, whatever its catch-up says.
#[utoipa::path(
    post, path = "/api/v1/admin/schedules/{name}/pause", operation_id = "pause_schedule", tag = "admin", params(("name" = String, Path)),
    responses(
        (status = 200, body = Held),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn pause(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Held>, Problem> {
    hold(&app, &caller, name, true).await
}

/// Resume a schedule
///
/// Ticks fire again, from the next one on.
#[utoipa::path(
    post, path = "/api/v1/admin/schedules/{name}/resume", operation_id = "resume_schedule", tag = "admin", params(("name" = String, Path)),
    responses(
        (status = 200, body = Held),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Held>, Problem> {
    hold(&app, &caller, name, false).await
}

async fn hold(
    app: &App,
    caller: &Caller,
    name: String,
    paused: bool,
) -> Result<Json<Held>, Problem> {
    caller.may_operate()?.need_whole()?;
    let mut tx = caller.begin(app).await?;
    ops::pause_schedule(&mut tx, &caller.act(app), &name, paused).await?;
    tx.commit().await.map_err(Refused::from)?;
    Ok(Json(Held { name, paused }))
}

/// Run a schedule now
///
/// Once, beside the plan, also while it is paused.
#[utoipa::path(
    post, path = "/api/v1/admin/schedules/{name}/run", operation_id = "run_schedule", tag = "admin", params(("name" = String, Path)),
    responses(
        (status = 200, body = Ticks),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn run(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Ticks>, Problem> {
    caller.may_operate()?.need_whole()?;
    let mut tx = caller.begin(&app).await?;
    let due = ops::run_schedule(&mut tx, &caller.act(&app), &name).await?;
    tx.commit().await.map_err(Refused::from)?;
    app.wake.notify();
    Ok(Json(Ticks {
        name,
        fired: vec![due],
        would_fire: Vec::new(),
    }))
}

/// Make up for ticks
///
/// Each that fell due in a span of time and never fired fires once, all in one transaction, up to 10,000. Asked for again, it
/// fires nothing again.
#[utoipa::path(
    post, path = "/api/v1/admin/schedules/{name}/backfill", operation_id = "backfill_schedule", tag = "admin", params(("name" = String, Path)),
    request_body = Span,
    responses(
        (status = 200, body = Ticks),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn backfill(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Asked(span): Asked<Span>,
) -> Result<Json<Ticks>, Problem> {
    caller.may_operate()?.need_whole()?;
    // Later than now is as good as now.
    let (from, to) = (span.from, span.to.unwrap_or(DateTime::<Utc>::MAX_UTC));
    let mut tx = caller.begin(&app).await?;
    let (fired, would_fire) = if span.dry_run {
        let missing = ops::preview_backfill(&mut tx, &name, (from, to)).await?;
        (Vec::new(), missing)
    } else {
        let act = caller.act(&app);
        let fired = ops::backfill_schedule(&mut tx, &act, &name, (from, to)).await?;
        (fired, Vec::new())
    };
    tx.commit().await.map_err(Refused::from)?;
    app.wake.notify();
    Ok(Json(Ticks {
        name,
        fired,
        would_fire,
    }))
}

/// Forget a schedule
///
/// One that was taken out of the program stays in the list until it is forgotten. One that a program which runs still has is
/// refused.
#[utoipa::path(
    delete, path = "/api/v1/admin/schedules/{name}", operation_id = "forget_schedule", tag = "admin", params(("name" = String, Path)),
    responses(
        (status = 200, body = ForgottenSchedule),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn forget(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ForgottenSchedule>, Problem> {
    caller.may_operate()?.need_whole()?;
    let mut tx = caller.begin(&app).await?;
    ops::forget_schedule(&mut tx, &caller.act(&app), &name).await?;
    tx.commit().await.map_err(Refused::from)?;
    Ok(Json(ForgottenSchedule {
        name,
        forgotten: true,
    }))
}
