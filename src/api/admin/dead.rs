//! Dead letters by their cause, and running them again.

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, Utc};
use queue::Fingerprint;
use queue::admin::{self, DeadFilter, FailureRow, Rate, Redrive, Redriven};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::asked::Asked;
use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::query::Parameters;
use crate::commands::{Refused, ops};
use crate::web::cursor::Page;
use crate::web::problem::Problem;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(redrive))
}

/// Which dead letters run again, and how.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct RedriveBody {
    /// Of this cause.
    #[schema(value_type = Option<String>)]
    fingerprint: Option<Fingerprint>,
    /// Of this kind.
    kind: Option<String>,
    /// Of this queue.
    queue: Option<String>,
    /// Of this org.
    org: Option<Uuid>,
    /// Discarded since then.
    since: Option<DateTime<Utc>>,
    /// Every dead letter there is, if nothing else says which.
    all: bool,
    /// Spread over time, such as `10/s`; else all at once.
    #[schema(value_type = Option<String>)]
    rate: Option<Rate>,
    /// How many at most, the oldest first.
    limit: Option<u64>,
}

/// List dead letters by their cause
///
/// The most frequent cause first, up to 100; the newest 10,000 letters are looked at.
#[utoipa::path(
    get, path = "/api/v1/admin/dead_letters", operation_id = "list_dead_letters", tag = "admin",
    params(
        ("fingerprint" = Option<String>, Query, description = "Of this cause"),
        ("kind" = Option<String>, Query, description = "Of this kind"),
        ("queue" = Option<String>, Query, description = "Of this queue"),
        ("org" = Option<uuid::Uuid>, Query, description = "Of this org"),
    ),
    responses(
        (status = 200, body = Page<FailureRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<FailureRow>>, Problem> {
    let sight = caller.may_look_after()?;
    let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
    let org = given.parsed("org", "the id of an org");
    let filter = DeadFilter {
        fingerprint: given.parsed("fingerprint", "the `fingerprint` of a cause"),
        kind: given.text("kind"),
        queue: given.text("queue"),
        lane: sight.lane.or(org),
        since: None,
    };
    given.finish()?;
    let mut tx = caller.begin(&app).await?;
    let found = admin::dead(&mut tx, &filter).await;
    Ok(Json(Page::whole(found.map_err(Refused::from)?)))
}

/// Run dead letters again
///
/// The oldest first, each under a new id and from the progress that it had noted. A letter whose key a live job has stays.
/// A request that was cut off may be sent again: what runs already is no dead letter any more.
#[utoipa::path(
    post, path = "/api/v1/admin/dead_letters/redrive", operation_id = "redrive_dead_letters", tag = "admin",
    request_body = RedriveBody,
    responses(
        (status = 200, body = Redriven),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn redrive(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<RedriveBody>,
) -> Result<Json<Redriven>, Problem> {
    let sight = caller.may_operate()?;
    let mut filter = DeadFilter {
        kind: asked.kind,
        fingerprint: asked.fingerprint,
        queue: asked.queue,
        lane: asked.org,
        since: asked.since,
    };
    if filter.is_everything() != asked.all {
        let why = "Say which dead letters, by fingerprint, kind, queue, org or since, or all of them by `all` alone";
        return Err(Refused::field("all", "invalid", why).into());
    }
    filter.lane = sight.lane.or(filter.lane);
    let how = Redrive {
        every: asked.rate.map(Rate::every),
        most: asked.limit,
    };
    let tx = caller.begin(&app).await?;
    let done = ops::redrive(&app.db, tx, &caller.act(&app), &filter, how).await?;
    app.wake.notify();
    Ok(Json(done))
}
