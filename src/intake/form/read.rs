//! From posted names and values to a submission, or to what must be mended.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::form::{Form, Question};
use domain::normalise;
use domain::submission::Submission;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::question;
use crate::intake::trpc_capture::{ADDRESS, MESSAGE, NAME, PHONE};
use crate::web::form::Decoded;
use crate::web::problem::FieldError;

/// Names that belong to services in front of forms and never to the lead.
const RESERVED: [&str; 6] = [
    "form-name",
    "bot-field",
    "g-recaptcha-response",
    "h-captcha-response",
    "cf-turnstile-response",
    "redirect",
];
const TRAPS: [&str; 2] = ["_gotcha", "bot-field"];
const CLICK_IDS: [&str; 7] = [
    "gclid",
    "gbraid",
    "wbraid",
    "fbclid",
    "msclkid",
    "li_fat_id",
    "ttclid",
];
const MOST_FIELDS: usize = 200;
const LONGEST_NAME: usize = 200;
const LONGEST_VALUE: usize = 10_000;

/// Where a posted name goes when the form does not say; names are compared without case and punctuation.
const KNOWN_NAMES: [(&str, &[&str]); 12] = [
    ("name", &["name", "fullname", "yourname", "contactname"]),
    (
        "first_name",
        &["firstname", "fname", "givenname", "forename"],
    ),
    ("last_name", &["lastname", "lname", "surname", "familyname"]),
    (
        "email",
        &[
            "email",
            "emailaddress",
            "youremail",
            "mail",
            "workemail",
            "businessemail",
        ],
    ),
    (
        "phone",
        &[
            "phone",
            "phonenumber",
            "tel",
            "telephone",
            "mobile",
            "mobilephone",
            "yourphone",
            "workphone",
        ],
    ),
    (
        "company",
        &[
            "company",
            "companyname",
            "organization",
            "organisation",
            "employer",
        ],
    ),
    ("job_title", &["jobtitle", "title", "position", "jobrole"]),
    (
        "message",
        &[
            "message",
            "yourmessage",
            "comment",
            "comments",
            "enquiry",
            "inquiry",
        ],
    ),
    (
        "linkedin_url",
        &["linkedin", "linkedinurl", "linkedinprofile"],
    ),
    ("website", &["website", "companywebsite", "url", "site"]),
    ("country", &["country", "countrycode"]),
    ("source", &["source", "leadsource"]),
];

/// A post as we understand it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The lead.
    pub submission: Submission,
    /// A field that people do not see was filled.
    pub spam: bool,
    /// Where the page wants the browser to go next; not to be trusted.
    pub next: Option<String>,
    /// The key under which the embed sends one submission, however often.
    pub key: Option<String>,
    /// The same for two posts of the same answers.
    pub fingerprint: String,
}

/// Reads a post to `form`, or names what must be corrected.
pub fn read(
    form: &Form,
    decoded: &Decoded,
    referrer: Option<&str>,
) -> Result<Sent, Vec<FieldError>> {
    let posted = gather(&decoded.fields);
    let honeypot = form.settings.honeypot.as_deref();
    let filled = |name: &str| posted.get(name).is_some_and(|value| !is_empty(value));
    let spam = TRAPS.iter().any(|trap| filled(trap)) || honeypot.is_some_and(filled);
    let page = decoded.page.as_deref().or(referrer);

    let (submission, mut errors) = submission(form, &posted, page);
    let questions = form.questions.iter();
    errors.extend(questions.filter_map(|asked| question::mistake(asked, posted.get(&asked.key))));
    let contact = contact_mistake(&submission, &posted, &form.questions, &errors);
    errors.extend(contact);
    if !errors.is_empty() && !spam {
        return Err(errors);
    }
    Ok(Sent {
        fingerprint: fingerprint(form, &submission),
        submission,
        spam,
        next: ["_next", "_redirect", "redirect"]
            .iter()
            .find_map(|name| line(&posted, name)),
        key: line(&posted, "_key"),
    })
}

