//! The kinds of job that a program knows, and how each is run.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::enqueue::{self, Enqueue};
use crate::{Attempt, Backoff, Job, JobResult};

/// The kinds that a program knows, all run with the same context.
pub struct Registry<Ctx> {
    kinds: HashMap<&'static str, Arc<Kind<Ctx>>>,
    names: BTreeSet<&'static str>,
}

/// What is known of a kind once its type is out of sight.
pub(crate) struct Kind<Ctx> {
    pub(crate) name: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) version: u16,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) run: Run<Ctx>,
    make: fn(&str) -> Result<Enqueue, serde_json::Error>,
}

/// Decodes a payload and begins its attempt.
type Run<Ctx> = fn(&str, Ctx, Attempt) -> Result<BoxFuture<'static, JobResult>, serde_json::Error>;

/// Why a payload is not one of its kind.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No job of the program has this name.
    #[error("no job is called {0}")]
    UnknownKind(String),
    /// It does not decode.
    #[error("not a payload of {kind}: {why}")]
    Payload {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        #[source]
        why: serde_json::Error,
    },
    /// It has a field of which nothing would be kept.
    #[error("a payload of {kind} has no field {field}")]
    Field {
        /// The kind.
        kind: &'static str,
        /// The field.
        field: String,
    },
}

impl<Ctx: Clone + Send + Sync + 'static> Registry<Ctx> {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self {
            kinds: HashMap::new(),
            names: BTreeSet::new(),
        }
    }

    /// Knows `J` too, under its name and its former names.
    #[must_use]
    pub fn add<J: Job<Ctx = Ctx>>(mut self) -> Self {
        let kind = Arc::new(Kind {
            name: J::NAME,
            queue: J::QUEUE,
            version: J::VERSION,
            timeout: J::TIMEOUT,
            backoff: J::BACKOFF,
            run: run::<J>,
            make: |payload| serde_json::from_str::<J>(payload).map(|job| enqueue::job(&job)),
        });
        self.names.insert(J::NAME);
        for name in std::iter::once(&J::NAME).chain(J::ALIASES) {
            let before = self.kinds.insert(name, kind.clone());
            debug_assert!(before.is_none(), "two jobs are called {name}");
        }
        self
    }

    /// The names of all kinds, former names left out.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.names.iter().copied()
    }

    /// The queues that its kinds wait in.
    pub fn queues(&self) -> BTreeSet<&'static str> {
        self.kinds.values().map(|kind| kind.queue).collect()
    }

    /// Whether `payload` is one of `kind`: decoded, and no more.
    pub fn check(&self, kind: &str, payload: &Value) -> Result<(), CheckError> {
        self.make(kind, payload).map(drop)
    }

    /// The job of `kind` that `payload` describes, to be enqueued as if by the program itself: in its queue, under its key.
    pub fn make(&self, kind: &str, payload: &Value) -> Result<Enqueue, CheckError> {
        let kind = self
            .kinds
            .get(kind)
            .ok_or_else(|| CheckError::UnknownKind(kind.to_owned()))?;
        let job = (kind.make)(&payload.to_string()).map_err(|why| CheckError::Payload {
            kind: kind.name,
            why,
        })?;
        let kept = job
            .payload()
            .and_then(|kept| serde_json::from_str(kept).ok());
        match kept.and_then(|kept| lost(payload, &kept)) {
            None => Ok(job),
            Some(field) => Err(CheckError::Field {
                kind: kind.name,
                field,
            }),
        }
    }

    /// The kind of this name or former name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Kind<Ctx>>> {
        self.kinds.get(name)
    }

    /// Every name that is understood, former ones included, each with the newest version that is.
    pub(crate) fn understood(&self) -> (Vec<String>, Vec<i16>) {
        self.kinds
            .iter()
            .map(|(name, kind)| {
                let version = i16::try_from(kind.version).unwrap_or(i16::MAX);
                ((*name).to_owned(), version)
            })
            .unzip()
    }
}

/// A field of `given` that is not among what was `kept` of it; one that says nothing does not count.
fn lost(given: &Value, kept: &Value) -> Option<String> {
    let (Value::Object(given), Value::Object(kept)) = (given, kept) else {
        return None;
    };
    given.iter().find_map(|(name, value)| match kept.get(name) {
        None => (!value.is_null()).then(|| name.clone()),
        Some(kept) => lost(value, kept).map(|inner| format!("{name}.{inner}")),
    })
}

fn run<J: Job>(
    payload: &str,
    ctx: J::Ctx,
    attempt: Attempt,
) -> Result<BoxFuture<'static, JobResult>, serde_json::Error> {
    let job: J = serde_json::from_str(payload)?;
    Ok(Box::pin(async move { job.run(&ctx, &attempt).await }))
}

impl<Ctx: Clone + Send + Sync + 'static> Default for Registry<Ctx> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Ctx> Clone for Registry<Ctx> {
    fn clone(&self) -> Self {
        Self {
            kinds: self.kinds.clone(),
            names: self.names.clone(),
        }
    }
}

impl<Ctx> std::fmt::Debug for Registry<Ctx> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(&self.names).finish()
    }
}
