//! Keep a task running: one that panics is told of and started again.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::error;

/// How long to wait after a panic.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `start` makes; again if it panics, until it returns.
pub fn supervise<F>(name: &'static str, mut start: impl FnMut() -> F + Send + 'static) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let task = tokio::spawn(async move {
        loop {
            // Ends with its supervisor.
            let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(start()));
            match task.await {
                Ok(()) => return,
                Err(end) if end.is_panic() => {
                    error!("The task {name} panicked and is started again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => return,
            }
        }
    });
    Task(task)
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Task {
    /// Waits until it returns.
    pub(crate) async fn done(&mut self) {
        if !self.0.is_finished() {
            // A supervisor does not panic, and one that was aborted is done.
            let _ = (&mut self.0).await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
