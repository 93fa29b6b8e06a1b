//! When to look at the queues next.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The next time at which something is known to fall due.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    next: Mutex<Option<Instant>>,
    sooner: Notify,
}

impl Outlook {
    /// Something falls due in `wait`.
    pub(crate) fn due_in(&self, wait: Duration) {
        let Some(at) = Instant::now().checked_add(wait) else {
            return;
        };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_none_or(|next| at < next) {
            *next = Some(at);
            self.sooner.notify_one();
        }
    }

    /// Waits for what falls due, and no longer than until `latest`.
    pub(crate) async fn wait(&self, latest: Instant) {
        loop {
            let sooner = self.sooner.notified();
            let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let until = next.map_or(latest, |next| next.min(latest));
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                () = sooner => {}
            }
        }
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
