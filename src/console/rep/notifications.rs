//! What a person is told.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use domain::id::NotificationId;
use domain::store::bell::{self, News};
use serde::Serialize;

use crate::app::App;
use crate::commands::Refused;
use crate::commands::query::Parameters;
use crate::console::Failed;
use crate::console::frame::{Frame, address, back, without};
use crate::console::moment::Moment;
use crate::console::posted::Posted;
use crate::web::cursor::{Page, one_more};
use crate::web::session::Session;

/// Most pieces of news on a page.
const A_PAGE: usize = 30;
/// Where they are.
pub(super) const PATH: &str = "/dashboard/crm/notifications";

/// The page.
#[derive(Debug, Serialize)]
struct NotificationsPage {
    frame: Frame,
    unread_only: bool,
    news: Vec<Item>,
    here: String,
    next: Option<String>,
}

/// One piece of news.
#[derive(Debug, Serialize)]
struct Item {
    id: String,
    mark: &'static str,
    title: String,
    body: String,
    lead: String,
    at: Moment,
    unread: bool,
}

/// `GET /dashboard/crm/notifications`.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let query = query.unwrap_or_default();
    let clean = without(&query, &["said"]);
    let mut given = Parameters::parse(&clean);
    let (unread_only, after) = (given.flag("unread"), given.moment());
    given.finish()?;

    let (org, user) = (session.member.org, session.member.user);
    let mut tx = session.begin(&app).await?;
    let frame = Frame::new(&mut tx, &session, "Notifications", "notifications", &query).await?;
    let most = one_more(A_PAGE);
    let news = bell::list(&mut tx, org, user, unread_only, after, most).await?;
    let news = Page::of(news, A_PAGE, |news| (news.created_at, news.id));

    let now = app.clock.now();
    let item = |news: &News| Item {
        id: news.id.to_string(),
        mark: mark(&news.kind),
        title: news.title.clone(),
        body: news.body.clone().unwrap_or_default(),
        lead: news
            .lead_id
            .map_or_else(String::new, |lead| lead.to_string()),
        at: Moment::of(news.created_at, now, session.zone),
        unread: news.read_at.is_none(),
    };
    let page = NotificationsPage {
        news: news.items.iter().map(item).collect(),
        next: news.next.map(|next| {
            let only = if unread_only { "unread=true&" } else { "" };
            format!("{PATH}?{only}cursor={next}")
        }),
        here: address(PATH, &clean),
        unread_only,
        frame,
    };
    Ok(app
        .views
        .page(StatusCode::OK, "console/rep/notifications.html", &page))
}

/// `POST /dashboard/crm/notifications/read`: one of them, or all.
pub(super) async fn read(State(app): State<App>, posted: Posted) -> Result<Response, Failed> {
    let (org, user) = (posted.session.member.org, posted.session.member.user);
    let now = app.clock.now();
    let mut tx = posted.session.begin(&app).await?;
    let mut lead = None;
    match posted.fields.filled("id") {
        Some(id) => {
            let missing = Refused::NotFound("notification");
            let Ok(id) = id.parse::<NotificationId>() else {
                return Err(missing.into());
            };
            let news = bell::mark_read(&mut tx, org, user, id, now).await?;
            lead = news.ok_or(missing)?.lead_id;
        }
        None => drop(bell::mark_all_read(&mut tx, org, user, now).await?),
    }
    tx.commit().await?;
    // The person's other pages count less now.
    app.bells.news(org, user).await;
    let to = match lead.filter(|_| posted.fields.text("open") == "true") {
        Some(lead) => format!("/dashboard/crm/leads/{lead}"),
        None => back(posted.fields.text("back"), PATH, "read"),
    };
    Ok(Redirect::to(&to).into_response())
}

fn mark(kind: &str) -> &'static str {
    match kind {
        "lead_hot" | "lead_qualified" => "score",
        "lead_assigned" => "person",
        "lead_scored" => "in",
        kind if kind.starts_with("follow_up") => "talk",
        kind if kind.contains("refused") || kind.contains("quarantined") => "alarm",
        _ => "dot",
    }
}
