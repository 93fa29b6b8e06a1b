//! Jobs: page by page, one whole, put into their queues, run again, called off, removed.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use chrono::{DateTime, Utc};
use queue::admin::{self, Act, Done, EndedRow, Filter, JobDetail, JobRow, Waiting};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::{self, Asked, Reason};
use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::ops::{self, Enqueued, Order, Verb};
use crate::commands::query::Parameters;
use crate::commands::{Refused, instant, narrow_enough};
use crate::web::cursor::{self, Page};
use crate::web::problem::Problem;
use crate::web::secrets::{masked, masked_key};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, enqueue))
        .routes(routes!(counts))
        .routes(routes!(show, delete))
        .routes(routes!(retry))
        .routes(routes!(cancel))
}

/// A job whole, and why it waits.
#[derive(Debug, Serialize, ToSchema)]
struct Job {
    #[serde(flatten)]
    detail: JobDetail,
    /// Why it is where it is.
    waiting: Waiting,
}

/// A job to be put into its queue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewJob {
    /// Its kind, such as `score_lead`.
    kind: String,
    /// Its payload, which is checked first.
    #[schema(value_type = Object)]
    payload: Value,
    /// Not before this instant.
    at: Option<DateTime<Utc>>,
    /// How long to wait before it may run, such as `30s`, `10m` or `12h`; ten years at most.
    #[serde(rename = "in")]
    after: Option<String>,
    /// Lower goes first; the kind's own without it.
    priority: Option<i16>,
}

/// How a job runs again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Again {
    /// For the audit log; up to 500 characters are kept.
    reason: Option<String>,
    /// What a finished job runs with instead, checked first. What is masked in it stays as it is.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
}

