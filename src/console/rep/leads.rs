//! The lead table.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use domain::store::{lead_pages, members, orgs, stages};
use serde::Serialize;

use super::filter::{Asked, Filters, due_today};
use super::row::{Reader, Row};
use crate::app::App;
use crate::commands::Refused;
use crate::console::Failed;
use crate::console::frame::{Frame, address, without};
use crate::web::cursor::{Page, one_more};
use crate::web::session::Session;

/// Most leads that are counted.
const COUNTED_TO: i64 = 10_000;
const PATH: &str = "/dashboard/crm/leads";

/// The page.
#[derive(Debug, Serialize)]
struct LeadsPage {
    frame: Frame,
    filters: Filters,
    leads: Vec<Row>,
    /// How many leads the filters let through.
    count: String,
    /// Where this page is, to come back to.
    here: String,
    first: Option<String>,
    next: Option<String>,
}

/// `GET /dashboard/crm/leads`.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sent = query.unwrap_or_default();
    let org = session.member.org;
    let asked = Asked::read(&sent, session.member.user)?;
    let mut tx = session.begin(&app).await?;
    let frame = Frame::new(&mut tx, &session, "Leads", "leads", &sent).await?;
    let home = orgs::find(&mut tx, org).await?;
    let home = home.ok_or(Refused::NotFound("organisation"))?;
    let people = members::list(&mut tx, org).await?;
    let stages = stages::list(&mut tx, org).await?;

    let (mut found, mut count) = (
        Page {
            items: Vec::new(),
            next: None,
        },
        0,
    );
    if let Some(query) = &asked.query {
        let limit = one_more(query.limit);
        let leads = lead_pages::list(&mut tx, org, &query.filter, limit).await?;
        found = Page::of(leads, query.limit, |lead| (lead.created_at, lead.id));
        count = lead_pages::count(&mut tx, org, &query.filter, COUNTED_TO + 1).await?;
    }
    let status = match asked.query {
        Some(_) => StatusCode::OK,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    };

    let reader = Reader {
        org: &home,
        people: &people,
        now: app.clock.now(),
        zone: session.zone,
    };
    let due = due_today(session.member.user, reader.now, session.zone);
    let further = |cursor: String| {
        let pair = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", &cursor)
            .finish();
        let query = format!("{}&{pair}", asked.clean);
        address(PATH, query.trim_start_matches('&'))
    };
    let page = LeadsPage {
        here: address(PATH, &without(&sent, &["said"])),
        first: sent
            .contains("cursor=")
            .then(|| address(PATH, &asked.clean)),
        next: found.next.map(further),
        leads: found.items.iter().map(|lead| reader.row(lead)).collect(),
        count: counted(count),
        filters: asked.filters(&due, &home, &stages, &people, session.member.user),
        frame,
    };
    Ok(app.views.page(status, "console/rep/leads.html", &page))
}

/// `GET /dashboard/crm/today`: whom to get back to, as the mail of the morning says.
pub(super) async fn today(State(app): State<App>, session: Session) -> Redirect {
    let due = due_today(session.member.user, app.clock.now(), session.zone);
    Redirect::to(&address(PATH, &due))
}

fn counted(count: i64) -> String {
    match count {
        1 => "1 lead".into(),
        more if more > COUNTED_TO => "10,000+ leads".into(),
        thousands if thousands >= 1_000 => {
            format!("{},{:03} leads", thousands / 1_000, thousands % 1_000)
        }
        count => format!("{count} leads"),
    }
}
