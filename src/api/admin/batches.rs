//! Jobs that belong together, and how far they have got.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use queue::admin::{self, BatchFilter, BatchRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::Refused;
use crate::commands::query::Parameters;
use crate::web::cursor::{self, Page};
use crate::web::problem::Problem;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
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
    let found = admin::batches(&mut tx, filter, below).await;
    let found = found.map_err(Refused::from)?;
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
    let missing = || Refused::NotFound("batch");
    let id: i64 = id.parse().map_err(|_| missing())?;
    let mut tx = caller.begin(&app).await?;
    let found = admin::batch(&mut tx, id).await.map_err(Refused::from)?;
    let found = found.filter(|batch| sight.takes_in(batch.lane));
    Ok(Json(found.ok_or_else(missing)?))
}
