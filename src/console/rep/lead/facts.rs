//! What is known about a lead, as names and values.

use domain::lead::{Details, EnrichmentStatus, Lead};
use domain::org::Org;
use domain::store::enrichment::Run;
use serde::Serialize;
use serde_json::Value;

use crate::console::moment::Moment;
use crate::console::rep::row::Reader;
use crate::console::words;

/// Longest value shown.
const LONGEST: usize = 300;

/// A name and a value.
#[derive(Debug, Serialize)]
pub(super) struct Fact {
    name: String,
    value: String,
    /// Where the value leads, if anywhere.
    url: String,
}

/// What providers said.
#[derive(Debug, Serialize)]
pub(super) struct Enrichment {
    status: &'static str,
    /// Whether no answer is awaited.
    settled: bool,
    at: Option<Moment>,
    facts: Vec<Fact>,
    runs: Vec<Asked>,
}

/// A question put to a provider.
#[derive(Debug, Serialize)]
struct Asked {
    provider: String,
    outcome: String,
    at: Moment,
}

/// Job and employer in a line.
pub(super) fn job(details: &Details) -> String {
    let parts = [&details.job_title, &details.company_name];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    parts.join(" · ")
}

/// What is worth knowing before speaking to the lead.
pub(super) fn of(lead: &Lead, org: &Org) -> Vec<Fact> {
    let details = &lead.details;
    let place = [&details.state, &details.country];
    let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
    let currency = details.currency.as_deref().unwrap_or(&org.currency);
    let value = details.estimated_value_minor;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let known = [
        ("Company", text(&details.company_name)),
        ("Segment", text(&details.segment)),
        ("Place", place.join(", ")),
        ("Time zone", text(&details.time_zone)),
        (
            "Deal value",
            value.map_or_else(String::new, |value| words::money(value, currency)),
        ),
        ("Budget", text(&details.budget)),
        ("Authority", text(&details.authority)),
        ("Need", text(&details.need)),
        ("Timeline", text(&details.timeline)),
        ("Source", source(lead)),
        ("Campaign", text(&details.utm_campaign)),
        ("Notes", text(&details.notes)),
    ];
    let mut facts: Vec<Fact> = known
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| fact(name, value))
        .collect();
    let landing = web_address(details.source_url.as_deref());
    if let Some(page) = details.source_url.as_deref() {
        facts.push(Fact {
            url: landing,
            ..fact("Landing page", page.to_owned())
        });
    }
    let own = details.custom_fields.iter();
    facts.extend(own.map(|(name, value)| fact(&words::spoken(name), plain(value))));
    facts
}

/// Why a closed lead was closed.
pub(super) fn closed(lead: &Lead) -> Vec<Fact> {
    let reasons = [
        ("Disqualified because", &lead.disqualification_reason),
        ("Lost because", &lead.lost_reason),
    ];
    let given = reasons.into_iter().filter(|_| !lead.is_open);
    given
        .filter_map(|(name, reason)| Some(fact(name, reason.clone()?)))
        .collect()
}

pub(super) fn enrichment(lead: &Lead, runs: &[Run], reader: &Reader<'_>) -> Enrichment {
    let said = lead.enrichment_data.iter();
    Enrichment {
        status: words::enrichment(lead.enrichment_status),
        settled: !matches!(
            lead.enrichment_status,
            EnrichmentStatus::Queued | EnrichmentStatus::Pending
        ),
        at: lead.enriched_at.map(|at| reader.moment(at)),
        facts: said
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| Fact {
                url: web_address(value.as_str()),
                ..fact(&called(name), plain(value))
            })
            .collect(),
        runs: runs
            .iter()
            .take(10)
            .map(|run| Asked {
                provider: run.provider_key.clone(),
                outcome: match run.outcome {
                    Some(outcome) => words::spoken(outcome.as_str()).to_lowercase(),
                    None => words::spoken(run.state.as_str()).to_lowercase(),
                },
                at: reader.moment(run.finished_at.unwrap_or(run.started_at)),
            })
            .collect(),
    }
}

/// The address if a browser may be sent there.
pub(super) fn web_address(sent: Option<&str>) -> String {
    let url = sent.and_then(|sent| url::Url::parse(sent).ok());
    let web = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    web.map_or_else(String::new, String::from)
}

fn source(lead: &Lead) -> String {
    let won = words::source(lead.details.source_category);
    let arrived = words::channel(lead.capture_channel);
    match &lead.details.source_detail {
        Some(detail) => format!("{won} ({detail}), by {arrived}"),
        None => format!("{won}, by {arrived}"),
    }
}

fn fact(name: &str, value: String) -> Fact {
    let mut value = value;
    if let Some((cut, _)) = value.char_indices().nth(LONGEST) {
        value.truncate(cut);
        value.push('…');
    }
    Fact {
        name: name.to_owned(),
        value,
        url: String::new(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A provider's name of a field as people say it.
fn called(name: &str) -> String {
    match name {
        "linkedin_url" | "linkedinUrl" => "LinkedIn".into(),
        "company_name" | "companyName" => "Company".into(),
        name => spaced(name),
    }
}

/// `companySize` as `Company size`.
fn spaced(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words::spoken(&words)
}
