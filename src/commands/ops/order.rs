//! One job, put into its queue as if the program had left it itself.

use domain::actor::Act as Circumstances;
use domain::clock::Timestamp;
use domain::store::Tx;
use queue::{CheckError, Enqueue, EnqueueError};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Sight, audit, in_sight};
use crate::commands::Refused;
use crate::config::Span;
use crate::web::secrets::masked;

/// Who asks for more has written another unit than meant.
const LONGEST_WAIT: Span = Span::hours(10 * 365 * 24);

/// A job that somebody asks for.
#[derive(Debug)]
pub struct Order {
    /// Its kind.
    pub kind: String,
    /// Its payload.
    pub payload: Value,
    /// Not before this instant.
    pub at: Option<Timestamp>,
    /// How long to wait before it may run.
    pub after: Option<Span>,
    /// Lower goes first; none: the kind's own.
    pub priority: Option<i16>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Enqueued {
    /// The job that does the work.
    pub id: i64,
    /// Whether it is a new one; else a live job does the same.
    pub new: bool,
}

impl From<queue::Enqueued> for Enqueued {
    fn from(enqueued: queue::Enqueued) -> Self {
        Self {
            id: enqueued.id().0,
            new: matches!(enqueued, queue::Enqueued::New(_)),
        }
    }
}

impl Order {
    /// The job, checked as its kind says.
    pub fn job(self) -> Result<Enqueue, CheckError> {
        let mut job = jobs::registry().make(&self.kind, &self.payload)?;
        if let Some(at) = self.at {
            job = job.at(at);
        }
        if let Some(after) = self.after {
            job = job.after(after.get());
        }
        if let Some(priority) = self.priority {
            job = job.priority(priority);
        }
        Ok(job)
    }
}

/// A wait that somebody can mean.
pub fn bounded(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span > LONGEST_WAIT {
        return Err("more than ten years".to_owned());
    }
    Ok(span)
}

/// That there is no such kind, and which there are.
pub fn unknown_kind(kind: &str) -> String {
    let names: Vec<_> = jobs::registry().names().collect();
    format!("no job is called {kind}; there are {}", names.join(", "))
}

/// Whether it is the job and not the database that is to blame.
pub fn is_of_the_job(error: &EnqueueError) -> bool {
    matches!(
        error,
        EnqueueError::Nul(_) | EnqueueError::LongKey(_) | EnqueueError::Payload { .. }
    )
}

/// Enqueues a job that is in `sight`; what is refused is not to be committed.
pub async fn enqueue(
    tx: &mut Tx,
    by: &Circumstances,
    sight: Sight,
    order: Order,
) -> Result<Enqueued, Refused> {
    let (kind, payload) = (order.kind.clone(), masked(&order.payload));
    let job = order.job().map_err(|error| match error {
        CheckError::UnknownKind(kind) => Refused::field("kind", "unknown", unknown_kind(&kind)),
        error => Refused::field("payload", "invalid", error.to_string()),
    })?;
    let enqueued = job.enqueue(tx).await.map_err(|error| match error {
        EnqueueError::Database(error) => error.into(),
        error if is_of_the_job(&error) => Refused::field("payload", "invalid", error.to_string()),
        error => anyhow::Error::new(error).into(),
    })?;
    let enqueued = Enqueued::from(enqueued);
    if in_sight(tx, sight, enqueued.id).await.is_err() {
        let why = "Must be of your organisation: it names another one, or concerns all of them";
        return Err(Refused::field("payload", "invalid", why));
    }
    let what = json!({"job": enqueued.id, "kind": kind, "new": enqueued.new, "payload": payload});
    audit(tx, by, "job.enqueue", "job", what).await?;
    Ok(enqueued)
}