/// The lead that a post speaks of, and which of its values cannot be kept.
fn submission(
    form: &Form,
    posted: &BTreeMap<String, Value>,
    page: Option<&str>,
) -> (Submission, Vec<FieldError>) {
    let mut errors = Vec::new();
    let mut submission = Submission::default();
    attribute(&mut submission, page, posted);
    if posted.len() > MOST_FIELDS {
        let message = format!("At most {MOST_FIELDS} fields are taken");
        errors.push(error("", "too_many_fields", message));
    }
    let reserved = |name: &str| {
        name.starts_with('_')
            || RESERVED.contains(&name)
            || form.settings.honeypot.as_deref() == Some(name)
    };
    let answers = posted.iter().filter(|(name, _)| !reserved(name));
    for (name, value) in answers.take(MOST_FIELDS) {
        if let Some(wrong) = unfit(name, value) {
            errors.push(wrong);
            continue;
        }
        submission.answers.insert(name.clone(), value.clone());
        let question = form.questions.iter().find(|question| question.key == *name);
        let place = match question {
            Some(question) => question.maps_to.as_deref(),
            None => known_place(name),
        };
        if let Some(place) = place.filter(|_| !is_empty(value)) {
            errors.extend(too_long(name, place, value));
            put(&mut submission, place, value);
        }
    }
    if submission.email.is_none() {
        submission.email = line(posted, "_replyto");
    }
    (submission, errors)
}

fn line(posted: &BTreeMap<String, Value>, name: &str) -> Option<String> {
    let line = normalise::one_line(&as_text(posted.get(name)?));
    Some(line).filter(|line| !line.is_empty())
}

/// One entry a name; a name posted twice has a list.
fn gather(fields: &[(String, Value)]) -> BTreeMap<String, Value> {
    let mut gathered: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in fields {
        let name = name.strip_suffix("[]").unwrap_or(name);
        match gathered.get_mut(name) {
            None => {
                gathered.insert(name.to_owned(), value.clone());
            }
            Some(Value::Array(values)) => values.push(value.clone()),
            Some(first) => *first = Value::Array(vec![first.take(), value.clone()]),
        }
    }
    gathered
}

/// What keeps a value from being stored at all.
fn unfit(name: &str, value: &Value) -> Option<FieldError> {
    let shown: String = name
        .chars()
        .filter(|c| *c != '\0')
        .take(LONGEST_NAME)
        .collect();
    if name.contains('\0') || normalise::holds_nul(value) {
        return Some(error(&shown, "nul", "Must not contain the NUL character"));
    }
    if name.chars().nth(LONGEST_NAME).is_some() {
        return Some(error(
            &shown,
            "name_too_long",
            format!("A field's name has at most {LONGEST_NAME} characters"),
        ));
    }
    as_text(value).chars().nth(LONGEST_VALUE).map(|_| {
        error(
            &shown,
            "too_long",
            format!("Must be at most {LONGEST_VALUE} characters"),
        )
    })
}

/// A lead that nobody can be found by is no lead; an address that cannot be written to is a slip.
fn contact_mistake(
    submission: &Submission,
    posted: &BTreeMap<String, Value>,
    questions: &[Question],
    so_far: &[FieldError],
) -> Option<FieldError> {
    let email_field = || {
        let asked = questions
            .iter()
            .find(|question| question.maps_to.as_deref() == Some("email"));
        let sent = posted
            .keys()
            .find(|name| known_place(name) == Some("email"));
        asked
            .map(|question| question.key.clone())
            .or(sent.cloned())
            .unwrap_or_else(|| "email".into())
    };
    if let Some(email) = &submission.email {
        let field = email_field();
        let told = so_far.iter().any(|error| error.field == field);
        return (!told && !normalise::is_email(email))
            .then(|| error(&field, "invalid_email", "Must be an e-mail address"));
    }
    let reachable = [
        &submission.phone,
        &submission.linkedin_url,
        &submission.name,
        &submission.first_name,
        &submission.last_name,
    ];
    let found = reachable.iter().any(|field| field.is_some());
    (!found && so_far.is_empty())
        .then(|| error(&email_field(), "required", "An e-mail address is needed"))
}

/// The field of the lead that a name nobody described goes to.
fn known_place(name: &str) -> Option<&'static str> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let known = KNOWN_NAMES
        .iter()
        .find(|(_, names)| names.contains(&plain.as_str()));
    known.map(|(place, _)| *place)
}

