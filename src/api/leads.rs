//! `/api/v1/leads`: leads over REST.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::command;
use domain::id::LeadId;
use domain::lead::Lead;
use domain::store::{lead_history, lead_pages};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::json::JsonObject;
use super::once::{First, Once};
use super::view::{ActivityView, LeadBody, LeadView, ScoreView};
use crate::app::App;
use crate::commands::input::{self, Unknown};
use crate::commands::query::{LeadQuery, Parameters};
use crate::commands::{Refused, leads};
use crate::web::client::Client;
use crate::web::cursor::{Page, one_more};
use crate::web::problem::Problem;

/// The routes of this module.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, remove))
        .routes(routes!(timeline))
        .routes(routes!(scores))
}

/// List leads
///
/// Newest first. Follow `next` until it is null.
#[utoipa::path(
    get, path = "/api/v1/leads", operation_id = "list_leads", tag = "leads",
    params(
        ("status" = Option<Vec<String>>, Query, description = "In one of these statuses"),
        ("source" = Option<String>, Query, description = "How the lead was won, or how it arrived"),
        ("stage_id" = Option<uuid::Uuid>, Query, description = "In this stage"),
        ("assigned_to" = Option<uuid::Uuid>, Query, description = "With this rep"),
        ("assigned_to_me" = Option<bool>, Query, description = "With the person this key acts for"),
        ("band" = Option<String>, Query, description = "cold, warm or hot"),
        ("score_min" = Option<i16>, Query, description = "Scored at least so high"),
        ("score_max" = Option<i16>, Query, description = "Scored at most so high"),
        ("date_from" = Option<String>, Query, description = "Captured on that day or later"),
        ("date_to" = Option<String>, Query, description = "Captured on that day or earlier"),
        ("last_contacted_before" = Option<String>, Query, description = "Last contacted before that day or instant"),
        ("never_contacted" = Option<bool>, Query, description = "Never contacted"),
        ("follow_up_by" = Option<String>, Query, description = "To be followed up by that day or instant"),
        ("tag" = Option<Vec<String>>, Query, description = "Having all of these labels"),
        ("q" = Option<String>, Query, description = "Words in name, address, company or title"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 without it"),
        ("page" = Option<u32>, Query, description = "The page by its number, for short lists"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Page<LeadView>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<LeadView>>, Problem> {
    caller.may_read()?;
    let query = LeadQuery::read(query.as_deref().unwrap_or_default(), caller.user())?;
    let mut tx = caller.begin(&app).await?;
    let leads = lead_pages::list(&mut tx, caller.org, &query.filter, one_more(query.limit)).await;
    let page = Page::of(leads.map_err(Refused::from)?, query.limit, |lead| {
        (lead.created_at, lead.id)
    });
    Ok(Json(page.map(LeadView::from)))
}

/// Show a lead
#[utoipa::path(
    get, path = "/api/v1/leads/{id}", operation_id = "show_lead", tag = "leads", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = LeadView),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let id = lead_id(&id)?;
    let mut tx = caller.begin(&app).await?;
    let lead = lead_pages::find(&mut tx, caller.org, id)
        .await
        .map_err(Refused::from)?;
    Ok(with_version(lead.ok_or(Refused::NotFound("lead"))?))
}

/// Create a lead
///
/// At least one of email, phone, linkedin_url and name is needed. It is scored and enriched in the background. An
/// `Idempotency-Key` makes a request that is sent again answer as it did the first time.
#[utoipa::path(
    post, path = "/api/v1/leads", operation_id = "create_lead", tag = "leads", request_body = LeadBody,
    params(("idempotency-key" = Option<String>, Header)),
    responses(
        (status = 201, body = LeadView),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A lead with this address is there: `lead_id`"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    JsonObject { object, bytes }: JsonObject,
) -> Result<Response, Problem> {
    caller.may_write()?;
    let input = input::lead(&object, Unknown::Refused)?;
    let mut tx = caller.begin(&app).await?;
    let begun = Once::begin(&mut tx, &app, &caller, &client, "create_lead", &bytes).await?;
    let once = match begun {
        First::Yes(once) => once,
        First::No(replay) => return Ok(replay),
    };
    let lead = leads::create(&mut tx, &caller.act(&app), &input).await?;
    let (id, version) = (lead.id, lead.version);
    let answer = serde_json::to_value(LeadView::from(lead)).map_err(anyhow::Error::new);
    let answer = answer.map_err(Refused::from)?;
    once.finish(&mut tx, &caller, StatusCode::CREATED, &answer)
        .await?;
    tx.commit().await.map_err(Refused::from)?;
    app.wake.notify();

    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    put(
        &mut response,
        header::LOCATION,
        &format!("/api/v1/leads/{id}"),
    );
    put(&mut response, header::ETAG, &format!("\"{version}\""));
    Ok(response)
}

/// Change a lead
///
/// What is not named stays, null clears. With `If-Match` or `version`, only if the lead is still that version.
#[utoipa::path(
    patch, path = "/api/v1/leads/{id}", operation_id = "change_lead", tag = "leads", request_body = LeadBody,
    params(("id" = uuid::Uuid, Path), ("if-match" = Option<String>, Header)),
    responses(
        (status = 200, body = LeadView),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It was changed meanwhile: `version`"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    Path(id): Path<String>,
    JsonObject { object, .. }: JsonObject,
) -> Result<Response, Problem> {
    caller.may_write()?;
    let id = lead_id(&id)?;
    let mut input = input::lead(&object, Unknown::Refused)?;
    if let Some(tag) = client.header("if-match").filter(|tag| *tag != "*") {
        let version = tag
            .trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .parse();
        let version = version.map_err(|_| {
            Refused::field(
                "if-match",
                "invalid_version",
                "Must be `*` or one ETag of the lead as it was read, such as \"3\" or W/\"3\"; a list is not understood",
            )
        })?;
        input.version = Some(version);
    }
    let mut tx = caller.begin(&app).await?;
    let lead = leads::change(&mut tx, &caller.act(&app), id, &input).await?;
    tx.commit().await.map_err(Refused::from)?;
    app.wake.notify();
    app.bells.lead_changed(caller.org, id).await;
    Ok(with_version(lead))
}

/// Delete a lead
///
/// It is out of sight everywhere from then on; its history is kept, and its address may be captured again. Needs the scope
/// `leads:delete`, and of keys that act for somebody, an admin or owner.
#[utoipa::path(
    delete, path = "/api/v1/leads/{id}", operation_id = "delete_lead", tag = "leads", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is none, or no more"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.may_delete()?;
    let id = lead_id(&id)?;
    let mut tx = caller.begin(&app).await?;
    let deleted = command::soft_delete_lead(&mut tx, &caller.act(&app), id).await;
    deleted.map_err(Refused::from)?;
    tx.commit().await.map_err(Refused::from)?;
    app.bells.lead_changed(caller.org, id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Show what happened to a lead
///
/// Newest first. Follow `next` until it is null.
#[utoipa::path(
    get, path = "/api/v1/leads/{id}/timeline", operation_id = "list_timeline", tag = "leads",
    params(("id" = uuid::Uuid, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses(
        (status = 200, body = Page<ActivityView>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn timeline(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ActivityView>>, Problem> {
    caller.may_read()?;
    let id = lead_id(&id)?;
    let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
    let (after, limit) = (given.moment(), given.limit());
    given.finish()?;

    let mut tx = caller.begin(&app).await?;
    let lead = lead_pages::find(&mut tx, caller.org, id)
        .await
        .map_err(Refused::from)?;
    lead.ok_or(Refused::NotFound("lead"))?;
    let entries = lead_history::activities(&mut tx, caller.org, id, after, one_more(limit)).await;
    let page = Page::of(entries.map_err(Refused::from)?, limit, |entry| {
        (entry.occurred_at, entry.id)
    });
    Ok(Json(page.map(ActivityView::from)))
}

/// Show the scores a lead was given
///
/// Newest first. Follow `next` until it is null.
#[utoipa::path(
    get, path = "/api/v1/leads/{id}/scores", operation_id = "list_scores", tag = "leads",
    params(("id" = uuid::Uuid, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses(
        (status = 200, body = Page<ScoreView>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn scores(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ScoreView>>, Problem> {
    caller.may_read()?;
    let id = lead_id(&id)?;
    let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
    let (after, limit) = (given.moment(), given.limit());
    given.finish()?;

    let mut tx = caller.begin(&app).await?;
    let lead = lead_pages::find(&mut tx, caller.org, id)
        .await
        .map_err(Refused::from)?;
    lead.ok_or(Refused::NotFound("lead"))?;
    let given = lead_history::scores(&mut tx, caller.org, id, after, one_more(limit)).await;
    let page = Page::of(given.map_err(Refused::from)?, limit, |score| {
        (score.computed_at, score.id)
    });
    Ok(Json(page.map(ScoreView::from)))
}

/// An id that is none is that of no lead.
fn lead_id(text: &str) -> Result<LeadId, Refused> {
    text.parse().map_err(|_| Refused::NotFound("lead"))
}

fn with_version(lead: Lead) -> Response {
    let etag = format!("\"{}\"", lead.version);
    let mut response = Json(LeadView::from(lead)).into_response();
    put(&mut response, header::ETAG, &etag);
    response
}

fn put(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
