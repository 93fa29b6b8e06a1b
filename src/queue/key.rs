//! The key under which at most one job of a kind is live.

use std::fmt::Display;

/// Longest key, in bytes; an index entry has to hold it.
pub(crate) const LONGEST: usize = 1000;

/// A job with a key is not enqueued while another of its kind with the same key waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub(crate) text: String,
    pub(crate) clash: Clash,
}

/// What a job does to the one that has its key. A running one is never touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Clash {
    /// Nothing: the job that is there will do.
    #[default]
    Ignore,
    /// The waiting job gets the new payload.
    Replace,
    /// The waiting job gets the new payload and the new time.
    Postpone,
}

impl Key {
    /// The key that this value is written as.
    pub fn of(value: impl Display) -> Self {
        Self {
            text: value.to_string(),
            clash: Clash::Ignore,
        }
    }

    /// The key made of this one and one more value.
    #[must_use]
    pub fn and(mut self, value: impl Display) -> Self {
        use std::fmt::Write;
        // Writing to a string does not fail.
        let _ = write!(self.text, ":{value}");
        self
    }

    /// A waiting job of the same key gets the new payload.
    #[must_use]
    pub fn replacing(mut self) -> Self {
        self.clash = Clash::Replace;
        self
    }

    /// A waiting job of the same key gets the new payload and its wait starts over.
    #[must_use]
    pub fn debounced(mut self) -> Self {
        self.clash = Clash::Postpone;
        self
    }
}
