//! See whether the machine itself stands still, which no test asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::journal::{self, Fault, Journal};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(50);

/// A thread that wants to run every moment, and tells of each time it could not.
#[derive(Debug)]
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    /// Tells of standstills longer than `limit`.
    pub(super) fn start(journal: Arc<Journal>, limit: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let (began, at) = (Instant::now(), journal::now());
                std::thread::sleep(EVERY);
                if began.elapsed() > limit && journal.fault(at, Fault::Stall).is_err() {
                    return;
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only looks at the clock.
            let _ = thread.join();
        }
    }
}
