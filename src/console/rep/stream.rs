//! The bell, live: how much is not read, what came since the page last heard, and that the page's lead was changed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::clock::Timestamp;
use domain::id::{LeadId, NotificationId};
use domain::store::bell;
use futures::stream;
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use tokio::time::Instant;

use crate::app::App;
use crate::commands::Refused;
use crate::commands::query::Parameters;
use crate::console::Failed;
use crate::console::frame::COUNTED_TO;
use crate::console::signed_in::Unused;
use crate::web::bells::{Heard, Rang};
use crate::web::cursor;
use crate::web::session::Session;

/// Most pieces of news told at once; the rest is on the page.
const AT_ONCE: i64 = 3;
/// How often a page looks by itself, in case it was not told.
const LOOK: Duration = Duration::from_secs(30);
/// How long a page stays connected before it connects again.
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

/// The lead that a page is about.
struct Watched {
    lead: LeadId,
    /// How the page shows it.
    seen: Option<bell::State>,
}

struct Listening {
    app: App,
    session: Session,
    heard: Heard,
    watched: Option<Watched>,
    /// The newest that the page has been told of; nothing before it has been told of any.
    newest: Option<At>,
    told: Option<i64>,
    /// What is still to be told.
    events: VecDeque<Event>,
    /// When it ends.
    until: Instant,
}

/// `GET /dashboard/crm/notifications/stream`; the page of a `lead` says which, and as of when it shows it, with
/// which score.
pub(super) async fn stream(
    State(app): State<App>,
    Unused(session): Unused,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let member = &session.member;
    let mut given = Parameters::parse(query.as_deref().unwrap_or_default());
    let (lead, as_of) = (given.parsed("lead", "an id"), given.instant("as_of"));
    let score = given.parsed("score", "a number");
    let told = given.text("last");
    given.finish()?;
    let seen = as_of.map(|at| (at, score));
    // From here on nothing is missed: what comes while we look is heard after.
    let heard = app.bells.listen(member.org, member.user, lead);
    // A stream that the browser opens again carries the header; one that the page opens anew cannot, and says it in its address.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let listening = Listening {
        newest: last.or(told.as_deref()).and_then(cursor::decode),
        told: None,
        watched: lead.map(|lead| Watched { lead, seen }),
        events: VecDeque::new(),
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
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let rang = if self.told.is_none() {
                Rang::Either
            } else {
                tokio::select! {
                    () = self.app.stop.asked() => return None,
                    () = tokio::time::sleep_until(self.until) => return None,
                    rang = self.heard.ring() => rang,
                    () = tokio::time::sleep(LOOK) => Rang::Either,
                }
            };
            // Where it ends, the page connects again by itself.
            match self.look(rang).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    error.log();
                    return None;
                }
            }
        }
    }

    /// Finds what there is to tell, as far as the person may see it now; false if they are signed in no more.
    async fn look(&mut self, rang: Rang) -> Result<bool, Refused> {
        let Some(session) = self.session.again(&self.app).await? else {
            return Ok(false);
        };
        self.session = session;
        let mut tx = self.session.begin(&self.app).await?;
        if rang != Rang::Lead {
            let news = self.news(&mut tx).await?;
            self.events.extend(news);
        }
        if rang != Rang::News {
            let changed = self.changed(&mut tx, rang == Rang::Lead).await?;
            self.events.extend(changed);
        }
        Ok(true)
    }

    /// That the lead was changed, `surely` or by how it is now; of one that is not to be seen, nothing.
    async fn changed(
        &mut self,
        db: &mut PgConnection,
        surely: bool,
    ) -> Result<Option<Event>, Refused> {
        let Some(watched) = &mut self.watched else {
            return Ok(None);
        };
        let org = self.session.member.org;
        let Some(state) = bell::lead_state(db, org, watched.lead).await? else {
            return Ok(None);
        };
        let before = watched.seen.replace(state);
        if !surely && before.is_none_or(|before| before == state) {
            return Ok(None);
        }
        let event = Event::default().event("lead");
        let event = event.json_data(json!({"lead": watched.lead}));
        Ok(Some(event.map_err(anyhow::Error::new)?))
    }

    /// What is new at the bell, unless it is what was told before.
    async fn news(&mut self, db: &mut PgConnection) -> Result<Option<Event>, Refused> {
        let (org, user) = (self.session.member.org, self.session.member.user);
        let unread = bell::unread(db, org, user, COUNTED_TO).await?;
        let latest = bell::list(db, org, user, false, None, AT_ONCE).await?;
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
