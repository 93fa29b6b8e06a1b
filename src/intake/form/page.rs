//! What a person sees who posts a form without script: thanks, or what to correct.

use axum::http::StatusCode;
use axum::response::Response;
use domain::form::{FieldType, Question};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::web::problem::FieldError;
use crate::web::view::Views;

/// The page, under the folder of all pages.
const TEMPLATE: &str = "intake/form.html";

/// A page with a heading, a sentence, and the form once more if something is to be mended.
#[derive(Debug, Serialize)]
pub(super) struct FormPage {
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
    /// Only a heading and a sentence.
    pub(super) fn plain(title: &str, text: &str) -> Self {
        Self {
            title: title.into(),
            text: text.into(),
            action: String::new(),
            problems: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// The answers given, each with what is wrong with it.
    pub(super) fn to_mend(
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
    pub(super) fn respond(&self, views: &Views, status: StatusCode) -> Response {
        views.page(status, TEMPLATE, self)
    }
}
