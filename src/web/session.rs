//! Who is signed in: the cookie, the session behind it, and what proves that a form is ours.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use axum_extra::extract::CookieJar;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use domain::actor::{Act, Actor, Request};
use domain::clock::Timestamp;
use domain::command::new_sign_in_link;
use domain::id::UserId;
use domain::member::Member;
use domain::session::{new_token, token_hash};
use domain::store::{Db, Tx, members, sessions};
use jobs::Links;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use crate::app::App;
use crate::config::{Config, Span};
use crate::web::client::Client;

/// The last use of a session is written down at most this often.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A person at work in the console.
#[derive(Clone)]
pub struct Session {
    /// What transactions are opened for.
    pub member: Member,
    /// The person's name.
    pub name: String,
    /// Where the org writes to them.
    pub email: String,
    /// The org's name.
    pub org_name: String,
    /// The clock on the person's wall.
    pub zone: chrono_tz::Tz,
    /// Whether the person runs the platform, not only an org on it.
    pub operator: bool,
    token: String,
}

impl Session {
    /// The session that the cookie among `headers` speaks of; a request that its person made counts as a use of it.
    pub async fn find(app: &App, headers: &HeaderMap) -> sqlx::Result<Option<Self>> {
        let Some(token) = token_among(app, headers) else {
            return Ok(None);
        };
        Self::of_token(app, token, is_use(headers)).await
    }

    /// The same for what an open page asks by itself, which is no use of the session.
    pub async fn find_unused(app: &App, headers: &HeaderMap) -> sqlx::Result<Option<Self>> {
        let Some(token) = token_among(app, headers) else {
            return Ok(None);
        };
        Self::of_token(app, token, false).await
    }

    /// The session as it is now, with what its person may do now; nothing once it has ended.
    pub async fn again(&self, app: &App) -> sqlx::Result<Option<Self>> {
        Self::of_token(app, self.token.clone(), false).await
    }

    async fn of_token(app: &App, token: String, used: bool) -> sqlx::Result<Option<Self>> {
        let now = app.clock.now();
        let hash = token_hash(&token);
        let idle_since = now - delta(app.config.console.session_idle);
        let mut tx = app.db.platform().await?;
        let Some(found) = sessions::find(&mut tx, &hash, now, idle_since).await? else {
            return Ok(None);
        };
        if used && now - found.last_used_at > NOTED_EVERY {
            sessions::touch(&mut tx, &hash, now).await?;
            tx.commit().await?;
        }
        Ok(Some(Self {
            zone: found.time_zone.parse().unwrap_or(chrono_tz::UTC),
            member: found.member,
            name: found.name,
            email: found.email,
            org_name: found.org_name,
            operator: found.is_platform_admin,
            token,
        }))
    }

    /// Starts a session of `user` in the first org they work in, ending the one that the browser had; nothing if they
    /// work in none.
    pub async fn start(
        app: &App,
        tx: &mut Tx,
        user: UserId,
        headers: &HeaderMap,
    ) -> sqlx::Result<Option<HeaderValue>> {
        let Some(member) = members::of_user(tx, user).await?.into_iter().next() else {
            return Ok(None);
        };
        Self::end(app, tx, headers).await?;
        let token = new_token();
        let now = app.clock.now();
        let lifetime = app.config.console.session_lifetime;
        let until = now + delta(lifetime);
        sessions::insert(tx, &token_hash(&token), user, member.org, now, until).await?;
        Ok(Some(cookie(&app.config, &token, lifetime.get())))
    }

    /// Ends the session that the browser has.
    pub async fn end(app: &App, tx: &mut Tx, headers: &HeaderMap) -> sqlx::Result<()> {
        let jar = CookieJar::from_headers(headers);
        if let Some(had) = jar.get(cookie_name(&app.config)) {
            sessions::delete(tx, &token_hash(had.value())).await?;
        }
        Ok(())
    }

    /// What a form of this session carries, so that nobody else's form is taken for it.
    pub fn csrf(&self) -> String {
        let proof = Sha256::new()
            .chain_update(b"leadmill form\0")
            .chain_update(&self.token)
            .finalize();
        URL_SAFE_NO_PAD.encode(proof)
    }

    /// Whether `sent` is what [`Session::csrf`] gave; takes as long whatever the answer.
    pub fn is_own_form(&self, sent: &str) -> bool {
        self.csrf().as_bytes().ct_eq(sent.as_bytes()).into()
    }

    /// A transaction that sees what the person may see.
    pub async fn begin(&self, app: &App) -> sqlx::Result<Tx> {
        app.db.member(&self.member).await
    }

