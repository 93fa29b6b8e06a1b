//! What was measured, and what it comes to.

use std::collections::{BTreeMap, HashMap};

use crate::stats::median;
use crate::system::{OURS, RAW};
use crate::workload::{Metric, OFFERED, Unit};

/// A system keeps up with a load of which it does so much.
const KEEPS_UP: f64 = 0.95;

/// The figures of a run.
#[derive(Debug, Default)]
pub struct Figures {
    values: HashMap<(String, &'static str), Vec<f64>>,
    /// Why there is none, for what failed.
    failures: BTreeMap<(String, &'static str), String>,
}

impl Figures {
    /// One more of a system.
    pub fn add(&mut self, system: &str, metric: &Metric, value: f64) {
        let values = self.values.entry((system.to_owned(), metric.key));
        values.or_default().push(value);
    }

    /// A run of a system's failed.
    pub fn fail(&mut self, system: &str, metric: &Metric, why: &str) {
        let failure = (system.to_owned(), metric.key);
        self.failures.insert(failure, why.to_owned());
    }

    /// Systems and figures that they do not have, with why.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &'static str, &str)> {
        let missing = self
            .failures
            .iter()
            .filter(|((system, key), _)| self.of(system, key).is_none());
        missing.map(|((system, key), why)| (&**system, *key, &**why))
    }

    /// The median of a system's; `None` if it could not be measured.
    pub fn of(&self, system: &str, key: &'static str) -> Option<f64> {
        median(self.values.get(&(system.to_owned(), key))?)
    }

    /// Ours to the best peer's, above 1 where we are ahead, and whose that is.
    pub fn ratio(&self, metric: &Metric, systems: &[&str]) -> Option<(f64, String)> {
        let peers = systems.iter().filter(|name| ![OURS, RAW].contains(name));
        peers
            .filter_map(|peer| Some((self.ahead(metric, peer)?, (*peer).to_owned())))
            .min_by(|one, other| one.0.total_cmp(&other.0))
    }

    /// Ours to another's, above 1 where we are ahead.
    pub fn ahead(&self, metric: &Metric, other: &str) -> Option<f64> {
        let (ours, theirs) = (self.of(OURS, metric.key)?, self.of(other, metric.key)?);
        let ratio = match metric.unit {
            Unit::JobsPerSecond => ours / theirs,
            _ => theirs / ours,
        };
        ratio.is_finite().then_some(ratio)
    }

    /// How we stand beside a snapshot that is held.
    ///
    /// Of those that keep up with the load, by the time to pickup; where we or all peers do not, by the rate.
    pub fn snapshot_ratio(&self, systems: &[&str]) -> Option<f64> {
        let keeps_up = |system: &str| {
            let rate = self.of(system, "X rate");
            rate.is_some_and(|rate| rate >= KEEPS_UP * f64::from(OFFERED))
        };
        let theirs: Vec<&str> = systems
            .iter()
            .copied()
            .filter(|name| [OURS, RAW].contains(name) || keeps_up(name))
            .collect();
        let peers = theirs.iter().filter(|name| ![OURS, RAW].contains(name));
        let ratio = if keeps_up(OURS) && peers.count() > 0 {
            let p99 = Metric {
                key: "X p99",
                unit: Unit::Milliseconds,
            };
            self.ratio(&p99, &theirs)
        } else {
            let rate = Metric {
                key: "X rate",
                unit: Unit::JobsPerSecond,
            };
            self.ratio(&rate, systems)
        };
        ratio.map(|(ratio, _)| ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Metric = Metric {
        key: "X rate",
        unit: Unit::JobsPerSecond,
    };
    const P99: Metric = Metric {
        key: "X p99",
        unit: Unit::Milliseconds,
    };

    fn figures(all: &[(&str, f64, f64)]) -> (Figures, Vec<&'static str>) {
        let mut figures = Figures::default();
        for (system, rate, p99) in all {
            figures.add(system, &RATE, *rate);
            figures.add(system, &P99, *p99);
        }
        (figures, vec![OURS, "one", "other", RAW])
    }

    #[test]
    fn a_ratio_is_to_the_best_peer_and_above_one_when_ahead() {
        let all = [
            (OURS, 30.0, 2.0),
            ("one", 10.0, 6.0),
            ("other", 20.0, 8.0),
            (RAW, 90.0, 0.1),
        ];
        let (figures, systems) = figures(&all);
        assert_eq!(
            figures.ratio(&RATE, &systems),
            Some((1.5, "other".to_owned()))
        );
        assert_eq!(figures.ratio(&P99, &systems), Some((3.0, "one".to_owned())));
    }

    #[test]
    fn beside_a_snapshot_only_those_that_keep_up_are_quick() {
        let (figures, systems) = figures(&[
            (OURS, 800.0, 4.0),
            ("one", 799.0, 8.0),
            ("other", 300.0, 1.0),
        ]);
        assert_eq!(figures.snapshot_ratio(&systems), Some(2.0));
    }

    #[test]
    fn who_does_not_keep_up_is_judged_by_the_rate() {
        let (figures, systems) = figures(&[
            (OURS, 400.0, 1.0),
            ("one", 799.0, 8.0),
            ("other", 800.0, 9.0),
        ]);
        assert_eq!(figures.snapshot_ratio(&systems), Some(0.5));
    }
}