/// A field of the lead takes no more from a form than from a program.
fn too_long(name: &str, place: &str, value: &Value) -> Option<FieldError> {
    let most = match place {
        "name" | "first_name" | "last_name" | "company" | "company_name" | "job_title" => NAME,
        "phone" => PHONE,
        "linkedin_url" | "website" | "source_url" => ADDRESS,
        "message" => MESSAGE,
        _ => return None,
    };
    let long = as_text(value).trim().chars().nth(most).is_some();
    long.then(|| {
        error(
            name,
            "too_long",
            format!("Must be at most {most} characters"),
        )
    })
}

/// Writes a value to its place; a place that does not exist leaves it among the answers.
fn put(submission: &mut Submission, place: &str, value: &Value) {
    if let Some(key) = place.strip_prefix("custom_fields.") {
        submission
            .custom_fields
            .insert(key.to_owned(), value.clone());
        return;
    }
    let whole = as_text(value);
    let line = normalise::one_line(&whole);
    let field = match place {
        "name" => &mut submission.name,
        "first_name" => &mut submission.first_name,
        "last_name" => &mut submission.last_name,
        // Left as sent: an address with a line break in it must fail the check, not be mended into one.
        "email" => return submission.email = Some(whole.trim().to_owned()),
        "phone" => &mut submission.phone,
        "company" | "company_name" => &mut submission.company,
        "job_title" => &mut submission.job_title,
        "linkedin_url" => &mut submission.linkedin_url,
        "website" => &mut submission.website,
        "source_url" => &mut submission.source_url,
        "message" => return submission.message = Some(normalise::many_lines(&whole)),
        "country" if line.len() == 2 && line.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            return submission.country = Some(line.to_ascii_uppercase());
        }
        "source" => return submission.source = line.parse().ok().or(submission.source),
        _ => return,
    };
    *field = Some(line);
}

/// Campaign and click ids from the page's address, overridden by fields of the same names.
fn attribute(submission: &mut Submission, page: Option<&str>, posted: &BTreeMap<String, Value>) {
    let page = page
        .map(normalise::one_line)
        .and_then(|page| url::Url::parse(&page).ok());
    let query: BTreeMap<String, String> = page
        .iter()
        .flat_map(|page| page.query_pairs().into_owned())
        .collect();
    let value = |name: &str| {
        let hidden = posted.get(name).map(as_text);
        let found = hidden
            .or_else(|| query.get(name).cloned())?
            .replace('\0', "");
        let found: String = normalise::one_line(&found).chars().take(500).collect();
        Some(found).filter(|found| !found.is_empty())
    };
    submission.utm_source = value("utm_source");
    submission.utm_medium = value("utm_medium");
    submission.utm_campaign = value("utm_campaign");
    submission.utm_term = value("utm_term");
    submission.utm_content = value("utm_content");
    for name in CLICK_IDS {
        if let Some(id) = value(name) {
            submission.click_ids.insert(name.into(), id);
        }
    }
    submission.source_url = page.map(|page| String::from(page).chars().take(2_000).collect());
}

fn fingerprint(form: &Form, submission: &Submission) -> String {
    let who = submission
        .email
        .as_deref()
        .or(submission.phone.as_deref())
        .unwrap_or_default();
    let sorted: BTreeMap<&String, &Value> = submission.answers.iter().collect();
    let text = format!(
        "{}\n{}\n{}",
        form.id,
        who.to_lowercase(),
        serde_json::json!(sorted)
    );
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

pub(super) fn error(field: &str, code: &'static str, message: impl Into<String>) -> FieldError {
    FieldError {
        field: field.into(),
        code: code.into(),
        message: message.into(),
    }
}

pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(as_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.iter().all(is_empty),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// What was posted, for showing the form again.
pub fn values(decoded: &Decoded) -> Map<String, Value> {
    let shown = |(name, value): (String, Value)| {
        (!name.starts_with('_')).then(|| (name, as_text(&value).into()))
    };
    gather(&decoded.fields)
        .into_iter()
        .filter_map(shown)
        .collect()
}
