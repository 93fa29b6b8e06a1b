//! Whether an answer is one to the question asked.

use domain::form::{FieldType, Question};
use domain::normalise;
use serde_json::Value;

use super::read::{as_text, error, is_empty};
use crate::web::problem::FieldError;

/// What is wrong with an answer, if anything is.
pub(super) fn mistake(asked: &Question, answer: Option<&Value>) -> Option<FieldError> {
    let Some(answer) = answer.filter(|answer| !is_empty(answer)) else {
        return asked
            .required
            .then(|| error(&asked.key, "required", "Must be filled in"));
    };
    let text = as_text(answer);
    let text = text.trim();
    let (code, message) = of_kind(asked, answer, text).or_else(|| of_length(asked, text))?;
    Some(error(&asked.key, code, message))
}

fn of_kind(asked: &Question, answer: &Value, text: &str) -> Option<(&'static str, String)> {
    let wrong = |holds: bool, code, message: &str| (!holds).then(|| (code, message.to_owned()));
    match asked.kind {
        FieldType::Email => wrong(
            normalise::is_email(text),
            "invalid_email",
            "Must be an e-mail address",
        ),
        FieldType::Phone => wrong(is_phone(text), "invalid_phone", "Must be a phone number"),
        FieldType::Url => wrong(
            url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")),
            "invalid_url",
            "Must be a web address",
        ),
        FieldType::Date => wrong(
            chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
            "invalid_date",
            "Must be a day such as 2030-12-31",
        ),
        FieldType::Number => number(asked, text),
        FieldType::Boolean | FieldType::Consent => wrong(
            ["true", "false", "on", "off", "yes", "no", "1", "0"]
                .contains(&text.to_lowercase().as_str()),
            "invalid_choice",
            "Must be yes or no",
        ),
        FieldType::Select | FieldType::Radio | FieldType::Multiselect | FieldType::Checkbox => {
            choice(asked, answer)
        }
        FieldType::Text | FieldType::Textarea | FieldType::Hidden => None,
    }
}

fn number(asked: &Question, text: &str) -> Option<(&'static str, String)> {
    let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) else {
        return Some(("invalid_number", "Must be a number".into()));
    };
    let bound = |name: &str| asked.rules.get(name).and_then(Value::as_f64);
    match (bound("min"), bound("max")) {
        (Some(min), _) if number < min => Some(("too_small", format!("Must be at least {min}"))),
        (_, Some(max)) if number > max => Some(("too_big", format!("Must be at most {max}"))),
        _ => None,
    }
}

fn choice(asked: &Question, answer: &Value) -> Option<(&'static str, String)> {
    let choices = asked.choices();
    let chosen: Vec<String> = match answer {
        Value::Array(values) => values.iter().map(as_text).collect(),
        one => vec![as_text(one)],
    };
    let many = matches!(asked.kind, FieldType::Multiselect | FieldType::Checkbox);
    // A lone checkbox has no list of choices: ticked is all it can say.
    let known = choices.is_empty() || chosen.iter().all(|value| choices.contains(value));
    (!known || (!many && chosen.len() > 1)).then(|| {
        (
            "invalid_choice",
            format!("Must be one of {}", choices.join(", ")),
        )
    })
}

fn of_length(asked: &Question, text: &str) -> Option<(&'static str, String)> {
    let bound = |name: &str| {
        asked
            .rules
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    let length = text.chars().count();
    match (bound("minLength"), bound("maxLength")) {
        (Some(min), _) if length < min => {
            Some(("too_short", format!("Must be at least {min} characters")))
        }
        (_, Some(max)) if length > max => {
            Some(("too_long", format!("Must be at most {max} characters")))
        }
        _ => None,
    }
}

fn is_phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    (5..=20).contains(&digits)
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || " +-()./x#".contains(c))
}
