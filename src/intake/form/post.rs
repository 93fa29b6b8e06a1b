//! The handlers of `/f/{token}`: extract, one transaction, answer.

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use domain::clock::Timestamp;
use domain::form::Form;
use domain::id::IntakeEventId;
use domain::store::intake_events::{self, NewEvent};
use domain::store::scope::enter_org;
use domain::store::{Tx, forms};
use tracing::{error, warn};

use super::answer::{self, Reader};
use super::page::FormPage;
use super::{Sent, read, values};
use crate::app::App;
use crate::intake::accept::{Kept, NotKept, keep};
use crate::web::body::{self, BodyError};
use crate::web::client::Client;
use crate::web::form::decode;
use crate::web::outage::RETRY_AFTER_SECONDS;

/// `POST /f/{token}`: take what a form posts.
pub(super) async fn post(
    State(app): State<App>,
    client: Client,
    token: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let token = read_token(token);
    let origin = client.header("origin").map(str::to_owned);
    let body = match body::read(request.into_body(), app.config.http.body_limit).await {
        Ok(body) => body,
        Err(error) => return answer::share(unreadable(&app, &client, error), origin.as_deref()),
    };
    let reader = Reader::of(&app.views, &client, &body);
    let response = match take(&app, &client, &token, reader, body).await {
        Ok(response) => response,
        Err(refused) => refused.respond(reader, &client.request_id),
    };
    answer::share(response, origin.as_deref())
}

/// `OPTIONS /f/{token}`: may a page of that origin post here?
pub(super) async fn preflight(
    State(app): State<App>,
    token: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    match find(&app, &read_token(token)).await {
        Ok(Some((_, form))) if answer::origin_allowed(&form.settings, origin) => {
            answer::preflight(origin)
        }
        Ok(_) => answer::preflight(None),
        Err(error) => Refused::from(error).respond(Reader::Script, ""),
    }
}

/// `GET /f/{token}/thanks`: where a browser goes when the form names no page of its own.
pub(super) async fn thanks(State(app): State<App>) -> Response {
    FormPage::plain(
        "Thank you",
        "We have received your message and will get back to you.",
    )
    .respond(&app.views, StatusCode::OK)
}

/// Why a post was not taken.
#[derive(Debug)]
enum Refused {
    NoForm,
    ForeignOrigin,
    TooMany(u64),
    KeyReused,
    BadBody(crate::web::problem::FieldError),
    NotKept(NotKept),
}

impl<E: Into<NotKept>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::NotKept(error.into())
    }
}

impl Refused {
    fn respond(self, reader: Reader<'_>, request_id: &str) -> Response {
        let refuse =
            |status, code, message: &str, wait| answer::refuse(reader, status, code, message, wait);
        match self {
            Self::NoForm => refuse(
                StatusCode::NOT_FOUND,
                "not_found",
                "This form does not exist",
                None,
            ),
            Self::ForeignOrigin => refuse(
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                "This form does not take posts from this site",
                None,
            ),
            Self::TooMany(seconds) => refuse(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many requests, please try again later",
                Some(seconds),
            ),
            Self::BadBody(wrong) => answer::refuse_as(reader, StatusCode::BAD_REQUEST, wrong),
            Self::KeyReused => refuse(
                StatusCode::CONFLICT,
                "key_reused",
                "This Idempotency-Key was used for another submission",
                None,
            ),
            Self::NotKept(NotKept::Outage(cause)) => {
                warn!(error = %cause, "Turned a form post away, the database is not there");
                refuse(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "Not available just now, please try again",
                    Some(RETRY_AFTER_SECONDS),
                )
            }
            Self::NotKept(NotKept::Broken(cause)) => {
                error!(error = %format!("{cause:#}"), "A form post could not be kept");
                let message = format!("Something went wrong here (request {request_id})");
                refuse(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    &message,
                    None,
                )
            }
        }
    }
}

/// A path that is no text names no form.
fn read_token(token: Result<Path<String>, PathRejection>) -> String {
    token.map(|Path(token)| token).unwrap_or_default()
}

/// The form behind a token, and the transaction of its org.
async fn find(app: &App, token: &str) -> sqlx::Result<Option<(Tx, Form)>> {
    let mut tx = app.db.platform().await?;
    if token.contains('\0') {
        return Ok(None);
    }
    let Some((org, form)) = forms::find_route(&mut tx, token).await? else {
        return Ok(None);
    };
    enter_org(&mut tx, org).await?;
    let form = forms::find_published(&mut tx, org, form).await?;
    Ok(form.map(|form| (tx, form)))
}

