//! What an answer means, and until when a provider that wants rest is left alone.

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::Timestamp;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Format, Named, Pause, ProviderConfig, Rule, Until};
use super::facts::Told;
use super::{Failure, Fetched};

/// How long to leave a provider alone that asks for it and does not say how long.
const RATE_LIMITED: TimeDelta = TimeDelta::minutes(1);
/// How long to leave a provider alone whose credits are used up.
const OUT_OF_CREDITS: TimeDelta = TimeDelta::hours(1);
/// How long until a provider is asked again for what it is still looking for.
const PENDING: TimeDelta = TimeDelta::seconds(30);
/// Answers below 500 that no rule names and that may be another the next time: request timeout, too early.
const MAY_PASS: [u16; 2] = [408, 425];
/// Longest time a provider is left alone, whatever it says.
const LONGEST: TimeDelta = TimeDelta::days(7);

/// The classes of answers, as a rule names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Class {
    Matched,
    NotFound,
    Pending,
    RateLimited,
    OutOfCredits,
    AuthError,
    InvalidInput,
    Blocked,
    Error,
    /// An error that asking again does not mend.
    Refused,
}

/// What a provider said about a lead.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It knows the lead.
    Matched(Box<Told>),
    /// It does not.
    NotFound,
    /// It is still looking; ask the same again from then on.
    Pending {
        /// When.
        until: Timestamp,
    },
    /// It wants rest.
    RateLimited {
        /// Until when.
        until: Timestamp,
    },
    /// It wants money.
    OutOfCredits {
        /// Until when not to try.
        until: Timestamp,
    },
    /// It does not accept our key.
    AuthError,
    /// It does not understand the question.
    InvalidInput,
    /// The person does not want to be looked up.
    Blocked,
    /// Nothing useful was heard.
    Error {
        /// What happened.
        why: String,
        /// Asking again may help.
        retryable: bool,
    },
}

/// An answer with what it came as.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What it means.
    pub answer: Answer,
    /// Its HTTP status, if there was one.
    pub status: Option<u16>,
    /// Its body, if it was JSON.
    pub body: Option<Value>,
}

impl Reply {
    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            answer: Answer::Error {
                why: failure.why,
                retryable: failure.retryable,
            },
            status: None,
            body: None,
        }
    }
}

impl ProviderConfig {
    /// What a cached answer says now: the map may have changed since it was given.
    pub fn reread(&self, body: Option<&Value>) -> Told {
        Told::read(&self.map, body, &HeaderMap::new())
    }

    pub(super) fn read(&self, fetched: Fetched, now: Timestamp) -> Reply {
        let body = fetched.body.as_ref();
        let rule = self
            .outcome
            .iter()
            .find(|rule| rule.fits(fetched.status, body));
        let answer = match rule {
            Some(rule) => self.apply(rule, &fetched, now),
            None => Answer::Error {
                why: format!("HTTP {}", fetched.status),
                retryable: fetched.status >= 500 || MAY_PASS.contains(&fetched.status),
            },
        };
        Reply {
            answer,
            status: Some(fetched.status),
            body: fetched.body,
        }
    }

    fn apply(&self, rule: &Rule, fetched: &Fetched, now: Timestamp) -> Answer {
        let until = |default: TimeDelta| rule.until(fetched, now, default);
        match rule.is {
            Class::Matched => {
                let told = Told::read(&self.map, fetched.body.as_ref(), &fetched.headers);
                Answer::Matched(Box::new(told))
            }
            Class::NotFound => Answer::NotFound,
            Class::Pending => Answer::Pending {
                until: until(PENDING),
            },
            Class::RateLimited => Answer::RateLimited {
                until: until(RATE_LIMITED),
            },
            Class::OutOfCredits => Answer::OutOfCredits {
                until: until(OUT_OF_CREDITS),
            },
            Class::AuthError => Answer::AuthError,
            Class::InvalidInput => Answer::InvalidInput,
            Class::Blocked => Answer::Blocked,
            Class::Error | Class::Refused => Answer::Error {
                why: format!("HTTP {}", fetched.status),
                retryable: rule.is == Class::Error,
            },
        }
    }
}

impl Rule {
    fn fits(&self, status: u16, body: Option<&Value>) -> bool {
        let holds = match &self.when {
            None => true,
            Some(when) => body.is_some_and(|body| when.holds(body)),
        };
        self.status.fits(status) && holds
    }

    fn until(&self, fetched: &Fetched, now: Timestamp, default: TimeDelta) -> Timestamp {
        let said = self.until.iter().find_map(|until| until.read(fetched, now));
        let default = match self.pause {
            Some(Pause(seconds)) => TimeDelta::seconds(seconds.into()),
            None => default,
        };
        let wait = said.map_or(default, |said| said - now);
        now + wait.clamp(TimeDelta::seconds(1), LONGEST)
    }
}

impl Until {
    fn read(&self, fetched: &Fetched, now: Timestamp) -> Option<Timestamp> {
        let text = match &self.place {
            Named::Header(name) => fetched.headers.get(name)?.to_str().ok()?.to_owned(),
            Named::Path(path) => match path.find(fetched.body.as_ref()?)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        };
        let text = text.trim();
        let number = || {
            text.parse::<f64>()
                .ok()
                .filter(|n| n.is_finite() && n.abs() < 1e11)
        };
        // Whole milliseconds are enough for everybody.
        let seconds = |n: f64| TimeDelta::milliseconds((n * 1_000.0) as i64);
        match self.format {
            Format::Seconds => now.checked_add_signed(seconds(number()?)),
            Format::Unix => DateTime::UNIX_EPOCH.checked_add_signed(seconds(number()?)),
            Format::Iso8601 => iso8601(text),
            Format::RetryAfter => match number() {
                Some(n) => now.checked_add_signed(seconds(n)),
                None => DateTime::parse_from_rfc2822(text)
                    .ok()
                    .map(|at| at.to_utc()),
            },
        }
    }
}

/// With a zone, or in UTC without one.
fn iso8601(text: &str) -> Option<Timestamp> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let bare = || {
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
        let parse = |form| chrono::NaiveDateTime::parse_from_str(text, form).ok();
        forms
            .into_iter()
            .find_map(parse)
            .map(|at| at.and_local_timezone(Utc))
    };
    zoned.ok().or_else(|| bare()?.single())
}