/// List jobs
///
/// Newest first. Follow `next` until it is null.
#[utoipa::path(
    get, path = "/api/v1/admin/jobs", operation_id = "list_jobs", tag = "admin",
    params(
        ("finished" = Option<bool>, Query, description = "Finished jobs instead of live ones"),
        ("queue" = Option<String>, Query, description = "Of this queue"),
        ("kind" = Option<String>, Query, description = "Of this kind"),
        ("state" = Option<String>, Query, description = "ready, scheduled, running, parked or held; of finished ones completed, skipped, discarded or cancelled"),
        ("org" = Option<uuid::Uuid>, Query, description = "Of this org"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Page<JobRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<JobRow>>, Problem> {
    let sight = caller.may_look_after()?;
    let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
    let org = given.parsed("org", "the id of an org");
    let after = given.job();
    let filter = Filter {
        finished: given.flag("finished"),
        queue: given.text("queue"),
        kind: given.text("kind"),
        state: given.text("state"),
        lane: sight.lane.or(org),
        limit: i64::try_from(given.limit()).ok(),
    };
    given.finish()?;
    filter
        .check_state()
        .map_err(|why| Refused::field("state", "invalid", why))?;
    let mut tx = caller.begin(&app).await?;
    let found = narrow_enough(admin::list(&mut tx, &filter, after).await)?;
    Ok(Json(Page {
        items: found.items,
        next: found.next.map(|next| cursor::encode(&next)),
    }))
}

/// Put a job into its queue
///
/// As if the program had left it itself: a live job that does the same is left alone and named instead. Of a key that does
/// not run the platform the job must be of its org.
#[utoipa::path(
    post, path = "/api/v1/admin/jobs", operation_id = "enqueue_job", tag = "admin", request_body = NewJob,
    responses(
        (status = 200, body = Enqueued),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn enqueue(
    State(app): State<App>,
    caller: Caller,
    Asked(given): Asked<NewJob>,
) -> Result<Json<Enqueued>, Problem> {
    let sight = caller.may_operate()?;
    let order = given.order()?;
    let (mut tx, by) = (caller.begin(&app).await?, caller.act(&app));
    let enqueued = ops::enqueue(&mut tx, &by, sight, order).await?;
    tx.commit().await.map_err(Refused::from)?;
    app.wake.notify();
    Ok(Json(enqueued))
}

impl NewJob {
    fn order(self) -> Result<Order, Refused> {
        if self.at.is_some() && self.after.is_some() {
            return Err(Refused::field("in", "invalid", "Is either `at` or `in`"));
        }
        if self.at.is_some_and(|at| instant::in_reach(at).is_none()) {
            let why = format!("Must be an instant such as {}", instant::EXAMPLE);
            return Err(Refused::field("at", "invalid", why));
        }
        let after = self.after.as_deref().map(ops::bounded).transpose();
        Ok(Order {
            after: after.map_err(|why| Refused::field("in", "invalid", why))?,
            kind: self.kind,
            payload: self.payload,
            at: self.at,
            priority: self.priority,
        })
    }
}

/// Count jobs that ended
///
/// In the last hour, the last day and ever, by queue and outcome. For those who run the platform.
#[utoipa::path(
    get, path = "/api/v1/admin/jobs/counts", operation_id = "count_jobs", tag = "admin",
    responses(
        (status = 200, body = Page<EndedRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn counts(State(app): State<App>, caller: Caller) -> Result<Json<Page<EndedRow>>, Problem> {
    caller.may_look_after()?.need_whole()?;
    let mut tx = caller.begin(&app).await?;
    let ended = admin::ended(&mut tx).await.map_err(Refused::from)?;
    Ok(Json(Page::whole(ended)))
}

/// Show a job
///
/// With its errors, what its attempts wrote, and why it waits. What is secret in its payload is masked.
#[utoipa::path(
    get, path = "/api/v1/admin/jobs/{id}", operation_id = "show_job", tag = "admin", params(("id" = i64, Path)),
    responses(
        (status = 200, body = Job),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let sight = caller.may_look_after()?;
    let id = job_id(&id)?;
    let mut tx = caller.begin(&app).await?;
    let found = admin::show(&mut tx, id).await.map_err(Refused::from)?;
    let mut detail = found
        .filter(|found| sight.takes_in(found.job.lane))
        .ok_or(Refused::NotFound("job"))?;
    let waiting = admin::explain(&mut tx, id).await.map_err(Refused::from)?;
    let key = detail.unique_key.as_deref();
    detail.unique_key = key.map(|key| masked_key(key, &detail.payload));
    detail.payload = masked(&detail.payload);
    detail.progress = detail.progress.as_ref().map(masked);
    detail.result = detail.result.as_ref().map(masked);
    Ok(Json(Job { detail, waiting }))
}

/// Run a job again
///
/// A finished one runs again under a new id, a scheduled one now. A dead letter goes on from the progress that it had noted;
/// with another payload it starts anew.
#[utoipa::path(
    post, path = "/api/v1/admin/jobs/{id}/retry", operation_id = "retry_job", tag = "admin", params(("id" = i64, Path)),
    request_body = Again,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is running, waits for a worker already, or a live job has its key; with another payload, it has not ended"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn retry(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(given): Asked<Again>,
) -> Result<Json<Done>, Problem> {
    let reason = asked::kept(given.reason);
    let Some(payload) = given.payload else {
        return act(&app, &caller, Verb::Retry, &id, &reason).await;
    };
    let sight = caller.may_operate()?;
    let id = job_id(&id)?;
    let (mut tx, by) = (caller.begin(&app).await?, caller.act(&app));
    let done = ops::retry_edited(&mut tx, &by, sight, id, &payload, &reason).await?;
    tx.commit().await.map_err(Refused::from)?;
    Ok(told(&app, id, done))
}

/// Cancel a job
///
/// One that waits will not run; one that runs is asked to stop.
#[utoipa::path(
    post, path = "/api/v1/admin/jobs/{id}/cancel", operation_id = "cancel_job", tag = "admin", params(("id" = i64, Path)),
    request_body = Reason,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is finished"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(given): Asked<Reason>,
) -> Result<Json<Done>, Problem> {
    act(&app, &caller, Verb::Cancel, &id, &given.kept()).await
}

/// Remove a job for good
///
/// Nothing is left of it but the entry in the audit log.
#[utoipa::path(
    delete, path = "/api/v1/admin/jobs/{id}", operation_id = "delete_job", tag = "admin", params(("id" = i64, Path)),
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is running"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, Problem> {
    act(&app, &caller, Verb::Delete, &id, &asked::kept(None)).await
}

async fn act(
    app: &App,
    caller: &Caller,
    verb: Verb,
    id: &str,
    reason: &str,
) -> Result<Json<Done>, Problem> {
    let sight = caller.may_operate()?;
    let id = job_id(id)?;
    let mut tx = caller.begin(app).await?;
    let done = ops::job(&mut tx, &caller.act(app), sight, verb, id, reason).await;
    let done = done.map_err(Refused::from)?;
    tx.commit().await.map_err(Refused::from)?;
    Ok(told(app, id, done))
}

/// Workers hear of it, and the caller what was done.
fn told(app: &App, id: i64, done: Act) -> Json<Done> {
    app.wake.notify();
    Json(done.to(id))
}

fn job_id(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::NotFound("job"))
}
