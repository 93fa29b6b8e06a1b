//! Lines that an attempt writes for people, kept with its job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::text;

/// Most lines of an attempt that are kept, the newest.
const MOST: usize = 100;
/// Longest line, in bytes.
const LONGEST: usize = 2 * 1024;

/// The lines of one attempt. They are stored with its outcome; a process that dies takes them along.
#[derive(Debug, Clone)]
pub struct Log {
    began: Instant,
    lines: Arc<Mutex<VecDeque<Line>>>,
}

/// One line, and how long after the attempt's begin it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    after: Duration,
    text: String,
}

impl Log {
    /// Writes a line. It must not name people: whoever may see the job may read it.
    pub fn write(&self, line: impl Into<String>) {
        let line = Line {
            after: self.began.elapsed(),
            text: text::cut(line.into(), LONGEST),
        };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// What was written.
    pub(crate) fn take(&self) -> Vec<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *lines).into()
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            lines: Arc::default(),
        }
    }
}

/// Lines as JSON: pairs of microseconds and text. None if there are none.
pub(crate) fn json(lines: &[Line]) -> Option<String> {
    let pairs = |line: &Line| serde_json::json!([line.after.as_micros() as u64, line.text]);
    (!lines.is_empty()).then(|| {
        lines
            .iter()
            .map(pairs)
            .collect::<serde_json::Value>()
            .to_string()
    })
}
