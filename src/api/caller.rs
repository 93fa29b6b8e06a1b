//! Who calls the API: a program with a key, or a person with a session.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use chrono::TimeDelta;
use domain::actor::{Act, Actor, Request};
use domain::clock::Timestamp;
use domain::id::{OrgId, UserId};
use domain::store::{Tx, api_keys};

use crate::app::App;
use crate::commands::Refused;
use crate::web::api_key::SentKey;
use crate::web::client::Client;
use crate::web::problem::Problem;

/// The last use of a key is written down at most this often.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Who calls, and what they may do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The org called for.
    pub org: OrgId,
    /// Who is written into histories.
    pub actor: Actor,
    scopes: Vec<String>,
    request: Request,
}

impl Caller {
    /// The caller that the headers speak of.
    pub async fn identify(app: &App, client: &Client) -> Result<Self, Refused> {
        let sent = key_in(&client.headers).ok_or(Refused::Unauthorized)?;
        let sent = SentKey::parse(sent).ok_or(Refused::Unauthorized)?;
        let now = app.clock.now();
        let mut tx = app.db.platform().await?;
        let found = api_keys::find_by_hash(&mut tx, &sent.secret_hash, now).await?;
        let key = found
            .filter(|key| sent.matches(&key.prefix, &key.secret_hash))
            .ok_or(Refused::Unauthorized)?;
        drop(tx);
        if key.last_used_at.is_none_or(|at| now - at > NOTED_EVERY) {
            note_use(app, &key, now);
        }
        Ok(Self {
            org: key.org_id,
            actor: Actor::ApiKey(key.id, key.acts_as_user_id),
            scopes: key.scopes,
            request: Request {
                id: Some(client.request_id.clone()),
                ip: Some(client.ip.to_string()),
                user_agent: client.header("user-agent").map(str::to_owned),
            },
        })
    }

    /// The person whose deed a call is.
    pub fn user(&self) -> Option<UserId> {
        self.actor.user()
    }

    /// Whether leads may be looked at.
    pub fn may_read(&self) -> Result<(), Refused> {
        self.need("leads:read", "This key may not read leads")
    }

    /// Whether leads may be changed.
    pub fn may_write(&self) -> Result<(), Refused> {
        self.need("leads:write", "This key may not change leads")
    }

    fn need(&self, scope: &str, refusal: &'static str) -> Result<(), Refused> {
        let has = self.scopes.iter().any(|has| has == scope || has == "admin");
        if has {
            Ok(())
        } else {
            Err(Refused::Forbidden(refusal))
        }
    }

    /// A transaction in the caller's org.
    pub async fn begin(&self, app: &App) -> Result<Tx, Refused> {
        Ok(app.db.org(self.org).await?)
    }

    /// The circumstances of what the caller does now.
    pub fn act(&self, app: &App) -> Act {
        Act::new(self.org, self.actor, app.clock.now()).with_request(self.request.clone())
    }
}

/// Written by the way: a call is not slower for it and does not fail for it.
fn note_use(app: &App, key: &api_keys::ApiKey, now: Timestamp) {
    let (db, org, id) = (app.db.clone(), key.org_id, key.id);
    tokio::spawn(async move {
        let noted = async {
            let mut tx = db.org(org).await?;
            api_keys::touch(&mut tx, org, id, now).await?;
            tx.commit().await
        };
        if let Err(error) = noted.await {
            tracing::debug!(%error, "The use of a key was not noted");
        }
    });
}

fn key_in(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    text("x-api-key").or_else(|| {
        let (scheme, key) = text("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    })
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(client) = Client::from_request_parts(parts, app).await;
        Ok(Self::identify(app, &client).await?)
    }
}
