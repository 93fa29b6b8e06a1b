//! Put jobs into the queue, as part of the caller's transaction.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::key::{self, Clash};
use crate::store::LONGEST_WAIT;
use crate::store::insert::{self, New};
use crate::{BatchId, Job, JobId, Key, text, trace};

/// What became of a job that was enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits under this number.
    New(JobId),
    /// A live job with its key was there.
    Exists(JobId),
}

impl Enqueued {
    /// The number of the job that does the work.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Exists(id) => id,
        }
    }
}

/// Why a job could not be enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// Its payload cannot be written as JSON.
    #[error("the payload of {kind} cannot be written")]
    Payload {
        /// The kind of job.
        kind: &'static str,
        /// What is wrong with it.
        #[source]
        why: serde_json::Error,
    },
    /// A text in its payload or one of its keys has a NUL character, which the database cannot store.
    #[error("the payload or a key of {0} has a NUL character")]
    Nul(&'static str),
    /// One of its keys is longer than an index can hold.
    #[error("a key of {0} is longer than 1000 bytes")]
    LongKey(&'static str),
    /// The database refused.
    #[error("could not write to the queue")]
    Database(#[from] sqlx::Error),
    /// A [`Producer`](crate::Producer) could not write it together with others. It was not enqueued.
    #[error("could not write to the queue")]
    NotWritten(#[source] Arc<sqlx::Error>),
    /// The connection broke while a [`Producer`](crate::Producer) wrote it: it may have been enqueued or not.
    #[error("the connection to the queue broke, and whether the job is in it is not known")]
    Unknown(#[source] Arc<sqlx::Error>),
    /// The [`Producer`](crate::Producer) takes nothing more. It was not enqueued.
    #[error("the producer is closed")]
    Closed,
}

impl EnqueueError {
    /// What the database or the way to it said, if that is what went wrong.
    pub fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::NotWritten(error) | Self::Unknown(error) => Some(error),
            Self::Payload { .. } | Self::Nul(_) | Self::LongKey(_) | Self::Closed => None,
        }
    }
}

/// Enqueues `job`: it runs if and only if the transaction of `db` commits.
pub async fn enqueue<J: Job>(db: &mut PgConnection, job: &J) -> Result<Enqueued, EnqueueError> {
    self::job(job).enqueue(db).await
}

/// Enqueues many jobs in few statements; says how many were new.
pub async fn enqueue_many<J: Job>(db: &mut PgConnection, jobs: &[J]) -> Result<u64, EnqueueError> {
    many(db, jobs.iter().map(job).collect()).await
}

/// Enqueues many jobs of one kind in few statements; says how many were new.
pub async fn many(db: &mut PgConnection, jobs: Vec<Enqueue>) -> Result<u64, EnqueueError> {
    let mut new = 0;
    let mut jobs = jobs.into_iter().peekable();
    while jobs.peek().is_some() {
        let mut plain = Vec::new();
        for one in jobs.by_ref().take(insert::MOST) {
            if one
                .key
                .as_ref()
                .is_some_and(|key| key.clash != Clash::Ignore)
            {
                let enqueued = one.enqueue(db).await?;
                new += u64::from(matches!(enqueued, Enqueued::New(_)));
            } else {
                plain.push(one.checked()?);
            }
        }
        new += insert::many(db, plain).await?;
    }
    Ok(new)
}

/// A job about to be enqueued otherwise than its type says.
pub fn job<J: Job>(job: &J) -> Enqueue {
    Enqueue {
        kind: J::NAME,
        queue: J::QUEUE,
        version: J::VERSION,
        priority: J::PRIORITY,
        max_attempts: J::MAX_ATTEMPTS,
        payload: serde_json::to_string(job),
        key: job.key(),
        lane: job.lane(),
        limit_key: job.limit_key(),
        at: None,
        after: Duration::ZERO,
        batch: None,
        trace: trace::current(),
    }
}

impl<J: Job> From<&J> for Enqueue {
    fn from(job: &J) -> Self {
        self::job(job)
    }
}

/// See [`job`].
#[derive(Debug)]
#[must_use = "nothing is enqueued before `enqueue` is called"]
pub struct Enqueue {
    kind: &'static str,
    queue: &'static str,
    version: u16,
    priority: i16,
    max_attempts: u16,
    payload: serde_json::Result<String>,
    key: Option<Key>,
    lane: Option<Uuid>,
    limit_key: Option<String>,
    at: Option<DateTime<Utc>>,
    after: Duration,
    batch: Option<BatchId>,
    trace: Option<Arc<str>>,
}

impl Enqueue {
    /// Not before `at`.
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    /// Not before `wait` has passed, at most ten years.
    pub fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }

    /// With another priority; lower goes first.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Under another key.
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// In another lane.
    pub fn lane(mut self, lane: Uuid) -> Self {
        self.lane = Some(lane);
        self
    }

    /// What it is about, as it will be kept.
    pub(crate) fn payload(&self) -> Option<&str> {
        self.payload.as_deref().ok()
    }

    /// Under another limit key.
    pub fn limit_key(mut self, key: impl Into<String>) -> Self {
        self.limit_key = Some(key.into());
        self
    }

    /// As a part of the trace of which this is the W3C trace parent, instead of the one it is enqueued in.
    pub fn trace(mut self, parent: Option<Arc<str>>) -> Self {
        self.trace = parent;
        self
    }

    /// As a part of this batch.
    pub(crate) fn in_batch(mut self, batch: BatchId) -> Self {
        self.batch = Some(batch);
        self
    }

    /// Enqueues it: it runs if and only if the transaction of `db` commits.
    pub async fn enqueue(self, db: &mut PgConnection) -> Result<Enqueued, EnqueueError> {
        let clash = self.clash();
        let new = self.checked()?;
        let enqueued = match clash {
            None => Enqueued::New(insert::one(db, &new, None).await?),
            Some(clash) => insert::keyed(db, &new, clash).await?,
        };
        Ok(enqueued)
    }

    /// What its key does to a job that has the same, if it has one.
    pub(crate) fn clash(&self) -> Option<Clash> {
        self.key.as_ref().map(|key| key.clash)
    }

    /// The row, if the database can hold it: nothing that it refuses may spoil the caller's transaction.
    pub(crate) fn checked(self) -> Result<New, EnqueueError> {
        let kind = self.kind;
        let payload = self
            .payload
            .map_err(|why| EnqueueError::Payload { kind, why })?;
        let key = self.key.map(|key| key.text);
        let limit_key = self.limit_key.unwrap_or_default();
        let of_keys = |is: fn(&str) -> bool| key.as_deref().is_some_and(is) || is(&limit_key);
        if text::json_has_nul(&payload) || of_keys(|key| key.contains('\0')) {
            return Err(EnqueueError::Nul(kind));
        }
        if of_keys(|key| key.len() > key::LONGEST) {
            return Err(EnqueueError::LongKey(kind));
        }
        Ok(New {
            queue: self.queue,
            kind,
            version: i16::try_from(self.version).unwrap_or(i16::MAX),
            priority: self.priority,
            max_attempts: i16::try_from(self.max_attempts.max(1)).unwrap_or(i16::MAX),
            payload,
            key,
            lane: self.lane,
            limit_key,
            at: self.at,
            after: self.after.min(LONGEST_WAIT),
            trace: self.trace,
            batch: self.batch.map(|batch| batch.0),
        })
    }
}
