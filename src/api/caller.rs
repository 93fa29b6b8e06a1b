//! Who calls the API: a program with a key, or a person with a session.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use chrono::TimeDelta;
use domain::actor::{Act, Actor, Request};
use domain::id::{ApiKeyId, OrgId, UserId};
use domain::key_scope::Scope;
use domain::member::Member;
use domain::store::scope::enter_org;
use domain::store::{Tx, api_keys};

use crate::app::App;
use crate::commands::Refused;
use crate::commands::ops::Sight;
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
    /// What opened the door.
    pub key: ApiKeyId,
    /// Whose work it is: a call sees what they see.
    member: Option<Member>,
    /// Whether that is the work of somebody who runs the platform.
    operator: bool,
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
        if key.last_used_at.is_none_or(|at| now - at > NOTED_EVERY) {
            enter_org(&mut tx, key.org_id).await?;
            api_keys::touch(&mut tx, key.org_id, key.id, now).await?;
            tx.commit().await?;
        }
        Ok(Self {
            org: key.org_id,
            key: key.id,
            actor: Actor::ApiKey(key.id, key.acts_as.as_ref().map(|member| member.user)),
            member: key.acts_as,
            operator: key.operator,
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
        self.need(Scope::LeadsRead, "This key may not read leads")
    }

    /// Whether leads may be changed.
    pub fn may_write(&self) -> Result<(), Refused> {
        self.need(Scope::LeadsWrite, "This key may not change leads")
    }

    /// Whether leads may be put out of sight: of those who act for somebody, only who acts for an admin or owner.
    pub fn may_delete(&self) -> Result<(), Refused> {
        self.need(Scope::LeadsDelete, "This key may not delete leads")?;
        if self.member.as_ref().is_none_or(runs_the_org) {
            Ok(())
        } else {
            Err(Refused::Forbidden(
                "leads are deleted by admins and owners, and this key acts for neither",
            ))
        }
    }

    /// Whose jobs may be looked at.
    pub fn may_look_after(&self) -> Result<Sight, Refused> {
        self.need(Scope::OpsRead, "This key may not look at operations")?;
        self.sight()
    }

    /// Whose jobs may be run again, called off, held back.
    pub fn may_operate(&self) -> Result<Sight, Refused> {
        self.need(Scope::OpsWrite, "This key may not operate")?;
        self.sight()
    }

    /// A key sees what the console shows the person it acts for; one of nobody is the org's.
    fn sight(&self) -> Result<Sight, Refused> {
        if !self.operator && !self.member.as_ref().is_none_or(runs_the_org) {
            return Err(Refused::Forbidden(
                "operations are for admins and owners, and this key acts for neither",
            ));
        }
        Ok(Sight {
            lane: (!self.operator).then_some(self.org.uuid()),
        })
    }

    fn need(&self, scope: Scope, refusal: &'static str) -> Result<(), Refused> {
        if scope.is_among(&self.scopes) {
            Ok(())
        } else {
            Err(Refused::Forbidden(refusal))
        }
    }

    /// A transaction that sees what the caller may see.
    pub async fn begin(&self, app: &App) -> Result<Tx, Refused> {
        Ok(match &self.member {
            Some(member) => app.db.member(member).await?,
            None => app.db.org(self.org).await?,
        })
    }

    /// The circumstances of what the caller does now.
    pub fn act(&self, app: &App) -> Act {
        Act::new(self.org, self.actor, app.clock.now()).with_request(self.request.clone())
    }
}

fn runs_the_org(member: &Member) -> bool {
    member.role.may_administer()
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
