//! R: a drain beside many jobs that are finished and kept.

use anyhow::{Result, bail};
use async_trait::async_trait;

use super::drain::drain;
use super::{Bench, Metric, Unit, Workload};
use crate::stock::Stock;
use crate::system::{self, System};

/// So many finished jobs.
pub struct Kept(pub u64);

#[async_trait]
impl Workload for Kept {
    fn title(&self) -> String {
        format!("drain of 100k, {}k finished kept", self.0 / 1000)
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric {
            key: "R",
            unit: Unit::JobsPerSecond,
        }]
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        if let system::Kept::Never(why) = system.kept() {
            bail!("{why}");
        }
        let waiting = bench.sizes.backlog;
        let stock = Stock::Kept {
            finished: self.0,
            waiting,
        };
        let drained = drain(bench, system, stock, waiting, self.0, 1).await?;
        Ok(vec![drained.rate])
    }
}
