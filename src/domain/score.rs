//! How promising a lead is, from 0 to 100, with the reasons.
//!
//! A profile names a model and its numbers; the same inputs under the same profile always give the same score. The
//! factors of a score add up to it exactly: what a limit takes away is a factor of its own, with negative points.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::text_enum;

mod composition;
mod factors;
pub mod inputs;
pub mod profile;
pub mod rules;
pub mod title;

#[cfg(test)]
mod tests;

pub use inputs::Inputs;
pub use profile::{Config, Model, ScoringProfile};
pub use rules::Rule;

text_enum! {
    /// How a score reads.
    Band {
        /// Low: watch or drop.
        Cold = "cold",
        /// Medium: nurture.
        Warm = "warm",
        /// High: first in line.
        Hot = "hot",
    }
}

text_enum! {
    /// What causes a calculation.
    Cause {
        /// The lead came into being.
        Created = "created",
        /// The nightly run.
        Refresh = "refresh",
        /// The lead did something.
        Behaviour = "behaviour",
        /// More is known about it.
        Enrichment = "enrichment",
        /// Somebody asked.
        Manual = "manual",
        /// The profile changed.
        ProfileChange = "profile_change",
        /// It was read from a file.
        Import = "import",
    }
}

/// One reason of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    /// What was looked at.
    pub key: String,
    /// What was found.
    pub raw: Value,
    /// What it gives, after its own cap.
    pub points: i32,
    /// The most it can give, or the limit it enforces; none: anything.
    pub cap: Option<i32>,
}

impl Factor {
    fn new(key: impl Into<String>, raw: impl Into<Value>, points: i32, cap: i32) -> Self {
        Self {
            key: key.into(),
            raw: raw.into(),
            points,
            cap: Some(cap),
        }
    }
}

/// A score with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// 0 to 100.
    pub total: i16,
    /// By the profile's thresholds.
    pub band: Band,
    /// They add up to the total.
    pub factors: Vec<Factor>,
}

impl ScoringProfile {
    /// The score of a lead with these inputs.
    pub fn score(&self, rules: &[Rule], inputs: &Inputs) -> Score {
        let mut factors = match (self.model, self.config.base) {
            (Model::Composition, _) | (Model::Composite, profile::Base::Composition) => {
                self.config.composition.factors(inputs)
            }
            (Model::Factors, _) | (Model::Composite, profile::Base::Factors) => {
                self.config.factors.factors(inputs)
            }
            (Model::Rules, _) => Vec::new(),
        };
        if self.model != Model::Factors {
            factors.extend(rules::factors(rules, inputs));
        }
        let sum = sum(&factors);
        let total = sum.clamp(0, 100);
        if sum != total {
            factors.push(Factor::new("limit", sum, total - sum, total));
        }
        let total = i16::try_from(total).unwrap_or_default();
        Score {
            total,
            band: self.band(total),
            factors,
        }
    }

    /// How a score reads under this profile.
    pub fn band(&self, score: i16) -> Band {
        if score >= self.band_hot {
            Band::Hot
        } else if score >= self.band_warm {
            Band::Warm
        } else {
            Band::Cold
        }
    }
}

fn sum(factors: &[Factor]) -> i32 {
    factors.iter().map(|factor| factor.points).sum()
}

/// Adds a component to `factors` and, if it gives more than `max`, the limit that takes the rest away.
fn component(factors: &mut Vec<Factor>, name: &str, parts: Vec<Factor>, max: i32) {
    let sum = sum(&parts);
    factors.extend(parts);
    if sum > max {
        factors.push(Factor::new(format!("{name}.limit"), sum, max - sum, max));
    }
}
