//! How long things took.

use std::time::Duration;

use super::Broken;
use crate::chaos::journal::{Fault, Line, Seen};

/// How long after the end of each outage the first attempt began.
pub(in crate::chaos) fn resumes(faults: &[Broken], lines: &[Line]) -> Vec<(Fault, Duration)> {
    let starts: Vec<i64> = lines
        .iter()
        .filter(|line| matches!(line.seen, Seen::Start { .. }))
        .map(|line| line.at)
        .collect();
    let outages = faults.iter().filter(|fault| fault.kind.is_outage());
    let resumed = outages.map(|outage| {
        let first = starts.partition_point(|at| *at < outage.until);
        let wait = starts.get(first).map_or(i64::MAX, |at| at - outage.until);
        let wait = Duration::from_micros(u64::try_from(wait).unwrap_or(0));
        (outage.kind, wait)
    });
    resumed.collect()
}

/// The value that `percent` of all do not exceed; zero if there is none.
pub(in crate::chaos) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(rank).copied().unwrap_or_default()
}
