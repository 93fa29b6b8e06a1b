//! The one transaction between a sender and our answer: event and job, commit, then success.

use std::sync::Arc;

use domain::id::IntakeEventId;
use domain::store::Tx;
use domain::store::intake_events::{self, NewEvent};
use jobs::ProcessIntake;
use queue::{Wake, enqueue};

use crate::web::outage::{gave_up, is_outage};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is kept, and its job is waiting.
    New(IntakeEventId),
    /// The same came before, under this id.
    Same(IntakeEventId),
    /// Something else came before under the same key, with this id.
    Other(IntakeEventId),
}

/// Why nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The database is not there just now; the sender is to try again.
    #[error("the database cannot be reached")]
    Outage(#[source] Arc<sqlx::Error>),
    /// Our mistake.
    #[error("the submission could not be kept")]
    Broken(#[source] anyhow::Error),
}

impl From<sqlx::Error> for NotKept {
    fn from(error: sqlx::Error) -> Self {
        // What one sender writes is never too much: somebody else was in its way.
        if is_outage(&error) || gave_up(&error) {
            Self::Outage(Arc::new(error))
        } else {
            Self::Broken(error.into())
        }
    }
}

impl From<queue::EnqueueError> for NotKept {
    fn from(error: queue::EnqueueError) -> Self {
        match error {
            queue::EnqueueError::Database(error) => error.into(),
            other => Self::Broken(other.into()),
        }
    }
}

/// Keeps `event` and leaves the job that makes a lead of it; what came before under the same key is left as it is.
pub async fn keep(wake: &Wake, mut tx: Tx, event: &NewEvent<'_>) -> Result<Kept, NotKept> {
    if !intake_events::insert(&mut tx, event).await? {
        return before(&mut tx, event).await;
    }
    if !event.spam {
        let job = ProcessIntake {
            org: event.org,
            event: event.id,
        };
        enqueue(&mut tx, &job).await?;
    }
    tx.commit().await?;
    wake.notify();
    count(event.provider);
    Ok(Kept::New(event.id))
}

/// What was kept before under the key of `event`.
pub(super) async fn before(tx: &mut Tx, event: &NewEvent<'_>) -> Result<Kept, NotKept> {
    let found = intake_events::find_by_key(tx, event.org, event.provider, event.dedupe_key);
    let (id, submission) = found.await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(if submission == *event.submission {
        Kept::Same(id)
    } else {
        Kept::Other(id)
    })
}

/// One more event is kept.
pub(super) fn count(provider: &str) {
    metrics::counter!("leadmill_intake_events_total", "provider" => provider.to_owned())
        .increment(1);
}
