//! A form that a page of ours sent: from our origin, with the session's proof, its fields by name.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::commands::Refused;
use crate::console::Failed;
use crate::console::signed_in::NotSignedIn;
use crate::web::body;
use crate::web::client::Client;
use crate::web::session::Session;

/// Larger than any form of ours.
const LARGEST: usize = 256 * 1024;

/// The fields of a form, in the order sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads what browsers send.
    pub(super) fn parse(body: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(body).into_owned();
        // Nowhere do we keep a NUL, and no keyboard types one.
        Self(
            pairs
                .map(|(name, value)| (name, value.replace('\0', "")))
                .collect(),
        )
    }

    /// The field's text without blanks around it; empty if it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(sent, _)| sent == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// The field's text, if there is any.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Every value of a field that may be sent more than once.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.0.iter().filter(move |(sent, _)| sent == name);
        own.map(|(_, value)| value.as_str())
    }
}

/// A form of the signed-in person.
#[derive(Debug)]
pub(super) struct Posted {
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
