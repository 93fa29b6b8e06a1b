//! What an answer means for a lead, and what all answers come to.

use chrono::TimeDelta;
use domain::clock::Timestamp;
use domain::enrichment::{Facts, Outcome as Said};
use domain::store::enrichment::Answered;

use crate::effects::enrichment::{Answer, Reply};

/// A provider that refuses our key is left alone until somebody may have mended it.
const REFUSED: TimeDelta = TimeDelta::hours(1);

/// What one provider came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// It knows the lead.
    Known(Box<Facts>),
    /// It does not.
    Unknown,
    /// The person does not want to be looked up, by whomever.
    Objected,
    /// The lead lacks what it needs to be asked.
    Unasked,
    /// It cannot be asked, and asking again does not mend it.
    Failed(Said),
    /// It may answer from then on.
    Later {
        /// When.
        until: Timestamp,
        /// What went wrong, if something did.
        retry: Option<String>,
    },
}

/// An answer, read.
#[derive(Debug)]
pub(super) struct Read {
    /// What it means for the lead.
    pub(super) finding: Finding,
    /// How it is remembered; none: the answer is to follow.
    pub(super) said: Option<Said>,
    /// The provider is left alone until then, and why.
    pub(super) pause: Option<(Timestamp, &'static str)>,
    /// Somebody must mend something; what, in words.
    pub(super) refused: Option<&'static str>,
    error: Option<String>,
    likelihood: Option<f64>,
    credits: Option<f64>,
}

impl Read {
    fn of(finding: Finding, said: Option<Said>) -> Self {
        Self {
            finding,
            said,
            pause: None,
            refused: None,
            error: None,
            likelihood: None,
            credits: None,
        }
    }

    /// What the history of questions keeps.
    pub(super) fn answered<'a>(&'a self, reply: &'a Reply) -> Answered<'a> {
        Answered {
            http_status: reply.status,
            response: reply.body.as_ref(),
            error: self.error.as_deref(),
            likelihood: self.likelihood,
            credits: self.credits,
        }
    }
}

/// Reads an answer that came at `now`.
pub(super) fn read(reply: &Reply, now: Timestamp) -> Read {
    let later = |until| Finding::Later { until, retry: None };
    match &reply.answer {
        Answer::Matched(told) => Read {
            likelihood: told.likelihood,
            credits: told.credits,
            ..Read::of(
                Finding::Known(Box::new(told.facts.clone())),
                Some(Said::Matched),
            )
        },
        Answer::NotFound => Read::of(Finding::Unknown, Some(Said::NotFound)),
        Answer::Pending { until } => Read::of(later(*until), None),
        Answer::RateLimited { until } => Read {
            pause: Some((*until, "it asked us to wait")),
            ..Read::of(later(*until), Some(Said::RateLimited))
        },
        Answer::OutOfCredits { until } => Read {
            pause: Some((*until, "its credits are used up")),
            refused: Some("its credits are used up"),
            ..Read::of(later(*until), Some(Said::OutOfCredits))
        },
        Answer::AuthError => Read {
            pause: Some((now + REFUSED, "it refuses our key")),
            refused: Some("it refuses our key"),
            ..Read::of(later(now + REFUSED), Some(Said::AuthError))
        },
        Answer::InvalidInput => {
            let said = Said::InvalidInput;
            Read::of(Finding::Failed(said), Some(said))
        }
        Answer::Blocked => Read::of(Finding::Objected, Some(Said::Blocked)),
        Answer::Error { why, retryable } => {
            let finding = if *retryable {
                let retry = Some(why.clone());
                Finding::Later { until: now, retry }
            } else {
                Finding::Failed(Said::Error)
            };
            Read {
                error: Some(why.clone()),
                ..Read::of(finding, Some(Said::Error))
            }
        }
    }
}

/// What an answer comes to that was to follow and never came.
pub(super) fn overdue() -> Read {
    let said = Said::Error;
    Read {
        error: Some("its answer was to follow and has not come in a day".to_owned()),
        ..Read::of(Finding::Failed(said), Some(said))
    }
}

/// What the providers came to together.
#[derive(Debug, Default)]
pub(super) struct Asked {
    settled: Option<(String, Said, Facts)>,
    unknown: Option<String>,
    failed: Option<(String, Said)>,
    later: Option<(Timestamp, Option<String>)>,
}

impl Asked {
    pub(super) fn note(&mut self, provider: &str, finding: Finding) {
        let name = || provider.to_owned();
        match finding {
            Finding::Known(facts) => self.settled = Some((name(), Said::Matched, *facts)),
            Finding::Objected => self.settled = Some((name(), Said::Blocked, Facts::default())),
            Finding::Unknown => self.unknown = Some(name()),
            Finding::Failed(said) => self.failed = Some((name(), said)),
            Finding::Unasked => {}
            Finding::Later { until, retry } => {
                if retry.is_some() {
                    self.failed.get_or_insert_with(|| (name(), Said::Error));
                }
                let (soonest, why) = self.later.take().unwrap_or((until, None));
                self.later = Some((soonest.min(until), retry.or(why)));
            }
        }
    }

    /// Nobody else needs to be asked.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// When it is worth asking again, and what went wrong if something did.
    pub(super) fn later(&self) -> Option<(Timestamp, Option<&str>)> {
        let (until, retry) = self.later.as_ref()?;
        Some((*until, retry.as_deref()))
    }

    /// Who has the last word, and what it is, if nobody is asked again.
    pub(super) fn verdict(self) -> Option<(String, Said, Facts)> {
        if self.settled.is_some() {
            return self.settled;
        }
        let failed = self.failed;
        let unknown = self.unknown.map(|provider| (provider, Said::NotFound));
        let (provider, said) = failed.or(unknown)?;
        Some((provider, said, Facts::default()))
    }
}
