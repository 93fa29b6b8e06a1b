//! Why a lead scores as it does: the factors, which add up.

use anyhow::Context;
use domain::score::Factor;
use domain::store::lead_history::GivenScore;
use serde::Serialize;
use serde_json::Value;

use crate::console::moment::Moment;
use crate::console::rep::row::Reader;
use crate::console::words;

/// The latest score taken apart.
#[derive(Debug, Serialize)]
pub(super) struct Breakdown {
    factors: Vec<Line>,
    sum: i32,
    version: String,
    why: String,
    at: Moment,
    history: Vec<Past>,
}

/// One factor.
#[derive(Debug, Serialize)]
struct Line {
    label: String,
    points: i32,
    cap: Option<i32>,
    /// Share of the most it can give, in percent.
    filled: i32,
    /// What was looked at.
    found: String,
}

/// A score the lead had.
#[derive(Debug, Serialize)]
struct Past {
    score: i16,
    change: i16,
    why: String,
    at: Moment,
}

/// The newest of `scores` taken apart, and those before it.
pub(super) fn breakdown(
    scores: &[GivenScore],
    currency: &str,
    reader: &Reader<'_>,
) -> anyhow::Result<Option<Breakdown>> {
    let Some(latest) = scores.first() else {
        return Ok(None);
    };
    let factors: Vec<Factor> =
        serde_json::from_value(latest.factors.clone()).context("reading the factors of a score")?;
    Ok(Some(Breakdown {
        sum: factors.iter().map(|factor| factor.points).sum(),
        factors: factors
            .iter()
            .map(|factor| line(factor, currency))
            .collect(),
        version: latest.version.clone(),
        why: words::cause(&latest.trigger),
        at: reader.moment(latest.computed_at),
        history: scores
            .iter()
            .skip(1)
            .take(5)
            .map(|past| Past {
                score: past.score,
                change: past.previous_score.map_or(0, |before| past.score - before),
                why: words::cause(&past.trigger),
                at: reader.moment(past.computed_at),
            })
            .collect(),
    }))
}

fn line(factor: &Factor, currency: &str) -> Line {
    // What a limit takes away is no part of anything.
    let is_limit = factor.key.ends_with("limit");
    let cap = factor.cap.filter(|cap| !is_limit && *cap > 0);
    Line {
        label: words::factor(&factor.key),
        points: factor.points,
        cap,
        filled: cap.map_or(0, |cap| (factor.points * 100 / cap).clamp(0, 100)),
        found: found(&factor.key, &factor.raw, currency),
    }
}

/// What was looked at, as people say it.
fn found(key: &str, raw: &Value, currency: &str) -> String {
    match (key, raw) {
        (_, Value::Null) => "not known".into(),
        ("source", Value::String(code)) => match code.parse() {
            Ok(source) => words::source(source).into(),
            Err(_) => words::spoken(code),
        },
        ("company_size", Value::Number(people)) if people.as_i64() == Some(1) => "1 person".into(),
        ("company_size", Value::Number(people)) => {
            format!(
                "{} people",
                words::grouped(people.as_i64().unwrap_or_default())
            )
        }
        ("deal_value", Value::Number(minor)) => {
            words::money(minor.as_i64().unwrap_or_default(), currency)
        }
        ("completeness", filled) => format!("{filled} of 10 fields"),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Bool(true)) => "yes".into(),
        (_, Value::Bool(false)) => "no".into(),
        (_, other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_looked_at_reads_as_people_say_it() {
        let read = [
            ("source", json!("paid_ads"), "Paid ads"),
            ("company_size", json!(1_400), "1,400 people"),
            ("company_size", json!(1), "1 person"),
            ("deal_value", json!(2_400_000), "24,000 USD"),
            ("title", json!("VP Procurement"), "VP Procurement"),
            ("completeness", json!(7), "7 of 10 fields"),
            ("deal_value", Value::Null, "not known"),
            ("rule.open", json!(true), "yes"),
        ];
        for (key, raw, wanted) in read {
            assert_eq!(found(key, &raw, "USD"), wanted, "{key}");
        }
    }
}
