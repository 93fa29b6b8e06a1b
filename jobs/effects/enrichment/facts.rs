//! What an answer tells about a lead and its employer, in our words.

use std::collections::BTreeMap;

use domain::enrichment::Facts;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::config::{Named, Place};

/// Everything that a provider's map may fill, besides `extra.x` for anything.
pub const TARGETS: &[&str] = &[
    "lead.email",
    "lead.first_name",
    "lead.last_name",
    "lead.phone",
    "lead.job_title",
    "lead.linkedin_url",
    "lead.state",
    "lead.country",
    "lead.time_zone",
    "lead.enrollment",
    "company.name",
    "company.domain",
    "company.website",
    "company.industry",
    "company.company_size",
    "company.employees",
    "meta.likelihood",
    "meta.credits",
];
/// Longest fact that is believed.
const LONGEST: usize = 500;

/// What was told, and by the way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// About the lead and its employer.
    pub facts: Facts,
    /// How sure the provider is.
    pub likelihood: Option<f64>,
    /// What it cost.
    pub credits: Option<f64>,
}

/// Whether a map may fill that.
pub(super) fn is_target(name: &str) -> bool {
    let extra = name.strip_prefix("extra.");
    TARGETS.contains(&name) || extra.is_some_and(|rest| !rest.is_empty())
}

impl Told {
    /// Follows the map; what is not there, empty or no plain value is left out.
    pub(super) fn read(
        map: &BTreeMap<String, Place>,
        body: Option<&Value>,
        headers: &HeaderMap,
    ) -> Self {
        let mut told = Self::default();
        for (target, place) in map {
            if let Some(text) = found(place, body, headers) {
                told.put(target, text);
            }
        }
        told
    }

    fn put(&mut self, target: &str, text: String) {
        let facts = &mut self.facts;
        let company = &mut facts.company;
        match target {
            "lead.email" => facts.email = Some(text),
            "lead.first_name" => facts.first_name = Some(text),
            "lead.last_name" => facts.last_name = Some(text),
            "lead.phone" => facts.phone = Some(text),
            "lead.job_title" => facts.job_title = Some(text),
            "lead.linkedin_url" => facts.linkedin_url = Some(text),
            "lead.state" => facts.state = Some(text),
            "lead.country" => facts.country = Some(text),
            "lead.time_zone" => facts.time_zone = Some(text),
            "lead.enrollment" => facts.enrollment = count(&text),
            "company.name" => company.name = Some(text),
            "company.domain" => company.domain = Some(text),
            "company.website" => company.website = Some(text),
            "company.industry" => company.industry = Some(text),
            "company.company_size" => company.company_size = Some(text),
            "company.employees" => company.employees = count(&text),
            "meta.likelihood" => self.likelihood = number(&text),
            "meta.credits" => self.credits = number(&text),
            other => {
                if let Some(name) = other.strip_prefix("extra.") {
                    facts.extra.insert(name.to_owned(), text.into());
                }
            }
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// A number of people; no provider's slip makes it negative.
fn count(text: &str) -> Option<i32> {
    text.parse().ok().filter(|n| *n >= 0)
}

/// The value as one line without controls.
fn found(place: &Place, body: Option<&Value>, headers: &HeaderMap) -> Option<String> {
    let path = match place {
        Place::Path(path) | Place::Named(Named::Path(path)) => path,
        Place::Named(Named::Header(name)) => {
            return headers.get(name)?.to_str().ok().map(str::to_owned);
        }
    };
    let text = match path.find(body?)? {
        Value::String(text) => text.clone(),
        number @ Value::Number(_) => number.to_string(),
        _ => return None,
    };
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty() && line.chars().count() <= LONGEST).then_some(line)
}
