//! `/api/v1/notifications`: what the person behind a key is told.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use domain::id::{NotificationId, UserId};
use domain::store::bell;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::view::NotificationView;
use crate::app::App;
use crate::commands::Refused;
use crate::commands::query::Parameters;
use crate::web::cursor::{Page, one_more};
use crate::web::problem::Problem;

/// The routes of this module.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
}

/// List notifications
///
/// Newest first, those of the person this key acts for. Follow `next` until it is null.
#[utoipa::path(
    get, path = "/api/v1/notifications", operation_id = "list_notifications", tag = "notifications",
    params(
        ("unread" = Option<bool>, Query, description = "Only those not read yet"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Page<NotificationView>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<NotificationView>>, Problem> {
    caller.may_read()?;
    let user = person(&caller)?;
    let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
    let (unread, after, limit) = (given.flag("unread"), given.moment(), given.limit());
    given.finish()?;

    let mut tx = caller.begin(&app).await?;
    let news = bell::list(&mut tx, caller.org, user, unread, after, one_more(limit)).await;
    let page = Page::of(news.map_err(Refused::from)?, limit, |news| {
        (news.created_at, news.id)
    });
    Ok(Json(page.map(NotificationView::from)))
}

/// Mark a notification as read
#[utoipa::path(
    post, path = "/api/v1/notifications/{id}/read", operation_id = "read_notification", tag = "notifications", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = NotificationView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<NotificationView>, Problem> {
    caller.may_read()?;
    let user = person(&caller)?;
    let missing = || Refused::NotFound("notification");
    let id: NotificationId = id.parse().map_err(|_| missing())?;

    let mut tx = caller.begin(&app).await?;
    let news = bell::mark_read(&mut tx, caller.org, user, id, app.clock.now()).await;
    let news = news.map_err(Refused::from)?.ok_or_else(missing)?;
    tx.commit().await.map_err(Refused::from)?;
    app.bells.news(caller.org, user).await;
    Ok(Json(news.into()))
}

/// Whose news it is.
pub(super) fn person(caller: &Caller) -> Result<UserId, Refused> {
    caller.user().ok_or(Refused::Forbidden(
        "this API key belongs to no member, and only members have notifications; use the key of a member",
    ))
}
