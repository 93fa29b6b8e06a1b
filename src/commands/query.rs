//! Read what a caller asks of a list: every mistake by its parameter, all at once.

use domain::clock::Timestamp;
use domain::id::{LeadId, UserId};
use domain::store::lead_pages::{Filter, Origin};
use queue::admin::Cursor;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::Refused;
use super::instant;
use crate::web::cursor;
use crate::web::problem::FieldError;

/// Entries of a page when nobody asks for more or fewer.
const USUAL: usize = 50;
/// Most entries on a page.
const MOST: usize = 200;
/// Most pages that can be reached by number.
const MOST_PAGES: usize = 1_000;

/// Names and values of a query, read one by one.
pub struct Parameters {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
    /// Whether a parameter that nobody takes is a mistake.
    strict: bool,
}

impl Parameters {
    /// The parameters of a query string.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self {
            pairs: Vec::new(),
            errors: Vec::new(),
            strict: true,
        };
        for pair in query.split('&') {
            for (name, value) in url::form_urlencoded::parse(pair.as_bytes()).into_owned() {
                if percent_encoding::percent_decode_str(pair)
                    .decode_utf8()
                    .is_ok()
                {
                    parsed.pairs.push((name, value));
                } else {
                    parsed.refuse(&name, "not_utf8", "Must be UTF-8".into());
                }
            }
        }
        parsed
    }

    /// The parameters of an input object; names that nobody takes are left out, as zod does.
    pub fn of(fields: &Map<String, Value>) -> Self {
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let mut pairs = Vec::new();
        for (name, value) in fields {
            match value {
                Value::Null => {}
                Value::Array(values) => {
                    pairs.extend(values.iter().map(|value| (name.clone(), text(value))))
                }
                value => pairs.push((name.clone(), text(value))),
            }
        }
        Self {
            pairs,
            errors: Vec::new(),
            strict: false,
        }
    }

    /// Takes all values of a parameter out; empty ones count as not given.
    fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = self.pairs.drain(..).partition(|(key, _)| key == name);
        self.pairs = rest;
        let taken: Vec<(String, String)> = taken;
        taken
            .into_iter()
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
            .collect()
    }

    fn take<T>(&mut self, name: &str, what: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.take_all(name).pop()?;
        let value = read(&text);
        if value.is_none() {
            self.refuse(name, "invalid", format!("Must be {what}"));
        }
        value
    }

    /// A value of which `what` says how it is written.
    pub fn parsed<T: std::str::FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        self.take(name, what, |text| text.parse().ok())
    }

    /// Some text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, "text", |text| {
            (!text.contains('\0')).then(|| text.to_owned())
        })
    }

    /// Whether a switch is on.
    pub fn flag(&mut self, name: &str) -> bool {
        self.parsed(name, "true or false").unwrap_or_default()
    }

    /// A day, which is meant from its first instant on, or an instant.
    pub fn instant(&mut self, name: &str) -> Option<Timestamp> {
        self.take(name, &a_day_or_an_instant(), instant::start_of)
    }

    fn refuse(&mut self, name: &str, code: &'static str, message: String) {
        self.errors.push(FieldError {
            field: name.chars().take(100).collect(),
            code: code.into(),
            message,
        });
    }

    /// How many entries a page is to have.
    pub fn limit(&mut self) -> usize {
        let what = format!("a number from 1 to {MOST}");
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        self.take("limit", &what, read).unwrap_or(USUAL)
    }

    /// Behind which entry the page begins.
    pub fn cursor<T: DeserializeOwned>(&mut self) -> Option<T> {
        self.take("cursor", "the `next` of another page", |text| {
            cursor::decode(text)
        })
    }

    /// The same in a list by time.
    pub fn moment<I: DeserializeOwned>(&mut self) -> Option<(Timestamp, I)> {
        self.take("cursor", "the `next` of another page", |text| {
            let (at, id) = cursor::decode(text)?;
            Some((instant::in_reach(at)?, id))
        })
    }

    /// The same in a list of jobs.
    pub fn job(&mut self) -> Option<Cursor> {
        self.take("cursor", "the `next` of another page", job_cursor)
    }

    /// Every mistake, those of parameters that nobody took included.
    pub fn finish(mut self) -> Result<(), Refused> {
        let left = std::mem::take(&mut self.pairs);
        if self.strict {
            for (name, _) in left {
                self.refuse(
                    &name,
                    "unknown_parameter",
                    "There is no such parameter".into(),
                );
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Refused::Invalid(self.errors))
        }
    }
}

