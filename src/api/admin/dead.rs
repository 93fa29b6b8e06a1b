//! Dead letters by their cause; run again, or forgotten.

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, Utc};
use queue::Fingerprint;
use queue::admin::{self, Counted, DeadFilter, FailureRow, Rate, Redrive, Redriven};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::asked::Asked;
use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::ops::{self, Sight};
use crate::commands::query::Parameters;
use crate::commands::{Refused, instant, narrow_enough};
use crate::web::cursor::Page;
use crate::web::problem::Problem;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(redrive))
        .routes(routes!(forget))
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
    /// Only say how many there are.
    dry_run: bool,
}

/// Which dead letters are removed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct ForgetBody {
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
    /// Only say how many there are.
    dry_run: bool,
}

/// What running dead letters again did, or would do.
#[derive(Debug, Default, Serialize, ToSchema)]
struct RunAgain {
    #[serde(flatten)]
    done: Redriven,
    /// How many would have run again, had it not been a dry run.
    would_retry: Option<Counted>,
}

/// What removing dead letters did, or would do.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Forgotten {
    /// Letters that are gone.
    forgotten: u64,
    /// How many would have gone, had it not been a dry run.
    would_forget: Option<Counted>,
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
        ("since" = Option<DateTime<Utc>>, Query, description = "Discarded since that day or instant"),
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
        since: given.instant("since"),
        until: None,
    };
    given.finish()?;
    let mut tx = caller.begin(&app).await?;
    let found = narrow_enough(admin::dead(&mut tx, &filter).await)?;
    Ok(Json(Page::whole(found)))
}

/// Run dead letters again
///
/// The oldest first, each under a new id and from the progress that it had noted. A letter whose key a live job has stays.
/// A request that was cut off may be sent again: what runs already is no dead letter any more.
#[utoipa::path(
    post, path = "/api/v1/admin/dead_letters/redrive", operation_id = "redrive_dead_letters", tag = "admin",
    request_body = RedriveBody,
    responses(
        (status = 200, body = RunAgain),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn redrive(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<RedriveBody>,
) -> Result<Json<RunAgain>, Problem> {
    let sight = caller.may_operate()?;
    let filter = DeadFilter {
        kind: asked.kind,
        fingerprint: asked.fingerprint,
        queue: asked.queue,
        lane: asked.org,
        since: asked.since,
        until: None,
    };
    let filter = meant(filter, asked.all, sight)?;
    let mut tx = caller.begin(&app).await?;
    if asked.dry_run {
        let there = narrow_enough(admin::count_dead(&mut tx, &filter).await)?;
        return Ok(Json(RunAgain {
            would_retry: Some(there.at_most(asked.limit)),
            ..RunAgain::default()
        }));
    }
    let how = Redrive {
        every: asked.rate.map(Rate::every),
        most: asked.limit,
    };
    let done = ops::redrive(&app.db, tx, &caller.act(&app), &filter, how).await?;
    app.wake.notify();
    Ok(Json(RunAgain {
        done,
        would_retry: None,
    }))
}

/// Remove dead letters for good
///
/// Payloads, errors and logs are gone; the audit log keeps who asked for it. Those that die meanwhile are left alone.
#[utoipa::path(
    post, path = "/api/v1/admin/dead_letters/forget", operation_id = "forget_dead_letters", tag = "admin",
    request_body = ForgetBody,
    responses(
        (status = 200, body = Forgotten),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn forget(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<ForgetBody>,
) -> Result<Json<Forgotten>, Problem> {
    let sight = caller.may_operate()?;
    let filter = DeadFilter {
        kind: asked.kind,
        fingerprint: asked.fingerprint,
        queue: asked.queue,
        lane: asked.org,
        since: asked.since,
        until: None,
    };
    let filter = meant(filter, asked.all, sight)?;
    let mut tx = caller.begin(&app).await?;
    if asked.dry_run {
        let there = narrow_enough(admin::count_dead(&mut tx, &filter).await)?;
        return Ok(Json(Forgotten {
            forgotten: 0,
            would_forget: Some(there),
        }));
    }
    let forgotten = ops::forget_dead(&app.db, tx, &caller.act(&app), &filter).await?;
    Ok(Json(Forgotten {
        forgotten,
        would_forget: None,
    }))
}

/// The letters that are meant, of those in `sight`; all of them have to be asked for.
fn meant(filter: DeadFilter, all: bool, sight: Sight) -> Result<DeadFilter, Refused> {
    if filter.is_everything() != all {
        let why = "Say which dead letters, by fingerprint, kind, queue, org or since, or all of them by `all` alone";
        return Err(Refused::field("all", "invalid", why));
    }
    if filter
        .since
        .is_some_and(|at| instant::in_reach(at).is_none())
    {
        let why = format!("Must be an instant such as {}", instant::EXAMPLE);
        return Err(Refused::field("since", "invalid", why));
    }
    Ok(DeadFilter {
        lane: sight.lane.or(filter.lane),
        ..filter
    })
}
