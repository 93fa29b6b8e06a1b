//! Mistakes in an input, in the shape in which zod tells them; clients parse the message as JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error::{Code, Failed};

/// One mistake. Members that a kind of mistake does not have are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Issue {
    /// The check that failed, for `invalid_string`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<&'static str>,
    /// The kind of mistake.
    pub code: &'static str,
    /// The type asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<&'static str>,
    /// The type or value found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// The values to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<&'static str>>,
    /// The least that is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    /// The most that is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
    /// What the bounds count.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub of: Option<&'static str>,
    /// Whether the bound itself is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inclusive: Option<bool>,
    /// Where in the input.
    pub path: Vec<String>,
    /// The mistake in words.
    pub message: String,
}

impl Issue {
    fn at(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            path: if field.is_empty() {
                Vec::new()
            } else {
                field.split('.').map(str::to_owned).collect()
            },
            message: message.into(),
            ..Self::default()
        }
    }

    /// `found` is not of the type `expected`; `None` is a field left out.
    pub fn wrong_type(field: &str, expected: &'static str, found: Option<&Value>) -> Self {
        let received = type_name(found);
        let message = if found.is_none() {
            "Required".into()
        } else {
            format!("Expected {expected}, received {received}")
        };
        Self {
            expected: Some(expected),
            received: Some(received.into()),
            ..Self::at(field, "invalid_type", message)
        }
    }

    /// Text that fails a check: `email`, `uuid`, `url`.
    pub fn invalid_string(field: &str, validation: &'static str) -> Self {
        Self {
            validation: Some(validation),
            ..Self::at(field, "invalid_string", format!("Invalid {validation}"))
        }
    }

    /// A value that is none of `options`.
    pub fn no_option(field: &str, options: &[&'static str], received: &str) -> Self {
        let listed: Vec<String> = options.iter().map(|option| format!("'{option}'")).collect();
        let shown: String = received.chars().take(100).collect();
        Self {
            received: Some(shown.clone()),
            options: Some(options.to_vec()),
            ..Self::at(
                field,
                "invalid_enum_value",
                format!(
                    "Invalid enum value. Expected {}, received '{shown}'",
                    listed.join(" | ")
                ),
            )
        }
    }

    /// Text shorter than `minimum` characters.
    pub fn too_short(field: &str, minimum: i64) -> Self {
        Self {
            minimum: Some(minimum),
            of: Some("string"),
            inclusive: Some(true),
            ..Self::at(
                field,
                "too_small",
                format!("String must contain at least {minimum} character(s)"),
            )
        }
    }

    /// Text longer than `maximum` characters.
    pub fn too_long(field: &str, maximum: usize) -> Self {
        Self {
            maximum: i64::try_from(maximum).ok(),
            of: Some("string"),
            inclusive: Some(true),
            ..Self::at(
                field,
                "too_big",
                format!("String must contain at most {maximum} character(s)"),
            )
        }
    }

    /// A number below `minimum`.
    pub fn too_small(field: &str, minimum: i64) -> Self {
        Self {
            minimum: Some(minimum),
            of: Some("number"),
            inclusive: Some(true),
            ..Self::at(
                field,
                "too_small",
                format!("Number must be greater than or equal to {minimum}"),
            )
        }
    }

    /// A number above `maximum`.
    pub fn too_big(field: &str, maximum: i64) -> Self {
        Self {
            maximum: Some(maximum),
            of: Some("number"),
            inclusive: Some(true),
            ..Self::at(
                field,
                "too_big",
                format!("Number must be less than or equal to {maximum}"),
            )
        }
    }

    /// A mistake with words of its own.
    pub fn custom(field: &str, message: impl Into<String>) -> Self {
        Self::at(field, "custom", message)
    }

    /// A number with a fraction where a whole one is asked for.
    pub fn no_integer(field: &str) -> Self {
        Self {
            expected: Some("integer"),
            received: Some("float".into()),
            ..Self::at(field, "invalid_type", "Expected integer, received float")
        }
    }

    /// Text holding the NUL character, which no database text can hold.
    pub fn nul(field: &str) -> Self {
        Self::custom(field, "Must not contain the NUL character")
    }
}

impl From<Vec<Issue>> for Failed {
    fn from(issues: Vec<Issue>) -> Self {
        let message = serde_json::to_string_pretty(&issues).expect("issues are plain JSON");
        let mut failed = Self::new(Code::BadRequest, message);
        let mut form_errors: Vec<Value> = Vec::new();
        let mut field_errors: Map<String, Value> = Map::new();
        for issue in issues {
            let Some(field) = issue.path.first() else {
                form_errors.push(issue.message.into());
                continue;
            };
            if let Value::Array(messages) = field_errors.entry(field).or_insert_with(|| json!([])) {
                messages.push(issue.message.into());
            }
        }
        let told = json!({ "formErrors": form_errors, "fieldErrors": field_errors });
        failed.data.insert("zodError".into(), told);
        failed
    }
}

fn type_name(value: Option<&Value>) -> &'static str {
    match value {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    }
}
