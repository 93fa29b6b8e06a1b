//! `crm.leads.capture`: a website sends a lead; nobody needs to be signed in.

use domain::id::{IntakeEventId, OrgId};
use domain::lead::SourceCategory;
use domain::normalise;
use domain::store::intake_events::NewEvent;
use domain::submission::Submission;
use serde_json::{Map, Value, json};
use tracing::{error, warn};

use super::accept::{Kept, NotKept};
use super::together::Answer;
use crate::app::App;
use crate::web::trpc::Context;
use crate::web::trpc::error::{Code, Failed};
use crate::web::trpc::issue::Issue;

const CLICK_IDS: [(&str, &str); 7] = [
    ("gclid", "gclid"),
    ("gbraid", "gbraid"),
    ("wbraid", "wbraid"),
    ("fbclid", "fbclid"),
    ("msclkid", "msclkid"),
    ("liFatId", "li_fat_id"),
    ("ttclid", "ttclid"),
];
pub(super) const NAME: usize = 200;
const EMAIL: usize = 320;
pub(super) const PHONE: usize = 50;
pub(super) const ADDRESS: usize = 2_000;
pub(super) const MESSAGE: usize = 10_000;
const UTM: usize = 500;
const MOST_CUSTOM_FIELDS: usize = 100;
/// The largest whole number that JavaScript holds exactly.
const MOST_VALUE: i64 = 9_007_199_254_740_991;

/// Reads the input, keeps it, and tells the caller the id of the submission: the same answer for a new lead, a known one
/// and spam, so that nobody learns who is known.
pub async fn accept(app: &App, context: &Context, input: Option<&Value>) -> Result<Value, Failed> {
    let client = &context.client;
    app.limits
        .ip(client.ip)
        .map_err(|wait| Failed::too_many(wait.0))?;
    let capture = parse(input)?;

    let outcome = keep_capture(app, context, input, &capture).await;
    match outcome {
        Ok(Some(Kept::New(id) | Kept::Same(id))) => Ok(json!({ "success": true, "id": id })),
        Ok(Some(Kept::Other(_))) => Err(Failed::new(
            Code::Conflict,
            "This Idempotency-Key was used for another submission",
        )),
        Ok(None) => Err(Failed::new(Code::NotFound, "Organisation not found")),
        Err(Refused::TooMany(seconds)) => Err(Failed::too_many(seconds)),
        Err(Refused::NotKept(NotKept::Outage(cause))) => {
            warn!(error = %cause, "Turned a capture away, the database is not there");
            Err(Failed::unavailable())
        }
        Err(Refused::NotKept(NotKept::Broken(cause))) => {
            error!(error = %format!("{cause:#}"), "A capture could not be kept");
            Err(Failed::internal(&client.request_id))
        }
    }
}

enum Refused {
    TooMany(u64),
    NotKept(NotKept),
}

impl<E: Into<NotKept>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::NotKept(error.into())
    }
}

/// The id of the submission; nothing if the org is not there or not served.
async fn keep_capture(
    app: &App,
    context: &Context,
    input: Option<&Value>,
    capture: &Capture,
) -> Result<Option<Kept>, Refused> {
    let Context { client, body, .. } = context;
    let id = IntakeEventId::new();
    let key = match client.idempotency_key() {
        Some(key) => format!("key:{key}:{}", context.index),
        None => format!("id:{id}"),
    };
    let own_part = input.map(Value::to_string).unwrap_or_default();
    let event = NewEvent {
        id,
        org: capture.org,
        channel: None,
        form: None,
        provider: "trpc",
        dedupe_key: &key,
        content_type: Some(client.content_type()),
        headers: client.kept_headers(),
        body: if context.calls == 1 {
            body
        } else {
            own_part.as_bytes()
        },
        submission: &capture.submission,
        remote_ip: client.ip.to_string(),
        spam: capture.spam,
        received_at: app.clock.now(),
    };
    match app.arrivals.keep(&event).await? {
        Answer::Kept(kept) => Ok(Some(kept)),
        Answer::NotServed => Ok(None),
        Answer::TooMany(seconds) => Err(Refused::TooMany(seconds)),
    }
}

/// A lead as the caller described it, and for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// The org named by the caller; nothing is known about it yet.
    pub org: OrgId,
    /// The lead.
    pub submission: Submission,
    /// The field that people do not see was filled.
    pub spam: bool,
}

/// Reads an input, or names every mistake in it.
pub fn parse(input: Option<&Value>) -> Result<Capture, Vec<Issue>> {
    let Some(Value::Object(input)) = input else {
        return Err(vec![Issue::wrong_type("", "object", input)]);
    };
    let mut read = Reader {
        input,
        issues: Vec::new(),
    };
    let spam = read.is_filled("website");

    let org = read.org();
    let mut submission = Submission {
        first_name: read.required("firstName", NAME),
        last_name: read.required("lastName", NAME),
        email: read.email(),
        source: read.source(),
        phone: read.line("phone", PHONE),
        company: read.line("company", NAME),
        job_title: read.line("jobTitle", NAME),
        message: read.lines("message", MESSAGE),
        linkedin_url: read.line("linkedinUrl", ADDRESS),
        source_url: read.line("sourceUrl", ADDRESS),
        utm_source: read.line("utmSource", UTM),
        utm_medium: read.line("utmMedium", UTM),
        utm_campaign: read.line("utmCampaign", UTM),
        utm_term: read.line("utmTerm", UTM),
        utm_content: read.line("utmContent", UTM),
        estimated_value_minor: read.value(),
        custom_fields: read.custom_fields(),
        ..Submission::default()
    };
    for (field, ours) in CLICK_IDS {
        if let Some(id) = read.line(field, UTM) {
            submission.click_ids.insert(ours.into(), id);
        }
    }

    match org {
        // Whoever fills the hidden field is told that all went well, whatever else is wrong.
        Some(org) if spam || read.issues.is_empty() => Ok(Capture {
            org,
            submission,
            spam,
        }),
        _ => Err(read.issues),
    }
}

