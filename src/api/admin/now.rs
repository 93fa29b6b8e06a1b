//! How things are: who works, how fast it goes, and what fails and is tried again.

use axum::Json;
use axum::extract::{RawQuery, State};
use queue::admin::{self, FailingRow, MinuteRow, NodeRow, Share};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::Refused;
use crate::commands::ops::Sight;
use crate::commands::query::Parameters;
use crate::web::cursor::Page;
use crate::web::problem::Problem;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(workers))
        .routes(routes!(failing))
        .routes(routes!(rates))
}

/// List workers
///
/// Processes that work, or did so within the hour, the live ones first. For those who run the platform.
#[utoipa::path(
    get, path = "/api/v1/admin/workers", operation_id = "list_workers", tag = "admin",
    responses(
        (status = 200, body = Page<NodeRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn workers(State(app): State<App>, caller: Caller) -> Result<Json<Page<NodeRow>>, Problem> {
    caller.may_look_after()?.need_whole()?;
    let mut tx = caller.begin(&app).await?;
    let nodes = admin::nodes(&mut tx).await.map_err(Refused::from)?;
    Ok(Json(Page::whole(nodes)))
}

/// List what fails and is tried again
///
/// Live jobs whose last attempt failed, grouped by their error, the most frequent first, up to 100.
#[utoipa::path(
    get, path = "/api/v1/admin/failing", operation_id = "list_failing", tag = "admin",
    params(
        ("queue" = Option<String>, Query, description = "Of this queue"),
        ("org" = Option<uuid::Uuid>, Query, description = "Of this org"),
    ),
    responses(
        (status = 200, body = Page<FailingRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn failing(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<FailingRow>>, Problem> {
    let whose = Whose::read(query, caller.may_look_after()?)?;
    let mut tx = caller.begin(&app).await?;
    let rows = admin::failing(&mut tx, whose.share())
        .await
        .map_err(Refused::from)?;
    Ok(Json(Page::whole(rows)))
}

/// List the minutes of the last hour
///
/// With how many jobs were made, done and given up in each, the oldest first, quiet ones included.
#[utoipa::path(
    get, path = "/api/v1/admin/rates", operation_id = "list_rates", tag = "admin",
    params(
        ("queue" = Option<String>, Query, description = "Of this queue"),
        ("org" = Option<uuid::Uuid>, Query, description = "Of this org"),
    ),
    responses(
        (status = 200, body = Page<MinuteRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn rates(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<MinuteRow>>, Problem> {
    let whose = Whose::read(query, caller.may_look_after()?)?;
    let mut tx = caller.begin(&app).await?;
    let rows = admin::rates(&mut tx, whose.share())
        .await
        .map_err(Refused::from)?;
    Ok(Json(Page::whole(rows)))
}

/// Of which queue and org, of those in sight.
struct Whose {
    queue: Option<String>,
    lane: Option<Uuid>,
}

impl Whose {
    fn read(query: Option<String>, sight: Sight) -> Result<Self, Refused> {
        let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
        let queue = given.text("queue");
        let org = given.parsed("org", "the id of an org");
        given.finish()?;
        Ok(Self {
            queue,
            lane: sight.lane.or(org),
        })
    }

    fn share(&self) -> Share<'_> {
        Share {
            queue: self.queue.as_deref(),
            lane: self.lane,
        }
    }
}
