//! What a worker process has seen of jobs; every system's job does no more than tell it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    runs: AtomicU64,
    first: AtomicU64,
    /// When each began, if somebody wants to know.
    begins: Option<Mutex<Vec<(u64, u64)>>>,
}

impl Seen {
    /// One that also keeps when each job began.
    pub fn with_begins() -> Self {
        Self(Arc::new(Shared {
            begins: Some(Mutex::default()),
            ..Shared::default()
        }))
    }

    /// Job `number` runs.
    pub fn job(&self, number: u64) {
        if self.0.runs.fetch_add(1, Ordering::Relaxed) == 0 {
            self.0.first.store(clock::now(), Ordering::Release);
        }
        if let Some(begins) = &self.0.begins {
            let began = clock::now();
            let mut begins = begins.lock().unwrap_or_else(PoisonError::into_inner);
            begins.push((number, began));
        }
    }

    /// How many have run.
    pub fn runs(&self) -> u64 {
        self.0.runs.load(Ordering::Relaxed)
    }

    /// When the first did; 0 if none has.
    pub fn first(&self) -> u64 {
        self.0.first.load(Ordering::Acquire)
    }

    /// What began since this was last asked.
    pub fn take_begins(&self) -> Vec<(u64, u64)> {
        self.0.begins.as_ref().map_or_else(Vec::new, |begins| {
            std::mem::take(&mut *begins.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}
