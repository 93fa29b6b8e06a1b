//! The door: a link by mail, good once; and the way out.
//!
//! Whatever is typed, the answer is the same; whether the address is anybody's is found out by a job. The link leads to a
//! page with a button, as programs that look at mails follow links and would use them up.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use domain::normalise::{self, is_email};
use domain::session::token_hash;
use domain::store::sessions;
use jobs::SendSignInLink;
use queue::enqueue;
use serde::Serialize;

use super::Failed;
use super::words;
use crate::app::App;
use crate::commands::Refused;
use crate::console::frame::is_ours;
use crate::console::posted::{Fields, Posted};
use crate::web::client::Client;
use crate::web::rate_limit::Wait;
use crate::web::session::{Session, no_cookie};

/// Where people land.
const HOME: &str = "/dashboard/crm";
/// The cookie that remembers what was asked for before the door was met.
const NEXT: &str = "leadmill_next";

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/sign-in", get(show).post(ask))
        .route("/sign-in/sent", get(sent))
        .route("/sign-in/{token}", get(open).post(enter))
        .route("/sign-out", post(leave))
}

/// The page with one field.
#[derive(Debug, Default, Serialize)]
struct DoorPage {
    title: &'static str,
    /// `ask`, `sent`, `open` or `dead`.
    state: &'static str,
    email: String,
    problem: String,
    next: String,
    token: String,
    said: String,
}

async fn show(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let query = query.unwrap_or_default();
    if Session::find(&app, &headers).await?.is_some() {
        return Ok(Redirect::to(HOME).into_response());
    }
    let find = |name: &str| {
        let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let page = DoorPage {
        title: "Sign in",
        state: "ask",
        next: next(&find("next")),
        said: words::said(&find("said")).unwrap_or_default(),
        ..DoorPage::default()
    };
    Ok(app.views.page(StatusCode::OK, "console/door.html", &page))
}

async fn ask(
    State(app): State<App>,
    client: Client,
    body: axum::body::Bytes,
) -> Result<Response, Failed> {
    let fields = Fields::parse(&body);
    let email = fields.text("email");
    let refused = |status, problem: String| {
        let page = DoorPage {
            title: "Sign in",
            state: "ask",
            email: email.chars().take(300).collect(),
            problem,
            next: next(fields.text("next")),
            ..DoorPage::default()
        };
        app.views.page(status, "console/door.html", &page)
    };
    if let Err(Wait(seconds)) = app.limits.sign_in(client.ip) {
        let problem = format!("Too many tries. Please try again in {seconds} seconds.");
        let mut response = refused(StatusCode::TOO_MANY_REQUESTS, problem);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
        return Ok(response);
    }
    if !is_email(email) {
        let problem = "Type an e-mail address, such as ada@example.com.".to_owned();
        return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, problem));
    }
    // One mailbox is not flooded from many addresses; who asks is not told.
    if app.limits.sign_in_to(&normalise::address(email)).is_ok() {
        let job = SendSignInLink {
            email: email.to_owned(),
        };
        let mut db = app.db.pool().acquire().await?;
        enqueue(&mut db, &job).await.map_err(anyhow::Error::new)?;
        app.wake.notify();
    }
    let next = next(fields.text("next"));
    let remember = HeaderValue::from_str(&format!(
        "{NEXT}={next}; Path=/sign-in; HttpOnly; SameSite=Lax; Max-Age=900"
    ));
    let remember = [(header::SET_COOKIE, remember.map_err(anyhow::Error::new)?)];
    Ok((remember, Redirect::to("/sign-in/sent")).into_response())
}

async fn sent(State(app): State<App>) -> Response {
    let page = DoorPage {
        title: "Check your mail",
        state: "sent",
        ..DoorPage::default()
    };
    app.views.page(StatusCode::OK, "console/door.html", &page)
}

async fn open(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Failed> {
    let mut tx = app.db.platform().await?;
    let good = sessions::is_link_good(&mut tx, &token_hash(&token), app.clock.now()).await?;
    if !good {
        return Ok(dead(&app));
    }
    let page = DoorPage {
        title: "Sign in",
        state: "open",
        token,
        ..DoorPage::default()
    };
    Ok(app.views.page(StatusCode::OK, "console/door.html", &page))
}

async fn enter(
    State(app): State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let mut tx = app.db.platform().await?;
    let user = sessions::use_link(&mut tx, &token_hash(&token), app.clock.now()).await?;
    let Some(user) = user else {
        return Ok(dead(&app));
    };
    let cookie = Session::start(&app, &mut tx, user, &headers).await?;
    let why = "you work in no organisation just now; ask an owner of yours";
    let cookie = cookie.ok_or(Refused::Forbidden(why))?;
    tx.commit().await?;
    let asked = CookieJar::from_headers(&headers);
    let asked = asked.get(NEXT).map_or("", |cookie| cookie.value());
    let to = Some(next(asked)).filter(|to| !to.is_empty());
    let to = Redirect::to(to.as_deref().unwrap_or(HOME));
    Ok(([(header::SET_COOKIE, cookie)], to).into_response())
}

async fn leave(State(app): State<App>, headers: HeaderMap, _: Posted) -> Result<Response, Failed> {
    let mut tx = app.db.platform().await?;
    Session::end(&app, &mut tx, &headers).await?;
    tx.commit().await?;
    let forget = [(header::SET_COOKIE, no_cookie(&app.config))];
    Ok((forget, Redirect::to("/sign-in?said=signed_out")).into_response())
}

fn dead(app: &App) -> Response {
    let page = DoorPage {
        title: "This link no longer works",
        state: "dead",
        ..DoorPage::default()
    };
    app.views.page(StatusCode::GONE, "console/door.html", &page)
}

/// Only pages of ours are gone on to.
fn next(sent: &str) -> String {
    // It is kept in a cookie, whose value these would end.
    let fits = sent.len() < 1_000 && !sent.contains([';', ',']);
    if is_ours(sent) && fits {
        sent.to_owned()
    } else {
        String::new()
    }
}
