//! Keep a task running: one that panics is told of and started again.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// How long to wait after a panic, or an end before the time.
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

/// Runs what `start` makes until `stop`; again if it ends before.
pub(crate) async fn until_stopped<F: Future<Output = ()>>(
    name: &'static str,
    stop: &CancellationToken,
    mut start: impl FnMut() -> F,
) {
    loop {
        start().await;
        if stop.is_cancelled() {
            return;
        }
        error!("The task {name} ended before its time and is started again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ends_before_its_time_is_started_again_and_what_ends_at_a_stop_is_not() {
        let stop = CancellationToken::new();
        let mut starts = 0;
        until_stopped("it", &stop, || {
            starts += 1;
            if starts == 2 {
                stop.cancel();
            }
            std::future::ready(())
        })
        .await;
        assert_eq!(starts, 2);
    }
}
