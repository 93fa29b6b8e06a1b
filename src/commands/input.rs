//! Read what a caller says about a lead: every mistake by its field, all at once.

use domain::id::{StageId, UserId};
use domain::lead::SourceCategory;
use domain::lead::patch::LeadPatch;
use domain::normalise;
use domain::status::Status;
use serde_json::{Map, Value, json};

use super::error::Refused;
use super::instant;
use crate::web::problem::FieldError;

/// What a field may hold.
#[derive(Clone, Copy)]
enum Kind {
    Line(usize),
    Lines(usize),
    Email,
    Whole(i64),
    Country,
    Currency,
    Id,
    Instant,
    Zone,
    Tags,
    Source,
    Object,
    Status,
    Flag,
}

/// Every field by its name on the wire and its name in the domain.
const FIELDS: [(&str, &str, Kind); 30] = [
    ("name", "name", Kind::Line(200)),
    ("first_name", "first_name", Kind::Line(200)),
    ("last_name", "last_name", Kind::Line(200)),
    ("email", "email", Kind::Email),
    ("phone", "phone", Kind::Line(50)),
    ("job_title", "job_title", Kind::Line(200)),
    ("linkedin_url", "linkedin_url", Kind::Line(2_000)),
    ("company", "company_name", Kind::Line(200)),
    ("company_id", "company_id", Kind::Id),
    ("state", "state", Kind::Line(10)),
    ("country", "country", Kind::Country),
    ("time_zone", "time_zone", Kind::Zone),
    ("enrollment", "enrollment", Kind::Whole(i32::MAX as i64)),
    ("message", "message", Kind::Lines(10_000)),
    ("notes", "notes", Kind::Lines(10_000)),
    ("source", "source_category", Kind::Source),
    ("source_detail", "source_detail", Kind::Line(500)),
    ("source_url", "source_url", Kind::Line(2_000)),
    (
        "estimated_value",
        "estimated_value_minor",
        Kind::Whole(9_007_199_254_740_991),
    ),
    ("currency", "currency", Kind::Currency),
    ("budget", "budget", Kind::Line(500)),
    ("authority", "authority", Kind::Line(500)),
    ("need", "need", Kind::Line(500)),
    ("timeline", "timeline", Kind::Line(500)),
    ("next_follow_up_at", "next_follow_up_at", Kind::Instant),
    ("tags", "tags", Kind::Tags),
    ("custom_fields", "custom_fields", Kind::Object),
    ("status", "", Kind::Status),
    ("stage_id", "", Kind::Id),
    ("assigned_to", "", Kind::Id),
];

/// Fields that say how a change is meant.
const MEANT: [(&str, Kind); 3] = [
    ("reason", Kind::Line(500)),
    ("reopen", Kind::Flag),
    ("version", Kind::Whole(i32::MAX as i64)),
];

/// What a caller wants a lead to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LeadInput {
    /// The fields that are plainly set.
    pub patch: LeadPatch,
    /// The status to move to.
    pub status: Option<Status>,
    /// The stage to move to.
    pub stage: Option<StageId>,
    /// The rep to hand it to; `Some(None)` takes it from whoever has it.
    pub assigned_to: Option<Option<UserId>>,
    /// Why it is lost or disqualified.
    pub reason: Option<String>,
    /// Whether a closed lead may be opened again.
    pub reopen: bool,
    /// The version the caller has read.
    pub version: Option<i32>,
}

/// Whether names nobody knows are mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are left out, as zod does.
    Ignored,
    /// A slip in a name would lose what the caller meant.
    Refused,
}

