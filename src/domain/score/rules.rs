//! Points an org gives or takes for single signs.
//!
//! Rules do not depend on each other and never fail: a field that is not there simply does not exist.

use serde::Serialize;
use serde_json::Value;

use super::{Factor, Inputs};
use crate::{id::ScoringRuleId, text::text_enum};

text_enum! {
    /// How a field is compared.
    Condition {
        /// Is the same.
        Equals = "equals",
        /// Is there and another.
        NotEquals = "not_equals",
        /// Has it in it.
        Contains = "contains",
        /// Is there and does not have it in it.
        NotContains = "not_contains",
        /// Begins with it.
        StartsWith = "starts_with",
        /// Ends with it.
        EndsWith = "ends_with",
        /// Is more.
        GreaterThan = "greater_than",
        /// Is as much or more.
        GreaterOrEqual = "greater_or_equal",
        /// Is less.
        LessThan = "less_than",
        /// Is as much or less.
        LessOrEqual = "less_or_equal",
        /// Is one of a list.
        In = "in",
        /// Is there and none of a list.
        NotIn = "not_in",
        /// Is there.
        Exists = "exists",
        /// Is not there.
        NotExists = "not_exists",
    }
}

/// One sign and its points.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Rule {
    /// Its id.
    pub id: ScoringRuleId,
    /// Its name.
    pub name: Option<String>,
    /// The field it looks at.
    pub criteria_type: String,
    /// How it compares.
    pub condition: Condition,
    /// With what.
    pub value: Option<Value>,
    /// What it gives.
    pub points: i32,
}

impl Rule {
    /// Whether it holds.
    pub fn holds(&self, of: &Inputs) -> bool {
        let found = of.field(&self.criteria_type);
        let wanted = self.value.as_ref().unwrap_or(&Value::Null);
        let Some(found) = found else {
            return self.condition == Condition::NotExists;
        };
        match self.condition {
            Condition::Exists => true,
            Condition::NotExists => false,
            Condition::Equals => same(&found, wanted),
            Condition::NotEquals => !same(&found, wanted),
            Condition::Contains => contains(&found, wanted),
            Condition::NotContains => !contains(&found, wanted),
            Condition::StartsWith => {
                texts(&found, wanted, |found, wanted| found.starts_with(wanted))
            }
            Condition::EndsWith => texts(&found, wanted, |found, wanted| found.ends_with(wanted)),
            Condition::GreaterThan => numbers(&found, wanted, |found, wanted| found > wanted),
            Condition::GreaterOrEqual => numbers(&found, wanted, |found, wanted| found >= wanted),
            Condition::LessThan => numbers(&found, wanted, |found, wanted| found < wanted),
            Condition::LessOrEqual => numbers(&found, wanted, |found, wanted| found <= wanted),
            Condition::In => any(&found, wanted),
            Condition::NotIn => !any(&found, wanted),
        }
    }
}

/// The reasons that hold.
pub(super) fn factors(rules: &[Rule], of: &Inputs) -> Vec<Factor> {
    let holding = rules.iter().filter(|rule| rule.holds(of));
    let factor = |rule: &Rule| Factor {
        key: format!(
            "rule.{}",
            rule.name.as_deref().unwrap_or(&rule.criteria_type)
        ),
        raw: of.field(&rule.criteria_type).unwrap_or_default(),
        points: rule.points,
        cap: None,
    };
    holding.map(factor).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_lowercase()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(_), _) | (_, Value::Number(_)) => {
            numbers(found, wanted, |found, wanted| found == wanted)
        }
        _ => found == wanted || texts(found, wanted, |found, wanted| found == wanted),
    }
}

fn contains(found: &Value, wanted: &Value) -> bool {
    match found {
        Value::Array(items) => items.iter().any(|item| same(item, wanted)),
        _ => texts(found, wanted, |found, wanted| found.contains(wanted)),
    }
}

/// One of the found is one of the wanted.
fn any(found: &Value, wanted: &Value) -> bool {
    let Value::Array(wanted) = wanted else {
        return contains(found, wanted);
    };
    match found {
        Value::Array(items) => items
            .iter()
            .any(|item| wanted.iter().any(|w| same(item, w))),
        _ => wanted.iter().any(|w| same(found, w)),
    }
}

fn texts(found: &Value, wanted: &Value, holds: impl Fn(&str, &str) -> bool) -> bool {
    text(found)
        .zip(text(wanted))
        .is_some_and(|(found, wanted)| holds(&found, &wanted))
}

fn numbers(found: &Value, wanted: &Value, holds: impl Fn(f64, f64) -> bool) -> bool {
    number(found)
        .zip(number(wanted))
        .is_some_and(|(found, wanted)| holds(found, wanted))
}
