//! Many jobs that belong together, and one that runs when all of them have ended.
//!
//! The end of a job and its count in the batch are one transaction, and so are the last of them and the job that comes
//! after: it is enqueued once, whoever dies when. A dead letter has ended, as has a job that was cancelled or deleted; run
//! again, it runs for itself.

use std::fmt::{self, Display};

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::enqueue::{self, Enqueue, EnqueueError, Enqueued};
use crate::store::batch;
use crate::store::insert;
use crate::{Job, admin};

/// A batch to be.
#[derive(Debug)]
#[must_use = "there is no batch before `open` or `enqueue` is called"]
pub struct Batch {
    name: String,
    lane: Option<Uuid>,
    on_complete: Option<Enqueue>,
}

/// The number of a batch, by which jobs are added to it until it is sealed: in one transaction or in many, by one process or
/// by several.
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
pub struct BatchId(pub i64);

/// Why nothing was done with a batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// It is sealed, or there is no such batch.
    #[error("batch {0} is not open; add its jobs before it is sealed")]
    NotOpen(BatchId),
    /// A job could not be enqueued.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("could not write to the batch")]
    Database(#[from] sqlx::Error),
}

impl Batch {
    /// A batch of this name, which people see.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lane: None,
            on_complete: None,
        }
    }

    /// Whom it belongs to; its jobs have lanes of their own.
    pub fn lane(mut self, lane: Uuid) -> Self {
        self.lane = Some(lane);
        self
    }

    /// The job that is enqueued when the last of its jobs has ended, however they did.
    pub fn on_complete<J: Job>(mut self, job: &J) -> Self {
        self.on_complete = Some(enqueue::job(job));
        self
    }

    /// Makes it, open and empty, as part of the transaction of `db`.
    pub async fn open(self, db: &mut PgConnection) -> Result<BatchId, BatchError> {
        let on_complete = self.on_complete.map(written).transpose()?;
        let name = crate::text::storable(self.name);
        let id = batch::open(db, &name, self.lane, on_complete.as_ref()).await?;
        Ok(BatchId(id))
    }

    /// Makes it with these jobs, however many, and seals it: with none it completes at once. All of it is part of the
    /// transaction of `db`.
    pub async fn enqueue<J: Job>(
        self,
        db: &mut PgConnection,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<BatchId, BatchError> {
        let batch = self.open(db).await?;
        let mut jobs = jobs.into_iter();
        loop {
            let chunk: Vec<J> = jobs.by_ref().take(insert::MOST).collect();
            if chunk.is_empty() {
                break;
            }
            batch.add(db, &chunk).await?;
        }
        batch.seal(db).await?;
        Ok(batch)
    }
}

impl BatchId {
    /// Adds jobs; says how many. Those whose key a live job has are left out, and that job is none of the batch.
    ///
    /// Until the transaction of `db` ends, the batch cannot be sealed; nobody else waits.
    pub async fn add<J: Job>(self, db: &mut PgConnection, jobs: &[J]) -> Result<u64, BatchError> {
        self.hold_open(db).await?;
        let jobs = jobs.iter().map(|one| enqueue::job(one).in_batch(self));
        let added = enqueue::many(db, jobs.collect()).await?;
        if added > 0 {
            batch::add(db, self.0, added).await?;
        }
        Ok(added)
    }

    /// Adds one job that is enqueued otherwise than its type says.
    pub async fn add_one(
        self,
        db: &mut PgConnection,
        job: Enqueue,
    ) -> Result<Enqueued, BatchError> {
        self.hold_open(db).await?;
        let enqueued = job.in_batch(self).enqueue(db).await?;
        if matches!(enqueued, Enqueued::New(_)) {
            batch::add(db, self.0, 1).await?;
        }
        Ok(enqueued)
    }

    /// Has `job` enqueued when the last of its jobs has ended, in place of what was to be so far.
    pub async fn on_complete<J: Job>(
        self,
        db: &mut PgConnection,
        job: &J,
    ) -> Result<(), BatchError> {
        let on_complete = written(enqueue::job(job))?;
        if batch::set_on_complete(db, self.0, &on_complete).await? {
            Ok(())
        } else {
            Err(BatchError::NotOpen(self))
        }
    }

    /// Ends the additions, after those that others are about to commit; if nothing remains, it completes now.
    ///
    /// It is the last thing to do in a transaction: workers that end its jobs wait for the commit.
    pub async fn seal(self, db: &mut PgConnection) -> Result<(), BatchError> {
        if batch::seal(db, self.0).await? {
            Ok(())
        } else {
            Err(BatchError::NotOpen(self))
        }
    }

    /// How far it has got; none if it is long forgotten.
    pub async fn progress(self, db: &mut PgConnection) -> sqlx::Result<Option<admin::BatchRow>> {
        admin::batch(db, self.0).await
    }

    async fn hold_open(self, db: &mut PgConnection) -> Result<(), BatchError> {
        if batch::hold_open(db, self.0).await? {
            Ok(())
        } else {
            Err(BatchError::NotOpen(self))
        }
    }
}

impl Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job as the batch keeps it until it is enqueued.
fn written(job: Enqueue) -> Result<Value, EnqueueError> {
    let new = job.checked()?;
    let payload: Value = serde_json::from_str(&new.payload).map_err(|why| {
        let kind = new.kind;
        EnqueueError::Payload { kind, why }
    })?;
    Ok(json!({
        "queue": new.queue,
        "kind": new.kind,
        "version": new.version,
        "priority": new.priority,
        "max_attempts": new.max_attempts,
        "payload": payload,
        "lane": new.lane,
        "trace": new.trace.as_deref(),
        "unique_key": new.key,
        "limit_key": new.limit_key,
    }))
}
