//! What a job is told about the attempt that runs it.

use std::fmt::{self, Display};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::{self, Claim, batch};
use crate::{BatchId, Cancel, EnqueueError, Enqueued, Job, Log, enqueue};

/// The number of a job, given when it is enqueued and kept in its history.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct JobId(pub i64);

impl Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One attempt at a job: which job, which try, and the claim that entitles to its outcome.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The job.
    pub job: JobId,
    /// The claim; an outcome told under an older one is refused.
    pub epoch: i32,
    /// Which attempt it is; the first is 1.
    pub number: u16,
    /// The attempt that is the last.
    pub max: u16,
    /// The queue that it waited in.
    pub queue: Arc<str>,
    /// The kind of the job, by its present name.
    pub kind: &'static str,
    /// Whom it belongs to.
    pub lane: Option<Uuid>,
    /// When it was to run.
    pub scheduled_at: DateTime<Utc>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The trace parent of what enqueued it.
    pub trace: Option<Arc<str>>,
    /// The batch that it is part of.
    pub batch: Option<BatchId>,
    /// What an attempt before this one noted last, as JSON; see [`Attempt::checkpoint_of`].
    pub progress: Option<Arc<str>>,
    /// Whether it is to stop.
    pub cancel: Cancel,
    /// Lines for people.
    pub log: Log,
}

/// Why a job may not go on.
#[derive(Debug, thiserror::Error)]
pub enum StaleClaim {
    /// It was taken back, as this process looked dead; it runs elsewhere or will.
    #[error("the claim on job {0} is gone")]
    Gone(JobId),
    /// Somebody asked it to stop.
    #[error("job {0} is cancelled")]
    Cancelled(JobId),
    /// Whether it was could not be found out.
    #[error("could not make sure of the claim")]
    Database(#[from] sqlx::Error),
}

impl Attempt {
    /// Whether a failure now makes it a dead letter.
    pub fn is_last(&self) -> bool {
        self.number >= self.max
    }

    /// Makes sure that the job is still this attempt's, that nobody asked it to stop, and that this stays so until the
    /// transaction of `db` ends: what is committed after it was written by nobody who had been taken for dead.
    pub async fn fence(&self, db: &mut PgConnection) -> Result<(), StaleClaim> {
        match store::lock_claim(db, self.job, self.epoch).await? {
            Claim::Holds => Ok(()),
            Claim::Gone => Err(StaleClaim::Gone(self.job)),
            Claim::Cancelled => Err(StaleClaim::Cancelled(self.job)),
        }
    }

    /// Enqueues a job that goes on with the work of this one: if this one is part of a batch, the batch waits for the other,
    /// too, though it is sealed.
    ///
    /// To be called after [`Attempt::fence`] and shortly before the commit: until then other jobs of the batch wait to end.
    pub async fn enqueue_beside<J: Job>(
        &self,
        db: &mut PgConnection,
        job: &J,
    ) -> Result<Enqueued, EnqueueError> {
        let Some(own) = self.batch else {
            return enqueue(db, job).await;
        };
        if !batch::add_beside(db, own.0).await? {
            return enqueue(db, job).await;
        }
        let enqueued = crate::job(job).in_batch(own).enqueue(db).await?;
        if matches!(enqueued, Enqueued::Exists(_)) {
            batch::take_back(db, own.0).await?;
        }
        Ok(enqueued)
    }

    /// Gives the job's key away when the transaction of `db` commits: what was too late for this attempt to see can be
    /// enqueued from then on, though the attempt has not ended.
    ///
    /// To be called after the rows are locked that decide whether another is needed: whoever changes them and enqueues
    /// takes them in that order, too.
    pub async fn release_key(&self, db: &mut PgConnection) -> Result<(), StaleClaim> {
        if store::release_key(db, self.job, self.epoch).await? {
            Ok(())
        } else {
            Err(StaleClaim::Gone(self.job))
        }
    }
}
