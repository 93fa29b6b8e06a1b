//! Measure the platform as it is used, each figure beside what hand-written SQL does on the same server in the same run.

mod drain;
mod enqueue;
mod intake;
mod latency;
mod noop;
mod people;
mod place;
mod progress;
mod raw;
mod rescore;

use serde::Serialize;

pub use drain::drain;
pub use enqueue::enqueue;
pub use intake::intake;
pub use latency::latency;
pub use place::{CONNECTIONS, Place};
pub use rescore::rescore;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub bench: &'static str,
    /// By our own way.
    pub ours: f64,
    /// By hand-written SQL.
    pub raw: f64,
    /// The former by the latter.
    pub ratio: f64,
    /// Of both.
    pub unit: &'static str,
}

impl Figure {
    fn new(bench: &'static str, ours: f64, raw: f64, unit: &'static str) -> Self {
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        Self {
            bench,
            ours: rounded(ours),
            raw: rounded(raw),
            ratio: rounded(ours / raw),
            unit,
        }
    }

    fn per_second(bench: &'static str, ours: f64, raw: f64) -> Self {
        Self::new(bench, ours.round(), raw.round(), "jobs/s")
    }
}
