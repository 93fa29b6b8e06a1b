//! Jobs that belong together: how far they have got, and calling them off.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use queue::admin::{self, BatchFilter, BatchRow, CancelledBatch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::{Asked, Reason};
use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::query::Parameters;
use crate::commands::{Refused, narrow_enough, ops};
use crate::web::cursor::{self, Page};
use crate::web::problem::Problem;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(cancel))
}

/// List batches
///
/// Newest first. Follow `next` until it is null.
#[utoipa::path(
    get, path = "/api/v1/admin/batches", operation_id = "list_batches", tag = "admin",
    params(
        ("unfinished" = Option<bool>, Query, description = "Only those that are not completed"),
        ("org" = Option<uuid::Uuid>, Query, description = "Of this org"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Page<BatchRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<BatchRow>>, Problem> {
    let sight = caller.may_look_after()?;
    let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
    let org = given.parsed("org", "the id of an org");
    let below = given.cursor::<i64>();
    let filter = BatchFilter {
        unfinished: given.flag("unfinished"),
        lane: sight.lane.or(org),
        limit: i64::try_from(given.limit()).ok(),
    };
    given.finish()?;
    let mut tx = caller.begin(&app).await?;
    let found = narrow_enough(admin::batches(&mut tx, filter, below).await)?;
    Ok(Json(Page {
        items: found.items,
        next: found.next.map(|next| cursor::encode(&next)),
    }))
}

/// Show a batch
#[utoipa::path(
    get, path = "/api/v1/admin/batches/{id}", operation_id = "show_batch", tag = "admin", params(("id" = i64, Path)),
    responses(
        (status = 200, body = BatchRow),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<BatchRow>, Problem> {
    let sight = caller.may_look_after()?;
    let id = batch_id(&id)?;
    let mut tx = caller.begin(&app).await?;
    let found = admin::batch(&mut tx, id).await.map_err(Refused::from)?;
    let found = found.filter(|batch| sight.takes_in(batch.lane));
    Ok(Json(found.ok_or(Refused::NotFound("batch"))?))
}

/// Cancel a batch
///
/// What of it waits will not run, what runs is asked to stop, and nothing more can be added. When the last of its jobs has
/// ended, the job that comes after it is enqueued, as always. A request that was cut off may be sent again.
#[utoipa::path(
    post, path = "/api/v1/admin/batches/{id}/cancel", operation_id = "cancel_batch", tag = "admin", params(("id" = i64, Path)),
    request_body = Reason,
    responses(
        (status = 200, body = CancelledBatch),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is completed"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(given): Asked<Reason>,
) -> Result<Json<CancelledBatch>, Problem> {
    let sight = caller.may_operate()?;
    let id = batch_id(&id)?;
    let (tx, by) = (caller.begin(&app).await?, caller.act(&app));
    let done = ops::cancel_batch(&app.db, tx, &by, sight, id, &given.kept()).await?;
    app.wake.notify();
    Ok(Json(done))
}

fn batch_id(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::NotFound("batch"))
}
