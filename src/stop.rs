//! When a process is to stop: kindly at the first signal, at once at the second.

use std::io;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::info;

/// The same signal again so soon was sent by the same act; nobody presses Ctrl-C twice as fast.
const ONE_WISH: Duration = Duration::from_millis(100);

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
            let first = signals.next().await;
            let heard = Instant::now();
            info!("Stopping; a second signal stops at once");
            told.ask();
            // `timeout` sends its signal to the process and to the group that it is in: that is one wish, not two.
            while signals.next().await == first && heard.elapsed() < ONE_WISH {}
            info!("Stopping at once");
            told.at_once();
        });
        Ok(stop)
    }

    /// A stop for what must outlive the work of this one: it is asked for by itself, and a second signal ends both at once.
    pub fn later(&self) -> Self {
        Self {
            asked: CancellationToken::new(),
            now: self.now.clone(),
        }
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

/// What a process is told to stop by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    #[cfg(unix)]
    Terminate,
    Interrupt,
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

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
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

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
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
