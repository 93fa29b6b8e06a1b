//! Where something is in an answer: `$.person.emails[0].address`, and conditions on it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A way through a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// What must hold of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum Condition {
    /// Something is there: neither nothing, null, false nor empty.
    Filled(Path),
    /// What is there is this text, or a number or truth value written so.
    Is(Path, String),
}

/// Why a path or condition is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a path like $.person.emails[0] nor a condition like $.error == 'pending'"
)]
pub(super) struct NoPath(String);

impl Path {
    /// What is there; null is nothing.
    pub(super) fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        let mut at = document;
        for step in &self.0 {
            at = match step {
                Step::Key(key) => at.get(key)?,
                Step::Index(index) => at.get(index)?,
            };
        }
        (!at.is_null()).then_some(at)
    }
}

impl Condition {
    /// Whether it holds of `document`.
    pub(super) fn holds(&self, document: &Value) -> bool {
        match self {
            Self::Filled(path) => match path.find(document) {
                None | Some(Value::Null | Value::Bool(false)) => false,
                Some(Value::String(text)) => !text.trim().is_empty(),
                Some(Value::Array(list)) => !list.is_empty(),
                Some(Value::Object(map)) => !map.is_empty(),
                Some(Value::Bool(true) | Value::Number(_)) => true,
            },
            Self::Is(path, text) => match path.find(document) {
                Some(Value::String(found)) => found == text,
                Some(Value::Bool(found)) => text.parse() == Ok(*found),
                Some(Value::Number(found)) => found.to_string().as_str() == text,
                _ => false,
            },
        }
    }
}

impl FromStr for Path {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let wrong = || NoPath(text.to_owned());
        let rest = text.trim().strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        let mut rest = rest;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (key, left) = after.split_at(end);
                let plain = key
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
                if key.is_empty() || !plain {
                    return Err(wrong());
                }
                steps.push(Step::Key(key.to_owned()));
                rest = left;
            } else {
                let (index, left) = rest
                    .strip_prefix('[')
                    .and_then(|after| after.split_once(']'))
                    .ok_or_else(wrong)?;
                steps.push(Step::Index(index.parse().map_err(|_| wrong())?));
                rest = left;
            }
        }
        Ok(Self(steps))
    }
}

impl FromStr for Condition {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let Some((path, value)) = text.split_once("==") else {
            return text.parse().map(Self::Filled);
        };
        let value = value.trim();
        let quoted = value
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''));
        let bare = || (!value.is_empty() && !value.contains('\'')).then_some(value);
        let value = quoted
            .or_else(bare)
            .ok_or_else(|| NoPath(text.to_owned()))?;
        Ok(Self::Is(path.parse()?, value.to_owned()))
    }
}

impl TryFrom<String> for Path {
    type Error = NoPath;

    fn try_from(text: String) -> Result<Self, NoPath> {
        text.parse()
    }
}

impl TryFrom<String> for Condition {
    type Error = NoPath;

    fn try_from(text: String) -> Result<Self, NoPath> {
        text.parse()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Filled(path) => path.to_string(),
            Condition::Is(path, text) => format!("{path} == '{text}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_to_what_is_there() {
        let document = json!({"a": {"b": [{"c-d": 1}, "two"]}, "nothing": null});
        for (path, found) in [
            ("$", Some(document.clone())),
            ("$.a.b[0].c-d", Some(json!(1))),
            ("$.a.b[1]", Some(json!("two"))),
            ("$.a.b[2]", None),
            ("$.a.x.y", None),
            ("$.nothing", None),
        ] {
            let path: Path = path.parse().unwrap();
            assert_eq!(path.find(&document).cloned(), found, "{path}");
            assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn a_condition_holds_of_what_is_filled_or_equal() {
        let document = json!({"person": {}, "code": "pending", "ok": false, "n": 0, "list": [1]});
        for (condition, holds) in [
            ("$.person", false),
            ("$.missing", false),
            ("$.ok", false),
            ("$.n", true),
            ("$.list", true),
            ("$.code == 'pending'", true),
            ("$.code=='other'", false),
            ("$.n == 0", true),
            ("$.ok == false", true),
        ] {
            let condition: Condition = condition.parse().unwrap();
            assert_eq!(condition.holds(&document), holds, "{condition:?}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "a.b",
            "$a",
            "$.",
            "$.a..b",
            "$.a[",
            "$.a[x]",
            "$.a[-1]",
            "$.a b",
            "$.a == ",
            "$.a == 'x",
        ] {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
