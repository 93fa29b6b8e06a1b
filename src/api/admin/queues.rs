//! How the queues stand.

use axum::Json;
use axum::extract::State;
use queue::admin::{self, QueueRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::Refused;
use crate::web::cursor::Page;
use crate::web::problem::Problem;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List queues
///
/// What waits in each, for how long, and who works on it. For those who run the platform.
#[utoipa::path(
    get, path = "/api/v1/admin/queues", operation_id = "list_queues", tag = "admin",
    responses(
        (status = 200, body = Page<QueueRow>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Page<QueueRow>>, Problem> {
    caller.may_look_after()?.need_whole()?;
    let mut tx = caller.begin(&app).await?;
    let queues = admin::queues(&mut tx).await.map_err(Refused::from)?;
    Ok(Json(Page::whole(queues)))
}
