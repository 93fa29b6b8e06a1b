//! A mail server that keeps what it is given: for `leadmill dev` and for tests, never for the internet.
//!
//! It speaks SMTP (RFC 5321) as far as a client that hands mail off needs, and refuses the rest with the right code.

mod session;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// The most mails that are kept; the oldest go first.
const MOST: usize = 5_000;

/// A mail as it was handed over.
#[derive(Debug, Clone)]
pub struct Received {
    /// Counts from 1.
    pub number: u64,
    /// The envelope's sender; empty for a report.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The message, dots undone.
    pub raw: Vec<u8>,
    /// When its last dot came.
    pub at: DateTime<Utc>,
}

/// What goes wrong with the next mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its recipient is refused with this code: 4xx for now, 5xx for good.
    Refuse(u16),
    /// It is kept, and the connection breaks before that is said.
    HangUpAfterDot,
}

/// The server, shared with whoever wants to see its mail.
#[derive(Debug, Clone)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: Arc<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    count: AtomicU64,
    kept: Mutex<VecDeque<Arc<Received>>>,
    troubles: Mutex<VecDeque<Trouble>>,
}

impl Sink {
    /// Listens on `address`; port 0 takes a free one. It ends with its last handle.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            clock: Clock::system(),
            count: AtomicU64::new(0),
            kept: Mutex::default(),
            troubles: Mutex::default(),
        });
        let served = shared.clone();
        let listening = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        // A client that is gone before it was accepted is no matter.
                        if let Ok((stream, _)) = accepted {
                            sessions.spawn(session::run(stream, served.clone()));
                        }
                    }
                    Some(_) = sessions.join_next() => {}
                }
            }
        });
        Ok(Self {
            address,
            shared,
            _listening: Arc::new(AbortOnDropHandle::new(listening)),
        })
    }

    /// Where it listens, as a client is told.
    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every mail that is kept, the latest first.
    pub fn mails(&self) -> Vec<Arc<Received>> {
        lock(&self.shared.kept).iter().rev().cloned().collect()
    }

    /// One mail.
    pub fn mail(&self, number: u64) -> Option<Arc<Received>> {
        lock(&self.shared.kept)
            .iter()
            .find(|mail| mail.number == number)
            .cloned()
    }

    /// How many mails ever came.
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Acquire)
    }

    /// Forgets what is kept.
    pub fn clear(&self) {
        lock(&self.shared.kept).clear();
    }

    /// Goes wrong with the next mail that has not gone wrong yet.
    pub fn trouble(&self, trouble: Trouble) {
        lock(&self.shared.troubles).push_back(trouble);
    }
}

impl Shared {
    fn keep(&self, from: String, to: Vec<String>, raw: Vec<u8>) -> u64 {
        let mut kept = lock(&self.kept);
        let number = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        if kept.len() == MOST {
            kept.pop_front();
        }
        let at = self.clock.now();
        kept.push_back(Arc::new(Received {
            number,
            from,
            to,
            raw,
            at,
        }));
        number
    }

    /// The trouble that is next, if it is of this sort.
    fn take_trouble(&self, of: impl Fn(&Trouble) -> bool) -> Option<Trouble> {
        let mut troubles = lock(&self.troubles);
        if troubles.front().is_some_and(of) {
            troubles.pop_front()
        } else {
            None
        }
    }
}

/// Nothing panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
