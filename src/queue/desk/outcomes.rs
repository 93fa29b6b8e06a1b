//! The outcomes that are not written: those that wait, those that an exchange is about to write, those that were put off.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::BATCH;
use crate::store::settle::Settlement;

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) waiting: VecDeque<Settlement>,
    /// When the first of them came.
    pub(super) since: Option<Instant>,
    /// Exchanges under way. Counted under the lock, so that what leaves those that wait is in none of the two at no time.
    pub(super) under_way: usize,
    /// How many outcomes they are to write.
    pub(super) with_them: usize,
    /// Outcomes that were put off, and until when. They are tried one at a time, so that the others do not wait for them.
    put_off: Vec<(Instant, Settlement)>,
    /// One of them is tried.
    tries_one: bool,
}

/// How the outcomes of an exchange are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// With all that wait.
    Together,
    /// One, as those it was with were refused.
    Alone,
    /// One that was put off.
    Again,
}

impl Outcomes {
    /// Takes as many for an exchange as one writes.
    pub(super) fn take(&mut self, into: &mut Vec<Settlement>) {
        let count = self.waiting.len().min(BATCH);
        into.extend(self.waiting.drain(..count));
        self.with_them += count;
        self.since = (!self.waiting.is_empty()).then(Instant::now);
    }

    /// How many are not written.
    pub(super) fn unwritten(&self) -> usize {
        self.waiting.len() + self.put_off.len() + self.with_them
    }

    /// Whether nothing is being exchanged, or waits to be.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.put_off.is_empty() && self.under_way == 0
    }

    /// An exchange did not write these, which are to be tried again, each by itself.
    pub(super) fn put_off(&mut self, settlements: Vec<Settlement>, until: Instant) {
        self.with_them -= settlements.len();
        for mut settlement in settlements {
            settlement.resent = true;
            self.put_off.push((until, settlement));
        }
    }

    /// Takes the first one that was put off, or tells when it is to be tried.
    pub(super) fn take_one(&mut self) -> Result<Settlement, Option<Instant>> {
        if self.tries_one {
            return Err(None);
        }
        let untils = self.put_off.iter().map(|(until, _)| *until);
        let Some((first, until)) = untils.enumerate().min_by_key(|(_, until)| *until) else {
            return Err(None);
        };
        if until > Instant::now() {
            return Err(Some(until));
        }
        self.under_way += 1;
        self.with_them += 1;
        self.tries_one = true;
        Ok(self.put_off.remove(first).1)
    }

    /// An exchange has ended, and these were not written.
    pub(super) fn come_back(&mut self, settlements: Vec<Settlement>, manner: Manner) {
        if manner == Manner::Again {
            self.tries_one = false;
        }
        self.under_way -= 1;
        self.with_them -= settlements.len();
        if settlements.is_empty() {
            return;
        }
        for mut settlement in settlements.into_iter().rev() {
            settlement.resent = true;
            self.waiting.push_front(settlement);
        }
        self.since.get_or_insert_with(Instant::now);
    }
}
