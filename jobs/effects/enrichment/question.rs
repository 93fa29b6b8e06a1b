//! A provider's question about one lead: made from the lead's fields, secrets left out until it is put.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use super::config::{ProviderConfig, RequestConfig, Verb};

/// What may be told about a lead, by the names that a provider's question uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About(BTreeMap<&'static str, String>);

/// The names a question may use.
pub(super) const FIELDS: [&str; 11] = [
    "email",
    "name",
    "first_name",
    "last_name",
    "phone",
    "company",
    "domain",
    "job_title",
    "linkedin_url",
    "website",
    "country",
];

/// A question ready to be put.
#[derive(Debug, Clone)]
pub struct Question {
    method: Method,
    url: Url,
    headers: Vec<(String, Text)>,
    query: Vec<(String, Text)>,
    body: Option<Body>,
}

/// Why there is nothing to ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unasked {
    /// The lead lacks what the provider needs.
    #[error("the lead has no {0}")]
    Lacks(String),
    /// The provider's address cannot be filled.
    #[error("the address of the provider is not one")]
    Address,
}

/// Text with holes in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole {
        of: Of,
        name: String,
        optional: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Lead,
    Secret,
}

/// JSON whose texts have holes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Body {
    Text(Text),
    Object(BTreeMap<String, Body>),
    List(Vec<Body>),
    Other(Value),
}

/// What goes over the wire.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, SecretString)>,
    pub(super) body: Option<Value>,
}

/// Why a text with holes is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: a hole is {{{{lead.x}}}}, {{{{lead.x?}}}} or {{{{secret.x}}}}, where x of a lead is one of {names}", names = FIELDS.join(", "))]
pub(super) struct NoText(String);

impl About {
    /// With one more thing; nothing if it is empty.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        debug_assert!(FIELDS.contains(&name), "no question uses {name}");
        if let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) {
            self.0.insert(name, value.to_owned());
        }
        self
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl ProviderConfig {
    /// The question about a lead, or why there is none.
    pub fn question(&self, about: &About) -> Result<Question, Unasked> {
        let request: &RequestConfig = &self.request;
        for need in &request.requires {
            let names = need
                .split('|')
                .map(|name| name.trim().trim_start_matches("lead."));
            if names.clone().all(|name| about.get(name).is_empty()) {
                return Err(Unasked::Lacks(names.collect::<Vec<_>>().join(" or ")));
            }
        }
        let address = request.url.filled(about, percent_encoded)?;
        let url = Url::parse(&address.plain()).map_err(|_| Unasked::Address)?;
        let pairs = |templates: &BTreeMap<String, Text>| -> Result<Vec<(String, Text)>, Unasked> {
            let mut pairs = Vec::new();
            for (name, text) in templates {
                if request.omit_empty && text.has_only_empty_holes(about) {
                    continue;
                }
                pairs.push((name.clone(), text.filled(about, str::to_owned)?));
            }
            Ok(pairs)
        };
        let body = match &request.body {
            Some(body) => body.filled(about, request.omit_empty)?,
            None => None,
        };
        Ok(Question {
            method: match request.method {
                Verb::Get => Method::GET,
                Verb::Post => Method::POST,
            },
            url,
            headers: pairs(&request.headers)?,
            query: pairs(&request.query)?,
            body,
        })
    }
}

impl Question {
    /// The same for the same question; no secret has a part in it.
    pub fn hash(&self) -> [u8; 32] {
        let canonical = serde_json::json!([
            self.method.as_str(),
            self.url.as_str(),
            self.headers,
            self.query,
            self.body,
        ]);
        Sha256::digest(canonical.to_string()).into()
    }

    /// The request, secrets filled in; what only has holes for secrets that are not set is left out.
    pub(super) fn with_secrets(&self, secrets: &BTreeMap<String, SecretString>) -> Request {
        let opened = |text: &Text| text.opened(secrets);
        let mut url = self.url.clone();
        let query: Vec<_> = self
            .query
            .iter()
            .filter_map(|(name, text)| Some((name, opened(text)?)))
            .collect();
        if !query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &query {
                pairs.append_pair(name, value.expose_secret());
            }
        }
        Request {
            method: self.method.clone(),
            url,
            headers: self
                .headers
                .iter()
                .filter_map(|(name, text)| Some((name.clone(), opened(text)?)))
                .collect(),
            body: self.body.as_ref().and_then(|body| body.opened(secrets)),
        }
    }
}

