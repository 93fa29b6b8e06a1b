//! The bell, live: how much is not read, and what came since the page last heard.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::clock::Timestamp;
use domain::id::NotificationId;
use domain::store::bell;
use futures::stream;
use serde::Serialize;
use tokio::time::Instant;

use crate::app::App;
use crate::commands::Refused;
use crate::console::Failed;
use crate::console::frame::COUNTED_TO;
use crate::web::bells::Heard;
use crate::web::cursor;
use crate::web::session::Session;

/// Most pieces of news told at once; the rest is on the page.
const AT_ONCE: i64 = 3;
/// How often a page looks by itself, in case it was not told.
const LOOK: Duration = Duration::from_secs(30);
/// How long a page stays connected before it connects again, signed in still or not.
const LONGEST: Duration = Duration::from_secs(900);

type At = (Timestamp, NotificationId);

/// What a page is told.
#[derive(Debug, Serialize)]
struct Bell {
    unread: i64,
    news: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    title: String,
    url: String,
}

struct Listening {
    app: App,
    session: Session,
    heard: Heard,
    /// The newest that the page has been told of; nothing before it has been told of any.
    newest: Option<At>,
    told: Option<i64>,
    /// When it ends.
    until: Instant,
}

/// `GET /dashboard/crm/notifications/stream`.
pub(super) async fn stream(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let member = &session.member;
    // From here on nothing is missed: what comes while we look is heard after.
    let heard = app.bells.listen(member.org, member.user);
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let listening = Listening {
        newest: last.and_then(cursor::decode),
        told: None,
        until: Instant::now() + LONGEST,
        app,
        session,
        heard,
    };
    let events = stream::unfold(listening, async |mut listening| {
        let event = listening.next().await?;
        Some((Ok::<_, Infallible>(event), listening))
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(Box::pin(events)).keep_alive(alive).into_response())
}

impl Listening {
    /// The next thing to tell; nothing once the page is to connect again.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.told.is_some() {
                tokio::select! {
                    () = self.app.stop.asked() => return None,
                    () = tokio::time::sleep_until(self.until) => return None,
                    () = self.heard.ring() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            match self.look().await {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                // The page connects again by itself.
                Err(error) => {
                    error.log();
                    return None;
                }
            }
        }
    }

    /// What there is to tell, unless it is what was told before.
    async fn look(&mut self) -> Result<Option<Event>, Refused> {
        let (org, user) = (self.session.member.org, self.session.member.user);
        let mut tx = self.session.begin(&self.app).await?;
        let unread = bell::unread(&mut tx, org, user, COUNTED_TO).await?;
        let latest = bell::list(&mut tx, org, user, false, None, AT_ONCE).await?;
        drop(tx);
        let newest = latest.first().map(|news| (news.created_at, news.id));
        let is_first = self.told.is_none() && self.newest.is_none();
        if self.told == Some(unread) && newest == self.newest {
            return Ok(None);
        }
        let known = self.newest;
        let news = latest.into_iter().filter(|news| {
            !is_first
                && news.read_at.is_none()
                && known.is_none_or(|at| (news.created_at, news.id) > at)
        });
        let bell = Bell {
            unread,
            news: news
                .map(|news| Item {
                    title: news.title,
                    url: match news.lead_id {
                        Some(lead) => format!("/dashboard/crm/leads/{lead}"),
                        None => "/dashboard/crm/notifications".into(),
                    },
                })
                .collect(),
        };
        self.told = Some(unread);
        self.newest = newest;
        let mut event = Event::default().event("bell").retry(Duration::from_secs(3));
        if let Some(newest) = newest {
            event = event.id(cursor::encode(&newest));
        }
        let event = event.json_data(&bell).map_err(anyhow::Error::new)?;
        Ok(Some(event))
    }
}
