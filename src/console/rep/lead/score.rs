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
    reader: &Reader<'_>,
) -> anyhow::Result<Option<Breakdown>> {
    let Some(latest) = scores.first() else {
        return Ok(None);
    };
    let factors: Vec<Factor> =
        serde_json::from_value(latest.factors.clone()).context("reading the factors of a score")?;
    Ok(Some(Breakdown {
        sum: factors.iter().map(|factor| factor.points).sum(),
        factors: factors.iter().map(line).collect(),
        version: latest.version.clone(),
        why: words::spoken(&latest.trigger).to_lowercase(),
        at: reader.moment(latest.computed_at),
        history: scores
            .iter()
            .skip(1)
            .take(5)
            .map(|past| Past {
                score: past.score,
                change: past.previous_score.map_or(0, |before| past.score - before),
                why: words::spoken(&past.trigger).to_lowercase(),
                at: reader.moment(past.computed_at),
            })
            .collect(),
    }))
}

fn line(factor: &Factor) -> Line {
    // What a limit takes away is no part of anything.
    let is_limit = factor.key.ends_with("limit");
    let cap = factor.cap.filter(|cap| !is_limit && *cap > 0);
    Line {
        label: words::factor(&factor.key),
        points: factor.points,
        cap,
        filled: cap.map_or(0, |cap| (factor.points * 100 / cap).clamp(0, 100)),
        found: match &factor.raw {
            Value::Null => "not known".into(),
            Value::String(text) => words::spoken(text).to_lowercase(),
            Value::Bool(true) => "yes".into(),
            Value::Bool(false) => "no".into(),
            other => other.to_string(),
        },
    }
}