/// Reads an input.
pub fn lead(input: &Map<String, Value>, unknown: Unknown) -> Result<LeadInput, Refused> {
    let mut errors = Vec::new();
    let mut patch = Map::new();
    let mut rest = Map::new();
    for (name, value) in input {
        let field = FIELDS.iter().find(|(known, ..)| known == name);
        let meant = MEANT.iter().find(|(known, _)| known == name);
        let (place, kind) = match (field, meant) {
            (Some((_, place, kind)), _) => (*place, *kind),
            (None, Some((_, kind))) => ("", *kind),
            (None, None) if unknown == Unknown::Ignored => continue,
            (None, None) => {
                errors.push(error(name, "unknown_field", "There is no such field"));
                continue;
            }
        };
        match read(kind, value) {
            Ok(value) if place.is_empty() => drop(rest.insert(name.clone(), value)),
            Ok(value) => drop(patch.insert(place.to_owned(), value)),
            Err((code, message)) => errors.push(error(name, code, message)),
        }
    }
    if !errors.is_empty() {
        return Err(Refused::Invalid(errors));
    }
    let patch = serde_json::from_value(Value::Object(patch)).map_err(anyhow::Error::new)?;
    let text = |name: &str| rest.get(name).and_then(Value::as_str);
    Ok(LeadInput {
        patch,
        status: text("status").and_then(|status| status.parse().ok()),
        stage: text("stage_id").and_then(|id| id.parse().ok()),
        assigned_to: rest
            .get("assigned_to")
            .map(|id| id.as_str().and_then(|id| id.parse().ok())),
        reason: text("reason").map(str::to_owned),
        reopen: rest
            .get("reopen")
            .and_then(Value::as_bool)
            .unwrap_or_default(),
        version: rest
            .get("version")
            .and_then(Value::as_i64)
            .and_then(|version| version.try_into().ok()),
    })
}

fn read(kind: Kind, value: &Value) -> Result<Value, (&'static str, String)> {
    let expected = |what: &str| ("invalid_type", format!("Must be {what}"));
    let text = || value.as_str().ok_or_else(|| expected("text"));
    if value.is_null() {
        return match kind {
            Kind::Tags | Kind::Source | Kind::Object | Kind::Status | Kind::Flag => {
                Err(expected("given"))
            }
            _ => Ok(Value::Null),
        };
    }
    if normalise::holds_nul(value) {
        return Err(("nul", "Must not contain the NUL character".into()));
    }
    match kind {
        Kind::Line(most) => short_enough(normalise::one_line(text()?), most),
        Kind::Lines(most) => short_enough(normalise::many_lines(text()?), most),
        Kind::Email => {
            let address = text()?.trim();
            let fits = normalise::is_email(address);
            fits.then(|| address.into())
                .ok_or(("invalid_email", "Must be an e-mail address".into()))
        }
        Kind::Whole(most) => match value.as_i64() {
            Some(number) if (0..=most).contains(&number) => Ok(number.into()),
            _ => Err(expected(&format!("a whole number from 0 to {most}"))),
        },
        Kind::Country => {
            code(text()?, 2).ok_or_else(|| expected("an ISO 3166 country of two letters"))
        }
        Kind::Currency => {
            code(text()?, 3).ok_or_else(|| expected("an ISO 4217 currency of three letters"))
        }
        Kind::Id => {
            let id = text()?.parse::<uuid::Uuid>();
            id.map(|id| json!(id))
                .map_err(|_| ("invalid_id", "Must be an id".into()))
        }
        Kind::Instant => instant::exact(text()?).map(|at| json!(at)).ok_or_else(|| {
            let message = format!("Must be an instant such as {}", instant::EXAMPLE);
            ("invalid_time", message)
        }),
        Kind::Zone => match text()?.trim() {
            "" => Ok(Value::Null),
            name => name
                .parse::<chrono_tz::Tz>()
                .map(|zone| zone.name().into())
                .map_err(|_| {
                    let message = "Must be an IANA time zone such as Europe/Berlin";
                    ("invalid_time_zone", message.to_owned())
                }),
        },
        Kind::Tags => tags(value)
            .ok_or_else(|| expected("a list of at most 50 texts of at most 64 characters")),
        Kind::Source => one_of::<SourceCategory>(text()?, SourceCategory::ALL),
        Kind::Status => one_of::<Status>(text()?, Status::ALL),
        Kind::Object => match value.as_object() {
            Some(object) if object.len() <= 100 => Ok(value.clone()),
            _ => Err(expected("an object of at most 100 fields")),
        },
        Kind::Flag => value
            .as_bool()
            .map(Value::Bool)
            .ok_or_else(|| expected("true or false")),
    }
}

