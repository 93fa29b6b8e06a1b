//! Ask a job that runs to stop.
//!
//! The wish is a mark on the job's row. The process that runs it sees the mark when it looks at its queues and tells the
//! job, or takes it back if it has not begun; what the job then tells of itself, other than that it is done or that there was
//! nothing to do, makes it a cancelled one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::JobId;

/// How long a job that was asked to stop may take to do so; then it is dropped where it waits.
const GRACE: Duration = Duration::from_secs(5);

/// Tells a job whether it is to stop.
#[derive(Debug, Clone, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Whether the job is to stop.
    pub fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the job is to stop.
    pub async fn asked(&self) {
        self.0.cancelled().await;
    }

    /// Waits until the job ought to have stopped.
    pub(crate) async fn overdue(&self) {
        self.asked().await;
        tokio::time::sleep(GRACE).await;
    }
}

/// The jobs that run in this process, by their claims.
#[derive(Debug, Default)]
pub(crate) struct Cancels {
    running: Mutex<HashMap<(JobId, i32), Cancel>>,
    cut_off: AtomicUsize,
}

impl Cancels {
    /// A job begins to run.
    pub(crate) fn begin(&self, job: JobId, epoch: i32) -> Cancel {
        let cancel = Cancel::default();
        self.running().insert((job, epoch), cancel.clone());
        cancel
    }

    /// It no longer runs.
    pub(crate) fn end(&self, job: JobId, epoch: i32) {
        self.running().remove(&(job, epoch));
    }

    /// It was dropped before its end.
    pub(crate) fn cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::AcqRel);
    }

    /// How many were dropped before their end.
    pub(crate) fn count_cut_off(&self) -> usize {
        self.cut_off.load(Ordering::Acquire)
    }

    /// Asks a job to stop, if it runs.
    pub(crate) fn ask(&self, job: JobId, epoch: i32) {
        if let Some(cancel) = self.running().get(&(job, epoch)) {
            cancel.0.cancel();
        }
    }

    /// No code panics while it holds the lock.
    fn running(&self) -> MutexGuard<'_, HashMap<(JobId, i32), Cancel>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
