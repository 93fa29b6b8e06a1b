//! How a provider is asked and understood, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::answer::Class;
use super::facts::{self, TARGETS};
use super::path::{Condition, Path};
use super::presets;
use super::question::{Body, Text};

/// Everything there is to know about a provider but its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// How it is reached; there is one way so far.
    #[serde(default)]
    pub(super) kind: Kind,
    /// How the question is put.
    pub(super) request: RequestConfig,
    /// What an answer means: the first rule that fits.
    pub(super) outcome: Vec<Rule>,
    /// Where the facts are: ours by theirs.
    #[serde(default)]
    pub(super) map: BTreeMap<String, Place>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    #[default]
    Http,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestConfig {
    #[serde(default)]
    pub(super) method: Verb,
    pub(super) url: Text,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) query: BTreeMap<String, Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Body>,
    /// What a lead must have to be asked about: `lead.email|lead.linkedin_url` is either.
    #[serde(default)]
    pub(super) requires: Vec<String>,
    /// Leave out what there is nothing to say about.
    #[serde(default)]
    pub(super) omit_empty: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verb {
    #[default]
    Get,
    Post,
}

/// What one kind of answer means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<Condition>,
    pub(super) is: Class,
    /// How long to leave the provider alone, when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pause: Option<Pause>,
    /// Where it says until when; each is looked at in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) until: Vec<Until>,
}

/// `404`, or `"5xx"` for all of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub(super) enum Status {
    One(u16),
    Hundred(u16),
}

/// `30s`, `15m`, `1h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Pause(pub(super) u32);

/// Where an answer says when to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Until {
    #[serde(flatten)]
    pub(super) place: Named,
    /// How it is written.
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// Seconds from now.
    Seconds,
    /// Seconds since 1970.
    Unix,
    /// A date with time and zone.
    Iso8601,
    /// Seconds from now or an HTTP date, as in Retry-After.
    RetryAfter,
}

/// A header, or a path in the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Named {
    Header(String),
    Path(Path),
}

/// The same, where a bare text is a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Place {
    Path(Path),
    Named(Named),
}

/// Why a provider's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not one.
    #[error("config: {0}")]
    Shape(#[from] serde_json::Error),
    /// A preset that there is not.
    #[error("preset: none is called {0:?}; write one of {known}", known = presets::preset_names().collect::<Vec<_>>().join(", "))]
    Preset(String),
    /// An address that is none.
    #[error("{field}: {text:?} is not a web address; write it as https://api.example.com/people")]
    Address {
        /// The field that holds it.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// A fact that a lead does not have.
    #[error("map: a lead has no fact {0:?}; write one of {known}", known = TARGETS.join(", "))]
    Target(String),
    /// A secret where it would be written down.
    #[error("request.url must not hold a secret: put it in a header")]
    SecretInAddress,
    /// Nothing an answer could mean.
    #[error(
        "outcome: it is empty, so no answer would mean anything; add rules such as {{\"status\": 200, \"is\": \"matched\"}}"
    )]
    NoRules,
}

/// What the database keeps: a whole configuration, or a preset by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    preset: String,
    /// Where to ask instead of the preset's own address; its path stays.
    base_url: Option<String>,
}

impl ProviderConfig {
    /// Reads a configuration: a whole one, or `{"preset": "pdl"}`.
    pub fn parse(config: &Value) -> Result<Self, ConfigError> {
        let parsed = if config.get("preset").is_some() {
            let preset = Preset::deserialize(config)?;
            let mut parsed = presets::preset(&preset.preset)?;
            if let Some(base) = preset.base_url {
                parsed.move_to(&base)?;
            }
            parsed
        } else {
            Self::deserialize(config)?
        };
        parsed.checked()
    }

    /// The protocol of the preset `generic`, spoken at `url`.
    pub fn generic(url: &str) -> Result<Self, ConfigError> {
        Url::parse(url).map_err(|_| ConfigError::Address {
            field: "url",
            text: url.to_owned(),
        })?;
        let mut config = presets::preset("generic")?;
        config.request.url = Text::constant(url);
        config.checked()
    }

    /// The secrets without which it cannot be asked.
    pub fn needed_secrets(&self) -> impl Iterator<Item = &str> {
        let request = &self.request;
        let texts = request.headers.values().chain(request.query.values());
        texts.flat_map(Text::needed_secrets)
    }

    fn move_to(&mut self, base: &str) -> Result<(), ConfigError> {
        let wrong = || ConfigError::Address {
            field: "base_url",
            text: base.to_owned(),
        };
        let base = Url::parse(base).map_err(|_| wrong())?;
        let own = self.request.url.to_string();
        // Everything behind the host stays as it is, holes included.
        let after_scheme = own.split_once("://").map_or("", |(_, rest)| rest);
        let rest = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
        let moved = format!("{}{rest}", base.as_str().trim_end_matches('/'));
        self.request.url = Text::try_from(moved).map_err(|_| wrong())?;
        Ok(())
    }

    fn checked(self) -> Result<Self, ConfigError> {
        if self.request.url.holds_secret() {
            return Err(ConfigError::SecretInAddress);
        }
        if self.outcome.is_empty() {
            return Err(ConfigError::NoRules);
        }
        if let Some(wrong) = self.map.keys().find(|name| !facts::is_target(name)) {
            return Err(ConfigError::Target(wrong.clone()));
        }
        Ok(self)
    }
}

impl Status {
    pub(super) fn fits(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Hundred(hundred) => hundred == status / 100,
        }
    }
}

impl TryFrom<Value> for Status {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let one = value.as_u64().and_then(|status| u16::try_from(status).ok());
        if let Some(one) = one.filter(|status| (100..600).contains(status)) {
            return Ok(Self::One(one));
        }
        let hundred = value.as_str().and_then(|text| text.strip_suffix("xx"));
        let hundred = hundred.and_then(|text| text.parse().ok());
        match hundred {
            Some(hundred @ 1..=5) => Ok(Self::Hundred(hundred)),
            _ => Err(format!("{value} is neither a status nor one like \"5xx\"")),
        }
    }
}

impl From<Status> for Value {
    fn from(status: Status) -> Self {
        match status {
            Status::One(one) => one.into(),
            Status::Hundred(hundred) => format!("{hundred}xx").into(),
        }
    }
}

impl TryFrom<String> for Pause {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time like 30s, 15m, 1h or 2d");
        let (number, unit) = text
            .split_at_checked(text.len().saturating_sub(1))
            .ok_or_else(wrong)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let number: u32 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(seconds).map(Self).ok_or_else(wrong)
    }
}

impl From<Pause> for String {
    fn from(pause: Pause) -> Self {
        format!("{}s", pause.0)
    }
}
