//! What may run, how much of it at once, and how fast. For those who run the platform.

use axum::Json;
use axum::extract::{Path, State};
use queue::admin::{self, Limits, LimitsChange, Rule, Scope};
use serde::Serialize;
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
        .routes(routes!(change, clear))
        .routes(routes!(pause))
        .routes(routes!(resume))
}

/// The limits that stand.
#[derive(Debug, Serialize, ToSchema)]
struct Standing {
    /// What they restrict.
    scope: Scope,
    /// The name of what they restrict.
    name: String,
    /// What they allow.
    limits: Limits,
}

/// List limits
///
/// What is paused, limited or slowed down.
#[utoipa::path(
    get, path = "/api/v1/admin/limits", operation_id = "list_limits", tag = "admin",
    responses(
        (status = 200, body = Page<Rule>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Page<Rule>>, Problem> {
    caller.may_look_after()?.need_whole()?;
    let mut tx = caller.begin(&app).await?;
    let rules = admin::rules(&mut tx).await.map_err(Refused::from)?;
    Ok(Json(Page::whole(rules)))
}

/// Change limits
///
/// What is not named stays, null takes a limit away. Workers obey at once, one that the word did not reach after 2.25
/// seconds at most; what runs goes on.
#[utoipa::path(
    patch, path = "/api/v1/admin/limits/{scope}/{name}", operation_id = "change_limits", tag = "admin",
    params(("scope" = Scope, Path), ("name" = String, Path, description = "A queue, a kind of job, the id of an org, or a limit key")),
    request_body = LimitsChange,
    responses(
        (status = 200, body = Standing),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(subject): Path<(String, String)>,
    Asked(change): Asked<LimitsChange>,
) -> Result<Json<Standing>, Problem> {
    done(&app, &caller, subject, |limits| change.apply(limits)).await
}

/// Take away every limit
#[utoipa::path(
    delete, path = "/api/v1/admin/limits/{scope}/{name}", operation_id = "clear_limits", tag = "admin",
    params(("scope" = Scope, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = Standing),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn clear(
    State(app): State<App>,
    caller: Caller,
    Path(subject): Path<(String, String)>,
) -> Result<Json<Standing>, Problem> {
    done(&app, &caller, subject, |limits| *limits = Limits::default()).await
}

/// Pause
///
/// Nothing of it starts until it is resumed.
#[utoipa::path(
    post, path = "/api/v1/admin/limits/{scope}/{name}/pause", operation_id = "pause", tag = "admin",
    params(("scope" = Scope, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = Standing),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn pause(
    State(app): State<App>,
    caller: Caller,
    Path(subject): Path<(String, String)>,
) -> Result<Json<Standing>, Problem> {
    done(&app, &caller, subject, |limits| {
        LimitsChange::PAUSE.apply(limits)
    })
    .await
}

/// Resume
///
/// It starts again; its other limits stay.
#[utoipa::path(
    post, path = "/api/v1/admin/limits/{scope}/{name}/resume", operation_id = "resume", tag = "admin",
    params(("scope" = Scope, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = Standing),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(subject): Path<(String, String)>,
) -> Result<Json<Standing>, Problem> {
    done(&app, &caller, subject, |limits| {
        LimitsChange::RESUME.apply(limits)
    })
    .await
}

async fn done(
    app: &App,
    caller: &Caller,
    (scope, name): (String, String),
    change: impl FnOnce(&mut Limits) + Send,
) -> Result<Json<Standing>, Problem> {
    caller.may_operate()?.need_whole()?;
    let scope: Scope = scope
        .parse()
        .map_err(|why: String| Refused::field("scope", "invalid", why))?;
    let mut tx = caller.begin(app).await?;
    let limits = ops::limits(&mut tx, &caller.act(app), scope, &name, change).await?;
    tx.commit().await.map_err(Refused::from)?;
    Ok(Json(Standing {
        scope,
        name,
        limits,
    }))
}