impl Text {
    /// With the lead's holes filled; what a lead wrote never becomes a hole itself.
    fn filled(&self, about: &About, write: impl Fn(&str) -> String) -> Result<Self, Unasked> {
        let mut parts = Vec::new();
        for part in &self.0 {
            parts.push(match part {
                Part::Hole {
                    of: Of::Lead,
                    name,
                    optional,
                } => match about.get(name) {
                    "" if !optional => return Err(Unasked::Lacks(name.clone())),
                    value => Part::Text(write(value)),
                },
                other => other.clone(),
            });
        }
        Ok(Self(parts))
    }

    /// Has holes for a lead, and nothing to fill them with.
    fn has_only_empty_holes(&self, about: &About) -> bool {
        let mut names = self.0.iter().filter_map(|part| match part {
            Part::Hole {
                of: Of::Lead, name, ..
            } => Some(name),
            _ => None,
        });
        let mut any = false;
        let empty = names.all(|name| {
            any = true;
            about.get(name).is_empty()
        });
        any && empty
    }

    /// The text without its holes.
    fn plain(&self) -> String {
        let texts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Hole { .. } => "",
        });
        texts.collect()
    }

    /// The text with its secrets, unless it has holes for secrets and all are empty.
    fn opened(&self, secrets: &BTreeMap<String, SecretString>) -> Option<SecretString> {
        let mut text = String::new();
        let mut holes = 0;
        let mut filled = 0;
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Hole { name, .. } => {
                    holes += 1;
                    let secret = secrets
                        .get(name)
                        .map_or("", |secret| secret.expose_secret());
                    filled += usize::from(!secret.is_empty());
                    text.push_str(secret);
                }
            }
        }
        (holes == 0 || filled > 0).then(|| text.into())
    }

    /// The secrets it has holes for that must be set.
    pub(super) fn needed_secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Hole {
                of: Of::Secret,
                name,
                optional: false,
            } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Has a hole for a secret.
    pub(super) fn holds_secret(&self) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, Part::Hole { of: Of::Secret, .. }))
    }

    /// A text without holes.
    pub(super) fn constant(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl Body {
    fn filled(&self, about: &About, omit_empty: bool) -> Result<Option<Self>, Unasked> {
        Ok(Some(match self {
            Self::Text(text) if omit_empty && text.has_only_empty_holes(about) => return Ok(None),
            Self::Text(text) => Self::Text(text.filled(about, str::to_owned)?),
            Self::Object(fields) => {
                let mut filled = BTreeMap::new();
                for (name, field) in fields {
                    if let Some(field) = field.filled(about, omit_empty)? {
                        filled.insert(name.clone(), field);
                    }
                }
                Self::Object(filled)
            }
            Self::List(items) => {
                let mut filled = Vec::new();
                for item in items {
                    filled.extend(item.filled(about, omit_empty)?);
                }
                Self::List(filled)
            }
            Self::Other(value) => Self::Other(value.clone()),
        }))
    }

    fn opened(&self, secrets: &BTreeMap<String, SecretString>) -> Option<Value> {
        Some(match self {
            Self::Text(text) => Value::String(text.opened(secrets)?.expose_secret().to_owned()),
            Self::Object(fields) => {
                let fields = fields
                    .iter()
                    .filter_map(|(name, field)| Some((name.clone(), field.opened(secrets)?)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            Self::List(items) => Value::Array(
                items
                    .iter()
                    .filter_map(|item| item.opened(secrets))
                    .collect(),
            ),
            Self::Other(value) => value.clone(),
        })
    }
}

fn percent_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl TryFrom<String> for Text {
    type Error = NoText;

    fn try_from(text: String) -> Result<Self, NoText> {
        let wrong = || NoText(text.clone());
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (hole, left) = after.split_once("}}").ok_or_else(wrong)?;
            rest = left;
            let (of, name) = hole.trim().split_once('.').ok_or_else(wrong)?;
            let optional = name.ends_with('?');
            let name = name.trim_end_matches('?').to_owned();
            let of = match of {
                "lead" if FIELDS.contains(&name.as_str()) => Of::Lead,
                "secret" if !name.is_empty() => Of::Secret,
                _ => return Err(wrong()),
            };
            parts.push(Part::Hole { of, name, optional });
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.to_string()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Hole { of, name, optional } => {
                    let of = match of {
                        Of::Lead => "lead",
                        Of::Secret => "secret",
                    };
                    write!(f, "{{{{{of}.{name}{}}}}}", if *optional { "?" } else { "" })?;
                }
            }
        }
        Ok(())
    }
}
