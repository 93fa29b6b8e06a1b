//! The filters of the lead table: what the address says, as fields to change it.

use std::collections::BTreeMap;

use chrono::{Days, SecondsFormat};
use chrono_tz::Tz;
use domain::clock::Timestamp;
use domain::id::UserId;
use domain::lead::SourceCategory;
use domain::member::Membership;
use domain::org::Org;
use domain::score::Band;
use domain::stage::Stage;
use serde::Serialize;

use crate::commands::Refused;
use crate::commands::query::LeadQuery;
use crate::console::frame::{address, without};
use crate::console::words::{self, Choice};

/// Most leads on a page.
const A_PAGE: usize = 50;

/// The filters as fields.
#[derive(Debug, Serialize)]
pub(super) struct Filters {
    q: String,
    statuses: Vec<Choice>,
    bands: Vec<Choice>,
    sources: Vec<Choice>,
    stages: Vec<Choice>,
    people: Vec<Choice>,
    date_from: String,
    date_to: String,
    never_contacted: bool,
    /// Filters that have no field of their own, to be sent along.
    kept: Vec<(String, String)>,
    /// The same as words, each with the address without it.
    chips: Vec<Chip>,
    /// Mistakes by field.
    problems: BTreeMap<String, String>,
    /// How many filters are set, the words left out.
    count: usize,
    /// Whether anything is filtered at all.
    any: bool,
    /// Whether this is what is due today and nothing else.
    is_due: bool,
    views: Vec<View>,
}

/// Filters that have a field in the form.
const FIELDS: [&str; 9] = [
    "q",
    "status",
    "band",
    "source",
    "stage_id",
    "assigned_to",
    "date_from",
    "date_to",
    "never_contacted",
];

/// A filter that can only be taken away.
#[derive(Debug, Serialize)]
struct Chip {
    text: String,
    /// The leads without it.
    url: String,
}

/// A way to look at the leads that reps often take.
#[derive(Debug, Serialize)]
struct View {
    text: &'static str,
    url: String,
    current: bool,
}

/// What the address asks for, and the mistakes in it.
pub(super) struct Asked {
    /// The leads asked for; nothing if the address is mistaken.
    pub(super) query: Option<LeadQuery>,
    problems: BTreeMap<String, String>,
    /// The address without what is not a filter.
    pub(super) clean: String,
}

impl Asked {
    /// Reads a query string; `me` is whose leads "mine" are.
    pub(super) fn read(query: &str, me: UserId) -> Result<Self, Refused> {
        let clean = without(query, &["said", "cursor"]);
        let mut asked = without(query, &["said"]);
        if !asked.contains("limit=") {
            asked = format!("{asked}&limit={A_PAGE}");
        }
        match LeadQuery::read(asked.trim_start_matches('&'), Some(me)) {
            Ok(query) => Ok(Self {
                query: Some(query),
                problems: BTreeMap::new(),
                clean,
            }),
            Err(Refused::Invalid(errors)) => Ok(Self {
                query: None,
                problems: errors
                    .into_iter()
                    .map(|error| (error.field, error.message))
                    .collect(),
                clean,
            }),
            Err(other) => Err(other),
        }
    }

    /// The fields that say the same.
    pub(super) fn filters(
        self,
        due: &str,
        org: &Org,
        stages: &[Stage],
        people: &[Membership],
        me: UserId,
    ) -> Filters {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(self.clean.as_bytes())
            .into_owned()
            .collect();
        let given = |name: &str| {
            let found = pairs.iter().find(|(key, _)| key == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let has = |name: &str, value: &str| {
            pairs
                .iter()
                .any(|(key, given)| key == name && given == value)
        };
        let choices = |name: &'static str, all: Vec<(String, String)>| {
            let all = all.into_iter();
            all.map(|(value, text)| {
                let chosen = has(name, &value);
                Choice::new(value, text, chosen)
            })
            .collect::<Vec<_>>()
        };
        let statuses = org.profile.statuses().iter();
        let statuses = statuses.map(|s| (s.to_string(), words::status(*s).to_owned()));
        let bands = Band::ALL.iter().rev();
        let bands = bands.map(|b| (b.to_string(), words::band(*b).to_owned()));
        let sources = SourceCategory::ALL.iter();
        let sources = sources.map(|s| (s.to_string(), words::source(*s).to_owned()));
        let stages = stages.iter().map(|s| (s.id.to_string(), s.name.clone()));
        let people = people
            .iter()
            .map(|p| (p.user_id.to_string(), p.name.clone()));
        let count = pairs
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "q" | "limit"))
            .count();
        let kept: Vec<(String, String)> = pairs
            .iter()
            .filter(|(name, _)| !FIELDS.contains(&name.as_str()))
            .cloned()
            .collect();
        let chips = kept.iter().filter(|(name, _)| name != "limit");
        let chips = chips.map(|(name, value)| Chip {
            text: chip(name, value, due),
            url: address("/dashboard/crm/leads", &without(&self.clean, &[name])),
        });
        Filters {
            chips: chips.collect(),
            kept,
            q: given("q").to_owned(),
            statuses: choices("status", statuses.collect()),
            bands: choices("band", bands.collect()),
            sources: choices("source", sources.collect()),
            stages: choices("stage_id", stages.collect()),
            people: choices("assigned_to", people.collect()),
            date_from: given("date_from").to_owned(),
            date_to: given("date_to").to_owned(),
            any: count > 0 || !given("q").is_empty(),
            count,
            is_due: self.clean == due,
            views: views(&self.clean, me, due),
            never_contacted: has("never_contacted", "true"),
            problems: self.problems,
        }
    }
}

/// A filter without a field, as people say it.
fn chip(name: &str, value: &str, due: &str) -> String {
    let today =
        url::form_urlencoded::parse(due.as_bytes()).any(|pair| pair == (name.into(), value.into()));
    let day = value.get(..10).unwrap_or(value);
    match name {
        "follow_up_by" if today => "Due today".into(),
        "follow_up_by" => format!("Follow-up before {day}"),
        "last_contacted_before" => format!("Last contact before {day}"),
        "score_min" => format!("Score from {value}"),
        "score_max" => format!("Score to {value}"),
        "assigned_to_me" => "Mine".into(),
        "tag" | "tags" => format!("Tag {value}"),
        name => format!("{}: {value}", words::spoken(name)),
    }
}

/// Asks for the leads of `me` that are due before the day ends in `zone`.
pub(super) fn due_today(me: UserId, now: Timestamp, zone: Tz) -> String {
    let tomorrow = now.with_timezone(&zone).date_naive() + Days::new(1);
    // Where a clock skips midnight, the day begins an hour later.
    let midnight = (0..3).find_map(|hour| {
        let start = tomorrow.and_hms_opt(hour, 0, 0)?;
        start.and_local_timezone(zone).earliest()
    });
    let by = midnight.map_or(now, |midnight| midnight.to_utc());
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("assigned_to", &me.to_string())
        .append_pair(
            "follow_up_by",
            &by.to_rfc3339_opts(SecondsFormat::Secs, true),
        )
        .finish()
}

fn views(clean: &str, me: UserId, due: &str) -> Vec<View> {
    let all = [
        ("All leads", String::new()),
        ("Mine", format!("assigned_to={me}")),
        ("Due today", due.to_owned()),
        ("Hot", "band=hot".into()),
        ("Never contacted", "never_contacted=true".into()),
    ];
    let view = |(text, query): (&'static str, String)| View {
        text,
        current: clean == query,
        url: address("/dashboard/crm/leads", &query),
    };
    all.map(view).into()
}