/// The place in a list of jobs that a page of it named as its `next`.
pub fn job_cursor(text: &str) -> Option<Cursor> {
    let cursor: Cursor = cursor::decode(text)?;
    instant::in_reach(cursor.at).map(|_| cursor)
}

/// Which leads, and how many.
#[derive(Debug)]
pub struct LeadQuery {
    /// Which.
    pub filter: Filter,
    /// How many a page.
    pub limit: usize,
    /// Which page, for callers that count them.
    pub page: usize,
}

impl LeadQuery {
    /// Reads a query string; `me` is whose work the caller does.
    pub fn read(query: &str, me: Option<UserId>) -> Result<Self, Refused> {
        Self::of(Parameters::parse(query), me)
    }

    /// Reads parameters; `me` is whose work the caller does.
    pub fn of(mut given: Parameters, me: Option<UserId>) -> Result<Self, Refused> {
        let statuses = given.take_all("status");
        let mut filter = Filter {
            origin: given.take("source", "a source or a capture channel", |text| {
                let source = text.parse().ok().map(Origin::Source);
                source.or_else(|| text.parse().ok().map(Origin::Channel))
            }),
            stage: given.parsed("stage_id", "an id"),
            assigned_to: given.parsed("assigned_to", "an id"),
            band: given.parsed("band", "cold, warm or hot"),
            score_min: given.parsed("score_min", "a number"),
            score_max: given.parsed("score_max", "a number"),
            from: given.instant("date_from"),
            to: given.take("date_to", &a_day_or_an_instant(), instant::end_of),
            contacted_before: given.instant("last_contacted_before"),
            never_contacted: given
                .parsed("never_contacted", "true or false")
                .unwrap_or_default(),
            follow_up_by: given.instant("follow_up_by"),
            tags: [given.take_all("tag"), given.take_all("tags")].concat(),
            words: given.text("q"),
            after: given.moment::<LeadId>(),
            ..Filter::default()
        };
        for status in statuses {
            match status.parse() {
                Ok(status) => filter.statuses.push(status),
                Err(_) => given.refuse("status", "invalid", "Must be a status".into()),
            }
        }
        if given.flag("assigned_to_me") {
            match me {
                Some(me) => filter.assigned_to = Some(me),
                None => given.refuse(
                    "assigned_to_me",
                    "nobody",
                    "This key acts for nobody".into(),
                ),
            }
        }
        let limit = given.limit();
        let read = |text: &str| {
            text.parse()
                .ok()
                .filter(|page| (1..=MOST_PAGES).contains(page))
        };
        let page = given
            .take("page", "a number from 1; use `cursor` to go far", read)
            .unwrap_or(1);
        filter.skip = i64::try_from((page - 1) * limit).unwrap_or_default();
        given.finish()?;
        Ok(Self {
            filter,
            limit,
            page,
        })
    }
}

fn a_day_or_an_instant() -> String {
    format!("a day or an instant such as {}", instant::EXAMPLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_parameter_is_named() {
        let query = "status=newish&source=x&stage_id=1&band=mild&score_min=x&date_from=x&limit=0&cursor=x&assigned_to_me=true&pgae=2";
        let Err(Refused::Invalid(errors)) = LeadQuery::read(query, None) else {
            panic!("should have been refused");
        };
        let mut named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        named.sort_unstable();
        assert_eq!(
            named,
            [
                "assigned_to_me",
                "band",
                "cursor",
                "date_from",
                "limit",
                "pgae",
                "score_min",
                "source",
                "stage_id",
                "status"
            ]
        );
    }

    #[test]
    fn what_is_no_text_is_named_and_not_mended() {
        for bad in ["q=a%ff", "q=%C3", "q%ff=1"] {
            let Err(Refused::Invalid(errors)) = LeadQuery::read(bad, None) else {
                panic!("{bad} should have been refused");
            };
            assert_eq!(errors[0].code, "not_utf8", "{bad}");
        }
        let fine = LeadQuery::read("q=%C3%A9+%EF%BF%BD%25&status=new&", None).unwrap();
        assert_eq!(fine.filter.words.as_deref(), Some("é \u{fffd}%"));
    }

    #[test]
    fn a_last_day_counts_with_all_its_hours() {
        let read = LeadQuery::read(
            "date_from=2030-01-01&date_to=2030-01-31&status=new&status=won&limit=7",
            None,
        )
        .unwrap();
        assert_eq!(
            read.filter.from.unwrap().to_rfc3339(),
            "2030-01-01T00:00:00+00:00"
        );
        assert_eq!(
            read.filter.to.unwrap().to_rfc3339(),
            "2030-02-01T00:00:00+00:00"
        );
        assert_eq!((read.filter.statuses.len(), read.limit), (2, 7));
    }
}
