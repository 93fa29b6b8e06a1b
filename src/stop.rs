//! When a process is to stop: kindly at the first signal, at once at the second.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

/// Shared by everything that must end when the process ends.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: CancellationToken,
    now: CancellationToken,
}

impl Stop {
    /// Stops on SIGTERM or Ctrl-C; a second one stops at once.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let mut signals = Signals::new()?;
        let told = stop.clone();
        tokio::spawn(async move {
            signals.next().await;
            info!("Stopping; a second signal stops at once");
            told.ask();
            signals.next().await;
            info!("Stopping at once");
            told.at_once();
        });
        Ok(stop)
    }

    /// Finishes what runs, starts nothing new.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Drops what runs.
    pub fn at_once(&self) {
        self.asked.cancel();
        self.now.cancel();
    }

    /// Does `work`, and asks the process to stop when that ends, however it ends.
    pub async fn ask_after<F: Future>(&self, work: F) -> F::Output {
        let _asks = self.asked.clone().drop_guard();
        work.await
    }

    /// Whether the process is on its way out.
    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Ends when the process is asked to stop.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Ends when there is no time left: `grace` after being asked, or at the second signal.
    pub async fn out_of_time(&self, grace: Duration) {
        self.asked().await;
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = self.now.cancelled() => {}
        }
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ends_by_itself_ends_the_process() {
        let stop = Stop::default();
        let ended = stop.ask_after(async { Err::<(), _>("the listener broke") });
        assert_eq!(ended.await, Err("the listener broke"));
        assert!(stop.is_asked());

        let stop = Stop::default();
        let panicked = stop.clone();
        let task = tokio::spawn(async move { panicked.ask_after(async { panic!("broke") }).await });
        assert!(task.await.is_err_and(|end| end.is_panic()));
        assert!(stop.is_asked());
    }
}