    /// The circumstances of what the person does now.
    pub fn act(&self, app: &App, client: &Client) -> Act {
        Act::new(
            self.member.org,
            Actor::User(self.member.user),
            app.clock.now(),
        )
        .with_request(Request {
            id: Some(client.request_id.clone()),
            ip: Some(client.ip.to_string()),
            user_agent: client.header("user-agent").map(str::to_owned),
        })
    }

    /// Whether the person may change leads.
    pub fn may_edit(&self) -> bool {
        self.member.role.may_edit()
    }

    /// Whether the person sees how the platform works: those who run it, and those who run an org what concerns theirs.
    pub fn may_operate(&self) -> bool {
        self.operator || self.member.role.may_administer()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}

fn delta(span: Span) -> TimeDelta {
    TimeDelta::from_std(span.get()).unwrap_or(TimeDelta::MAX)
}

/// Whether people reach this service over HTTPS.
fn is_secure(config: &Config) -> bool {
    config.http.public_url.starts_with("https://")
}

fn cookie_name(config: &Config) -> &'static str {
    if is_secure(config) {
        "__Host-leadmill"
    } else {
        "leadmill"
    }
}

/// What the cookie among `headers` holds.
fn token_among(app: &App, headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let cookie = jar.get(cookie_name(&app.config))?;
    Some(cookie.value().to_owned())
}

/// Whether somebody is there: they went somewhere or sent a form. What the script of an open page fetches is no sign of that; it
/// says so itself, as browsers tell it over HTTPS only.
fn is_use(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => !headers.contains_key(BY_SCRIPT),
    }
}

/// The header by which the script of a page says that it asks.
const BY_SCRIPT: &str = "x-leadmill-script";

/// The header that gives the browser its cookie.
fn cookie(config: &Config, token: &str, lifetime: Duration) -> HeaderValue {
    let name = cookie_name(config);
    let secure = if is_secure(config) { "; Secure" } else { "" };
    let seconds = lifetime.as_secs();
    let text = format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).expect("a token is plain letters")
}

/// The header that makes the browser forget its cookie.
pub fn no_cookie(config: &Config) -> HeaderValue {
    cookie(config, "", Duration::ZERO)
}

/// A link that signs the person with this address in, once; nothing if there is no such account.
pub async fn sign_in_link(
    db: &Db,
    now: Timestamp,
    public_url: &str,
    email: &str,
) -> sqlx::Result<Option<String>> {
    let mut tx = db.platform().await?;
    let Some(user) = members::find_user_by_email(&mut tx, email).await? else {
        return Ok(None);
    };
    let token = new_sign_in_link(&mut tx, user.id, now).await?;
    tx.commit().await?;
    Ok(Some(Links::new(public_url).sign_in(&token)))
}

/// Whether the request comes from a page of ours, as far as the browser tells; programs tell nothing.
pub fn same_origin(config: &Config, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else {
        return true;
    };
    let origin = Url::parse(origin).ok();
    let ours = Url::parse(&config.http.public_url).ok();
    let authority = |url: &Url| Some((url.host_str()?.to_owned(), url.port_or_known_default()));
    let Some(origin) = origin else { return false };
    if ours.is_some_and(|ours| authority(&ours) == authority(&origin)) {
        return true;
    }
    let Some(host) = text(header::HOST.as_str()) else {
        return false;
    };
    let asked = Url::parse(&format!("{}://{host}", origin.scheme())).ok();
    asked.is_some_and(|asked| authority(&asked) == authority(&origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_count() {
        let mut config = Config::default();
        config.http.public_url = "https://leadmill.example".into();
        let from = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| {
                let name = axum::http::HeaderName::from_static(name);
                (name, axum::http::HeaderValue::from_static(value))
            });
            same_origin(&config, &headers.collect())
        };
        assert!(from(&[]));
        assert!(from(&[("sec-fetch-site", "same-origin")]));
        assert!(!from(&[("sec-fetch-site", "cross-site")]));
        assert!(!from(&[("sec-fetch-site", "same-site")]));
        assert!(from(&[("origin", "https://leadmill.example")]));
        assert!(from(&[
            ("origin", "http://127.0.0.1:8080"),
            ("host", "127.0.0.1:8080")
        ]));
        assert!(!from(&[
            ("origin", "http://127.0.0.1:8081"),
            ("host", "127.0.0.1:8080")
        ]));
        assert!(!from(&[
            ("origin", "https://evil.example"),
            ("host", "leadmill.example")
        ]));
        assert!(!from(&[("origin", "null")]));
    }
}
