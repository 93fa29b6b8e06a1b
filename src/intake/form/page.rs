//! What a person sees who posts a form without script: thanks, or what to mend.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::form::{FieldType, Question};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::web::problem::FieldError;

const TEMPLATE: &str = "intake/form.html";

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates
        .add_template(
            TEMPLATE,
            include_str!("../../../templates/intake/form.html"),
        )
        .expect("the built-in page is a template");
    templates
});

/// A page with a heading, a sentence, and the form once more if something is to be mended.
#[derive(Debug, Serialize)]
pub struct FormPage {
    title: String,
    text: String,
    action: String,
    problems: Vec<String>,
    fields: Vec<Field>,
}

#[derive(Debug, Serialize)]
struct Field {
    name: String,
    label: String,
    value: String,
    /// Whether the answer has several lines.
    long: bool,
    problem: String,
}

impl FormPage {
    /// No more than a heading and a sentence.
    pub fn plain(title: &str, text: &str) -> Self {
        Self {
            title: title.into(),
            text: text.into(),
            action: String::new(),
            problems: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// The answers given, each with what is wrong with it.
    pub fn to_mend(
        action: &str,
        questions: &[Question],
        values: &Map<String, Value>,
        errors: &[FieldError],
    ) -> Self {
        let problem_of = |name: &str| {
            let found = errors.iter().find(|error| error.field == name);
            found.map_or_else(String::new, |error| error.message.clone())
        };
        let mut names: Vec<&str> = questions
            .iter()
            .map(|question| question.key.as_str())
            .collect();
        let further = values
            .keys()
            .map(String::as_str)
            .chain(errors.iter().map(|error| error.field.as_str()));
        for name in further {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        let asked = |name: &str| questions.iter().find(|question| question.key == name);
        let field = |name: &str| Field {
            name: name.into(),
            label: asked(name).map_or_else(|| name.to_owned(), |question| question.label.clone()),
            long: asked(name).is_some_and(|question| question.kind == FieldType::Textarea),
            value: values
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into(),
            problem: problem_of(name),
        };
        let general = errors.iter().filter(|error| error.field.is_empty());
        Self {
            title: "Please check your answers".into(),
            text: "Nothing has been sent yet.".into(),
            action: action.into(),
            problems: general.map(|error| error.message.clone()).collect(),
            fields: names.into_iter().map(field).collect(),
        }
    }

    /// The page as an answer.
    pub fn respond(&self, status: StatusCode) -> Response {
        let rendered = TEMPLATES
            .get_template(TEMPLATE)
            .and_then(|template| template.render(minijinja::value::Serde(self)));
        let html = match rendered {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(%error, "A form page could not be rendered");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let policy =
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'";
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(policy),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (status, headers, html).into_response()
    }
}
