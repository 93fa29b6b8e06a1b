//! R: a drain beside many jobs that are finished and kept.

use anyhow::{Result, bail};
use async_trait::async_trait;

use super::drain::drain;
use super::{Bench, Metric, Unit, Workload};
use crate::stock::Stock;
use crate::system::{self, System};

/// A drain of some, beside finished ones.
pub struct Kept {
    /// Jobs that are finished.
    pub finished: u64,
    /// Jobs that wait.
    pub waiting: u64,
}

#[async_trait]
impl Workload for Kept {
    fn title(&self) -> String {
        let (waiting, finished) = (self.waiting / 1000, self.finished / 1000);
        format!("drain of {waiting}k, {finished}k finished kept")
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
        let Self { finished, waiting } = *self;
        let stock = Stock::Kept { finished, waiting };
        let drained = drain(bench, system, stock, waiting, finished, 1).await?;
        Ok(vec![drained.rate])
    }
}
