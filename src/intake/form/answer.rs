//! Answer a post the way its sender reads answers: JSON for scripts, pages and redirects for browsers.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::form::{Form, FormSettings};
use domain::id::IntakeEventId;
use serde_json::{Map, Value, json};
use url::Url;

use super::page::FormPage;
use crate::web::client::Client;
use crate::web::form::Encoding;
use crate::web::problem::FieldError;
use crate::web::view::Views;

/// Who reads the answer.
#[derive(Clone, Copy)]
pub(super) enum Reader<'a> {
    /// A script.
    Script,
    /// A browser that follows the post, and the pages that it may be shown.
    Browser(&'a Views),
}

impl<'a> Reader<'a> {
    /// Told by what is accepted and by how the body is written.
    pub(super) fn of(views: &'a Views, client: &Client, body: &[u8]) -> Self {
        let says = |name: &str, text: &str| {
            client
                .header(name)
                .is_some_and(|value| value.to_ascii_lowercase().contains(text))
        };
        let json_body = Encoding::of(client.content_type(), body) == Encoding::Json;
        if says("accept", "application/json")
            || says("x-requested-with", "xmlhttprequest")
            || json_body
        {
            Self::Script
        } else {
            Self::Browser(views)
        }
    }
}

/// Everything went well.
pub(super) fn success(
    reader: Reader<'_>,
    token: &str,
    id: IntakeEventId,
    next: Option<&Url>,
) -> Response {
    match reader {
        Reader::Script => {
            Json(json!({ "ok": true, "id": id, "next": next.map(Url::as_str) })).into_response()
        }
        Reader::Browser(_) => {
            let target = next.map_or_else(|| format!("/f/{token}/thanks"), ToString::to_string);
            (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response()
        }
    }
}

/// The answers cannot be taken as they are.
pub(super) fn mend(
    reader: Reader<'_>,
    form: &Form,
    token: &str,
    values: &Map<String, Value>,
    errors: &[FieldError],
) -> Response {
    match reader {
        Reader::Script => errors_json(StatusCode::UNPROCESSABLE_ENTITY, errors),
        Reader::Browser(views) => {
            FormPage::to_mend(&format!("/f/{token}"), &form.questions, values, errors)
                .respond(views, StatusCode::UNPROCESSABLE_ENTITY)
        }
    }
}

/// Nothing can be taken: the form, the limits or the database are in the way.
pub(super) fn refuse(
    reader: Reader<'_>,
    status: StatusCode,
    code: &'static str,
    message: &str,
    wait: Option<u64>,
) -> Response {
    let error = FieldError {
        field: String::new(),
        code: code.into(),
        message: message.into(),
    };
    let mut response = refuse_as(reader, status, error);
    if let Some(seconds) = wait {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The same with an error at hand.
pub(super) fn refuse_as(reader: Reader<'_>, status: StatusCode, error: FieldError) -> Response {
    match reader {
        Reader::Script => errors_json(status, &[error]),
        Reader::Browser(views) => {
            FormPage::plain("This did not work", &error.message).respond(views, status)
        }
    }
}

fn errors_json(status: StatusCode, errors: &[FieldError]) -> Response {
    (status, Json(json!({ "ok": false, "errors": errors }))).into_response()
}

/// Where to go next. What the page asks for counts only within the form's own origins: the answer of a form must not be a
/// way to send people anywhere.
pub(super) fn next(
    settings: &FormSettings,
    asked: Option<&str>,
    referrer: Option<&str>,
) -> Option<Url> {
    let allowed = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && settings
                .allowed_origins
                .contains(&url.origin().ascii_serialization())
    };
    let asked = asked.and_then(|asked| match Url::parse(asked) {
        Ok(url) => Some(url),
        Err(_) => Url::parse(referrer?).ok().filter(allowed)?.join(asked).ok(),
    });
    asked.filter(allowed).or_else(|| {
        let own = Url::parse(settings.redirect_url.as_deref()?).ok();
        own.filter(|url| matches!(url.scheme(), "http" | "https"))
    })
}

/// Whether a browser may post from where it says it is; one that does not say is no browser.
pub(super) fn origin_allowed(settings: &FormSettings, origin: Option<&str>) -> bool {
    settings.allowed_origins.is_empty()
        || origin.is_none_or(|origin| {
            settings
                .allowed_origins
                .iter()
                .any(|allowed| allowed == origin)
        })
}

/// Lets the page's script read the answer.
pub(super) fn share(mut response: Response, origin: Option<&str>) -> Response {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin, accept"));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// The answer to a browser that asks before it posts.
pub(super) fn preflight(origin: Option<&str>) -> Response {
    let mut response = share(StatusCode::NO_CONTENT.into_response(), origin);
    let headers = response.headers_mut();
    let methods = [Method::POST.as_str(), Method::OPTIONS.as_str()].join(", ");
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    let allowed = "content-type, idempotency-key, x-requested-with";
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(allowed),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("86400"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn going(asked: Option<&str>, referrer: Option<&str>) -> Option<String> {
        let settings = FormSettings {
            redirect_url: Some("https://own.example/thanks".into()),
            allowed_origins: vec!["https://a.example".into()],
            ..FormSettings::default()
        };
        next(&settings, asked, referrer).map(String::from)
    }

    #[test]
    fn nobody_is_sent_to_a_foreign_origin() {
        let own = Some("https://own.example/thanks".to_owned());
        assert_eq!(
            going(Some("https://a.example/ok?x=1"), None),
            Some("https://a.example/ok?x=1".into())
        );
        assert_eq!(
            going(Some("/ok"), Some("https://a.example/form")),
            Some("https://a.example/ok".into())
        );
        for asked in [
            "https://evil.example/",
            "//evil.example/",
            "https://a.example@evil.example/",
            "https://a.example.evil.example/",
            "javascript:alert(1)",
            "http://a.example/",
            "\\\\evil.example",
        ] {
            assert_eq!(
                going(Some(asked), Some("https://a.example/form")),
                own,
                "{asked}"
            );
        }
        assert_eq!(going(Some("/ok"), Some("https://evil.example/form")), own);
        assert_eq!(going(Some("/ok"), None), own);
        assert_eq!(going(None, None), own);
    }
}
