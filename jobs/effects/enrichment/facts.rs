//! What an answer tells about a lead and its employer, in our words.

use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Named, Place};

/// Everything that a provider's map may fill.
pub const TARGETS: &[&str] = &[
    "lead.first_name",
    "lead.last_name",
    "lead.name",
    "lead.email",
    "lead.phone",
    "lead.job_title",
    "lead.linkedin_url",
    "lead.state",
    "lead.country",
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

/// What was told, by our names without their prefix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// About the person.
    pub lead: BTreeMap<String, String>,
    /// About the employer.
    pub company: BTreeMap<String, String>,
    /// How sure the provider is.
    pub likelihood: Option<f64>,
    /// What it cost.
    pub credits: Option<f64>,
}

impl Facts {
    /// Follows the map; what is not there, empty or no plain value is left out.
    pub(super) fn read(
        map: &BTreeMap<String, Place>,
        body: Option<&Value>,
        headers: &HeaderMap,
    ) -> Self {
        let mut facts = Self::default();
        for (target, place) in map {
            let Some(text) = found(place, body, headers) else {
                continue;
            };
            match target.split_once('.') {
                Some(("lead", name)) => drop(facts.lead.insert(name.to_owned(), text)),
                Some(("company", name)) => drop(facts.company.insert(name.to_owned(), text)),
                Some(("meta", "likelihood")) => facts.likelihood = text.parse().ok(),
                Some(("meta", "credits")) => facts.credits = text.parse().ok(),
                _ => {}
            }
        }
        facts
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.lead.is_empty() && self.company.is_empty()
    }
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
    let line: String = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty() && line.chars().count() <= LONGEST).then_some(line)
}