fn short_enough(text: String, most: usize) -> Result<Value, (&'static str, String)> {
    if text.chars().nth(most).is_some() {
        return Err(("too_long", format!("Must be at most {most} characters")));
    }
    Ok(if text.is_empty() {
        Value::Null
    } else {
        text.into()
    })
}

fn code(text: &str, length: usize) -> Option<Value> {
    let fits = text.len() == length && text.bytes().all(|letter| letter.is_ascii_alphabetic());
    fits.then(|| text.to_ascii_uppercase().into())
}

fn tags(value: &Value) -> Option<Value> {
    let tags = value.as_array().filter(|tags| tags.len() <= 50)?;
    let clean = |tag: &Value| {
        let tag = normalise::one_line(tag.as_str()?);
        (1..=64).contains(&tag.chars().count()).then_some(tag)
    };
    tags.iter()
        .map(clean)
        .collect::<Option<Vec<_>>>()
        .map(|tags| json!(tags))
}

fn one_of<T: std::str::FromStr + std::fmt::Display>(
    text: &str,
    all: &[T],
) -> Result<Value, (&'static str, String)> {
    let known = text.parse::<T>().ok().map(|known| known.to_string().into());
    known.ok_or_else(|| {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        (
            "invalid_choice",
            format!("Must be one of {}", names.join(", ")),
        )
    })
}

fn error(field: &str, code: &'static str, message: impl Into<String>) -> FieldError {
    let shown: String = field.chars().take(100).collect();
    FieldError {
        field: shown,
        code: code.into(),
        message: message.into(),
    }
}

/// The names of all fields.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let known = FIELDS.iter().map(|field| field.0);
    known.chain(MEANT.iter().map(|field| field.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(input: Value, unknown: Unknown) -> Result<LeadInput, Vec<String>> {
        let input = input.as_object().unwrap();
        lead(input, unknown).map_err(|refused| match refused {
            Refused::Invalid(errors) => errors
                .iter()
                .map(|error| format!("{} {}", error.field, error.code))
                .collect(),
            other => vec![other.to_string()],
        })
    }

    #[test]
    fn every_field_reaches_its_place() {
        let input = json!({
            "first_name": " Ada ", "company": "Analytical", "source": "referral", "estimated_value": 5, "country": "gb",
            "tags": ["a"], "custom_fields": {"x": 1}, "next_follow_up_at": "2030-01-02T03:04:05+01:00", "phone": null,
            "status": "contacted", "assigned_to": null, "reopen": true
        });
        let read = read_all(input, Unknown::Refused).unwrap();
        assert_eq!(
            serde_json::to_value(&read.patch).unwrap(),
            json!({"first_name": "Ada", "company_name": "Analytical", "source_category": "referral", "country": "GB",
                   "estimated_value_minor": 5, "tags": ["a"], "custom_fields": {"x": 1}, "phone": null,
                   "next_follow_up_at": "2030-01-02T02:04:05Z"})
        );
        assert_eq!(
            (read.status, read.assigned_to, read.reopen),
            (Some(Status::Contacted), Some(None), true)
        );
    }

    #[test]
    fn every_mistake_is_named_and_unknown_names_are_where_asked() {
        let input = json!({
            "email": "x", "country": "GBR", "estimated_value": 1.5, "tags": "a", "source": "x", "status": "x", "stage_id": "x",
            "notes": "a\u{0}", "next_follow_up_at": "0000-01-01T00:00:00Z", "nmae": 1, "time_zone": "Mars/Olympus"
        });
        let mut mistakes = read_all(input, Unknown::Refused).unwrap_err();
        mistakes.sort();
        assert_eq!(
            mistakes,
            [
                "country invalid_type",
                "email invalid_email",
                "estimated_value invalid_type",
                "next_follow_up_at invalid_time",
                "nmae unknown_field",
                "notes nul",
                "source invalid_choice",
                "stage_id invalid_id",
                "status invalid_choice",
                "tags invalid_type",
                "time_zone invalid_time_zone",
            ]
        );
        assert!(read_all(json!({"nmae": 1}), Unknown::Ignored).is_ok());
    }
}
