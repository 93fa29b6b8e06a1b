//! The mail that `leadmill dev` took, as pages and as JSON.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use mail_parser::MessageParser;
use serde::Serialize;

use super::smtp::{Received, Sink};
use crate::app::App;

/// Where the list of mails is.
pub const PATH: &str = "/dev/mail";

/// A mail as its reader sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Letter {
    /// Counts from 1.
    pub number: u64,
    /// When it came.
    pub at: chrono::DateTime<chrono::Utc>,
    /// Envelope's sender.
    pub from: String,
    /// Envelope's recipients.
    pub to: Vec<String>,
    /// Message-ID, without its brackets.
    pub message_id: Option<String>,
    /// Subject.
    pub subject: String,
    /// The part for readers without HTML.
    pub text: Option<String>,
    /// The part with.
    pub html: Option<String>,
}

impl Letter {
    /// Reads what was received.
    pub fn read(received: &Received) -> Self {
        let parsed = MessageParser::default().parse(&received.raw);
        let parsed = parsed.as_ref();
        Self {
            number: received.number,
            at: received.at,
            from: received.from.clone(),
            to: received.to.clone(),
            message_id: parsed.and_then(|mail| mail.message_id()).map(str::to_owned),
            subject: parsed
                .and_then(|mail| mail.subject())
                .unwrap_or("(no subject)")
                .to_owned(),
            text: parsed
                .and_then(|mail| mail.body_text(0))
                .map(std::borrow::Cow::into_owned),
            html: parsed
                .and_then(|mail| mail.body_html(0))
                .map(std::borrow::Cow::into_owned),
        }
    }
}

/// The pages, over what `sink` took.
pub fn router(sink: Sink) -> Router<App> {
    Router::new()
        .route(PATH, get(list))
        .route("/dev/mail.json", get(json))
        .route("/dev/mail/{number}", get(one))
        .route("/dev/mail/{number}/html", get(html))
        .route("/dev/mail/{number}/source", get(source))
        .layer(Extension(sink))
}

#[derive(Serialize)]
struct List {
    mails: Vec<Letter>,
}

async fn list(State(app): State<App>, Extension(sink): Extension<Sink>) -> Response {
    let mails = sink
        .mails()
        .iter()
        .take(200)
        .map(|mail| Letter::read(mail))
        .collect();
    app.views
        .page(StatusCode::OK, "dev/mails.html", &List { mails })
}

async fn json(Extension(sink): Extension<Sink>) -> Json<Vec<Letter>> {
    Json(sink.mails().iter().map(|mail| Letter::read(mail)).collect())
}

async fn one(
    State(app): State<App>,
    Extension(sink): Extension<Sink>,
    Path(number): Path<u64>,
) -> Response {
    match sink.mail(number) {
        Some(mail) => app
            .views
            .page(StatusCode::OK, "dev/mail.html", &Letter::read(&mail)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The HTML part by itself: in a frame or alone, nothing runs in it, and its links open elsewhere.
async fn html(Extension(sink): Extension<Sink>, Path(number): Path<u64>) -> Response {
    let letter = sink.mail(number).map(|mail| Letter::read(&mail));
    let Some(html) = letter.and_then(|letter| letter.html) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let html = html.replacen("<head>", "<head><base target=\"_blank\">", 1);
    // Our page around it may measure it; without scripts it can do nothing with where it comes from.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; \
                  sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox";
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(policy),
        ),
        (
            header::X_FRAME_OPTIONS,
            HeaderValue::from_static("SAMEORIGIN"),
        ),
    ];
    (headers, html).into_response()
}

async fn source(Extension(sink): Extension<Sink>, Path(number): Path<u64>) -> Response {
    match sink.mail(number) {
        Some(mail) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (kind, mail.raw.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