async fn take(
    app: &App,
    client: &Client,
    token: &str,
    reader: Reader<'_>,
    body: Bytes,
) -> Result<Response, Refused> {
    let too_many = |wait: crate::web::rate_limit::Wait| Refused::TooMany(wait.0);
    app.limits.ip(client.ip).map_err(too_many)?;
    let (mut tx, form) = find(app, token).await?.ok_or(Refused::NoForm)?;
    if !answer::origin_allowed(&form.settings, client.header("origin")) {
        return Err(Refused::ForeignOrigin);
    }
    app.limits.org(form.org.uuid()).map_err(too_many)?;

    let decoded = match decode(client.content_type(), &body).await {
        Ok(decoded) => decoded,
        Err(wrong) if wrong.field.is_empty() => return Err(Refused::BadBody(wrong)),
        Err(wrong) => {
            return Ok(answer::mend(
                reader,
                &form,
                token,
                &serde_json::Map::new(),
                &[wrong],
            ));
        }
    };
    let referrer = client.header("referer");
    let sent = match read(&form, &decoded, referrer) {
        Ok(sent) => sent,
        Err(errors) => {
            return Ok(answer::mend(
                reader,
                &form,
                token,
                &values(&decoded),
                &errors,
            ));
        }
    };
    let next = answer::next(&form.settings, sent.next.as_deref(), referrer);

    let now = app.clock.now();
    let id = match repeated(app, &mut tx, client, &form, &sent, now).await? {
        Repeat::Known(id) => id,
        Repeat::Key(key) => {
            let event = event(client, &form, &sent, &body, &key, now);
            match keep(&app.wake, tx, &event).await? {
                Kept::Other(_) if key.starts_with("key:") => return Err(Refused::KeyReused),
                Kept::New(id) | Kept::Same(id) | Kept::Other(id) => id,
            }
        }
    };
    Ok(answer::success(reader, token, id, next.as_ref()))
}

enum Repeat {
    /// The same was posted a moment ago.
    Known(IntakeEventId),
    /// Not seen lately; to be kept under this key.
    Key(String),
}

/// Whether this post is the second click on the button.
async fn repeated(
    app: &App,
    tx: &mut Tx,
    client: &Client,
    form: &Form,
    sent: &Sent,
    now: Timestamp,
) -> sqlx::Result<Repeat> {
    if let Some(key) = client.idempotency_key().or_else(|| sent.key.clone()) {
        return Ok(Repeat::Key(format!("key:{}:{key}", form.id)));
    }
    let window = app.config.intake.double_click_window.get();
    let seconds = i64::try_from(window.as_secs()).unwrap_or(i64::MAX).max(1);
    let bucket = now.timestamp() / seconds;
    // A click just before the turn of the window and one just after it are still a double click.
    let before = format!("print:{}:{}", sent.fingerprint, bucket - 1);
    let since = now - window;
    let found = intake_events::find_recent(tx, form.org, "form", &before, since).await?;
    Ok(found.map_or_else(
        || Repeat::Key(format!("print:{}:{bucket}", sent.fingerprint)),
        Repeat::Known,
    ))
}

fn event<'a>(
    client: &'a Client,
    form: &Form,
    sent: &'a Sent,
    body: &'a [u8],
    key: &'a str,
    now: Timestamp,
) -> NewEvent<'a> {
    NewEvent {
        id: IntakeEventId::new(),
        org: form.org,
        channel: form.channel,
        form: Some(form.id),
        provider: "form",
        dedupe_key: key,
        content_type: Some(client.content_type()),
        headers: client.kept_headers(),
        body,
        submission: &sent.submission,
        remote_ip: client.ip.to_string(),
        spam: sent.spam,
        received_at: now,
    }
}

fn unreadable(app: &App, client: &Client, error: BodyError) -> Response {
    let code = match error {
        BodyError::TooLarge(_) => "too_large",
        BodyError::TooSlow => "timeout",
        BodyError::Broken => "broken_off",
    };
    answer::refuse(
        Reader::of(&app.views, client, b""),
        error.status(),
        code,
        &error.to_string(),
        None,
    )
}
