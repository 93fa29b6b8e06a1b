//! What an attempt notes for the one after it, so that work goes on where it stopped.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use crate::{Attempt, JobId, StaleClaim, store, text};

/// Largest checkpoint, in bytes of JSON: it is written with the job's row, which is no place for the work itself.
const LARGEST: usize = 64 * 1024;

/// Why a checkpoint was not kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The job may not go on.
    #[error(transparent)]
    Stale(#[from] StaleClaim),
    /// It is no place for the work itself.
    #[error(
        "a checkpoint of job {job} has {bytes} bytes of JSON, more than {LARGEST}; note where the work stands, such as the last id, and keep what was done in a table"
    )]
    TooLarge {
        /// The job.
        job: JobId,
        /// Its size.
        bytes: usize,
    },
    /// A text in it has a NUL character, which the database cannot store.
    #[error("a checkpoint of job {0} has a NUL character")]
    Nul(JobId),
    /// It cannot be written as JSON.
    #[error("a checkpoint of job {job} cannot be written")]
    Unwritable {
        /// The job.
        job: JobId,
        /// What is wrong with it.
        #[source]
        why: serde_json::Error,
    },
}

/// A checkpoint is there and is none of the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the checkpoint of job {job} does not decode; its form was changed")]
pub struct UnreadableCheckpoint {
    job: JobId,
    #[source]
    why: serde_json::Error,
}

impl Attempt {
    /// Notes how far the work has got when the transaction of `db` commits: with the work, if that is written there too.
    /// The next attempt, if there is one, is given the last note that was committed.
    ///
    /// A job that was taken from this attempt keeps the note of the one that has it.
    pub async fn checkpoint<T: Serialize>(
        &self,
        db: &mut PgConnection,
        progress: &T,
    ) -> Result<(), CheckpointError> {
        let job = self.job;
        let progress = serde_json::to_string(progress)
            .map_err(|why| CheckpointError::Unwritable { job, why })?;
        if progress.len() > LARGEST {
            let bytes = progress.len();
            return Err(CheckpointError::TooLarge { job, bytes });
        }
        if text::json_has_nul(&progress) {
            return Err(CheckpointError::Nul(job));
        }
        let kept = store::note_progress(db, job, self.epoch, &progress).await;
        if kept.map_err(StaleClaim::Database)? {
            Ok(())
        } else {
            Err(StaleClaim::Gone(job).into())
        }
    }

    /// What the attempts before this one noted last; none if they noted nothing.
    pub fn checkpoint_of<T: DeserializeOwned>(&self) -> Result<Option<T>, UnreadableCheckpoint> {
        let Some(progress) = &self.progress else {
            return Ok(None);
        };
        let read = serde_json::from_str(progress).map(Some);
        read.map_err(|why| UnreadableCheckpoint { job: self.job, why })
    }
}
