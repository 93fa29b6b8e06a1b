//! A form that a page of ours sent: from our origin, with the session's proof, its fields by name.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::{NotSignedIn, Session};
use crate::app::App;
use crate::commands::Refused;
use crate::config::Config;
use crate::console::Failed;
use crate::web::body;
use crate::web::client::Client;

/// Larger than any form of ours.
const LARGEST: usize = 256 * 1024;

/// The fields of a form, in the order sent.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads what browsers send.
    pub fn parse(body: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(body).into_owned();
        // Nowhere do we keep a NUL, and no keyboard types one.
        Self(
            pairs
                .map(|(name, value)| (name, value.replace('\0', "")))
                .collect(),
        )
    }

    /// The field's text without blanks around it; empty if it was not sent.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(sent, _)| sent == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// The field's text, if there is any.
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Every value of a field that may be sent more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.0.iter().filter(move |(sent, _)| sent == name);
        own.map(|(_, value)| value.as_str())
    }
}

/// A form of the signed-in person.
#[derive(Debug)]
pub struct Posted {
    /// Who sent it.
    pub session: Session,
    /// What it says.
    pub fields: Fields,
    /// From where.
    pub client: Client,
}

impl FromRequest<App> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(client) = Client::from_request_parts(&mut parts, app).await;
        let session = Session::from_request_parts(&mut parts, app)
            .await
            .map_err(NotSignedIn::into_response)?;
        let bytes = body::read(body, LARGEST).await;
        let bytes = bytes.map_err(|_| {
            Failed::from(Refused::Illegal("the form did not arrive whole".into())).into_response()
        })?;
        let fields = Fields::parse(&bytes);
        if !session.is_own_form(fields.text("csrf")) {
            let why = "this form is not from the page you are signed in to; load it again";
            return Err(Failed::from(Refused::Forbidden(why)).into_response());
        }
        Ok(Self {
            session,
            fields,
            client,
        })
    }
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
