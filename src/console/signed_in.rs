//! Pages are for people who are signed in; who is not signs in first and comes back.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::commands::Refused;
use crate::console::Failed;
use crate::console::referer::page_before;
use crate::web::session::Session;

/// Lets those go on who may change leads.
pub(super) fn may_edit(session: &Session) -> Result<(), Refused> {
    if session.may_edit() {
        Ok(())
    } else {
        Err(Refused::Forbidden("your role lets you look, not change"))
    }
}

/// Lets those go on who may delete leads.
pub(super) fn may_administer(session: &Session) -> Result<(), Refused> {
    if session.member.role.may_administer() {
        Ok(())
    } else {
        Err(Refused::Forbidden(
            "leads are deleted by admins and owners; ask one of yours",
        ))
    }
}

/// Lets those go on who see how the platform works.
pub(super) fn may_operate(session: &Session) -> Result<(), Refused> {
    if session.may_operate() {
        Ok(())
    } else {
        Err(Refused::Forbidden(
            "operations are for admins and owners; ask one of yours",
        ))
    }
}

/// Nobody is signed in: a page is asked for again after signing in.
pub enum NotSignedIn {
    /// To the page where people sign in.
    Elsewhere(String),
    /// It could not be found out.
    Refused(sqlx::Error),
}

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        match self {
            Self::Elsewhere(to) => Redirect::to(&to).into_response(),
            Self::Refused(refused) => Failed::from(refused).into_response(),
        }
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, NotSignedIn> {
        let found = Self::find(app, &parts.headers).await;
        let found = found.map_err(NotSignedIn::Refused)?;
        found.ok_or_else(|| NotSignedIn::at(parts))
    }
}

/// The session of a page that listens: that it is open does not say that somebody uses it.
#[derive(Debug)]
pub(super) struct Unused(pub Session);

impl FromRequestParts<App> for Unused {
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, NotSignedIn> {
        let found = Session::find_unused(app, &parts.headers).await;
        let found = found.map_err(NotSignedIn::Refused)?;
        found.map(Self).ok_or_else(|| NotSignedIn::at(parts))
    }
}

impl NotSignedIn {
    /// To the door, and from there back to what was asked for.
    fn at(parts: &Parts) -> Self {
        let asked = parts
            .uri
            .path_and_query()
            .map_or("/", |asked| asked.as_str());
        let before = page_before(&parts.headers);
        let back = match &before {
            _ if parts.method == Method::GET => asked,
            // What was typed there is kept by the page for when it is seen again.
            Some(before) => before,
            None => "/dashboard/crm",
        };
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("next", back)
            .finish();
        Self::Elsewhere(format!("/sign-in?{query}"))
    }
}