struct Reader<'a> {
    input: &'a Map<String, Value>,
    issues: Vec<Issue>,
}

impl<'a> Reader<'a> {
    /// The value of a field; null is the same as nothing where the field may be left out.
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.input.get(field).filter(|value| !value.is_null())
    }

    fn is_filled(&self, field: &str) -> bool {
        self.get(field)
            .is_some_and(|value| value.as_str().is_none_or(|text| !text.trim().is_empty()))
    }

    fn org(&mut self) -> Option<OrgId> {
        match self.input.get("orgId") {
            Some(Value::String(text)) => {
                let org = text.trim().parse().ok();
                if org.is_none() {
                    self.issues.push(Issue::invalid_string("orgId", "uuid"));
                }
                org
            }
            found => {
                self.issues
                    .push(Issue::wrong_type("orgId", "string", found));
                None
            }
        }
    }

    fn required(&mut self, field: &'static str, most: usize) -> Option<String> {
        match self.input.get(field) {
            Some(Value::String(_)) => {
                let before = self.issues.len();
                let line = self.line(field, most);
                if line.is_none() && self.issues.len() == before {
                    self.issues.push(Issue::too_short(field, 1));
                }
                line
            }
            found => {
                self.issues.push(Issue::wrong_type(field, "string", found));
                None
            }
        }
    }

    fn email(&mut self) -> Option<String> {
        // A line break inside an address is not a slip to correct but an attack on the head of a mail.
        if let Some(Value::String(raw)) = self.input.get("email")
            && raw.trim().contains(['\r', '\n'])
        {
            self.issues.push(Issue::invalid_string("email", "email"));
            return None;
        }
        let email = self.required("email", EMAIL)?;
        if !normalise::is_email(&email) {
            self.issues.push(Issue::invalid_string("email", "email"));
            return None;
        }
        Some(email)
    }

    fn source(&mut self) -> Option<SourceCategory> {
        let found = match self.get("source") {
            None => return Some(SourceCategory::Website),
            Some(Value::String(text)) => match text.parse() {
                Ok(source) => return Some(source),
                Err(_) => Issue::no_option("source", &source_names(), text),
            },
            found => Issue::wrong_type("source", "string", found),
        };
        self.issues.push(found);
        None
    }

    fn line(&mut self, field: &'static str, most: usize) -> Option<String> {
        self.text(field, most, normalise::one_line)
    }

    fn lines(&mut self, field: &'static str, most: usize) -> Option<String> {
        self.text(field, most, normalise::many_lines)
    }

    fn text(
        &mut self,
        field: &'static str,
        most: usize,
        clean: fn(&str) -> String,
    ) -> Option<String> {
        let found = self.get(field)?;
        let Value::String(raw) = found else {
            self.issues
                .push(Issue::wrong_type(field, "string", Some(found)));
            return None;
        };
        if raw.contains('\0') {
            self.issues.push(Issue::nul(field));
            return None;
        }
        let text = clean(raw);
        if text.chars().nth(most).is_some() {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            self.issues.push(Issue::too_long(field, most));
            return None;
        }
        Some(text).filter(|text| !text.is_empty())
    }

    fn value(&mut self) -> Option<i64> {
        let found = self.get("estimatedValue")?;
        let issue = match found {
            Value::Number(number) => match number.as_i64() {
                Some(value) if value < 0 => Issue::too_small("estimatedValue", 0),
                Some(value) if value <= MOST_VALUE => return Some(value),
                None if number.as_f64().is_some_and(|value| value.fract() != 0.0) => {
                    Issue::no_integer("estimatedValue")
                }
                _ => Issue::too_big("estimatedValue", MOST_VALUE),
            },
            found => Issue::wrong_type("estimatedValue", "number", Some(found)),
        };
        self.issues.push(issue);
        None
    }

    fn custom_fields(&mut self) -> Map<String, Value> {
        let issue = match self.get("customFields") {
            None => return Map::new(),
            Some(Value::Object(fields)) if fields.len() > MOST_CUSTOM_FIELDS => Issue::custom(
                "customFields",
                format!("Must have at most {MOST_CUSTOM_FIELDS} fields"),
            ),
            Some(Value::Object(fields)) => {
                let nul = fields
                    .iter()
                    .find(|(key, value)| key.contains('\0') || normalise::holds_nul(value))
                    .map(|(key, _)| format!("customFields.{}", key.replace('\0', "")));
                match nul {
                    Some(field) => Issue::nul(&field),
                    None => return fields.clone(),
                }
            }
            found => Issue::wrong_type("customFields", "object", found),
        };
        self.issues.push(issue);
        Map::new()
    }
}

fn source_names() -> Vec<&'static str> {
    SourceCategory::ALL
        .iter()
        .map(|source| source.as_str())
        .collect()
}
