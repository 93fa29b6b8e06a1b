//! D: the speed at which a deep backlog is worked on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;

use super::{Bench, Metric, Unit, Workload, per, verify};
use crate::clock;
use crate::crew::Crew;
use crate::stock::Stock;
use crate::system::System;

/// Not watched, as everything is cold, unless a tenth is done sooner.
const WARM_UP: Duration = Duration::from_millis(500);
/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(5);

/// So many jobs.
pub struct Deep(pub u64);

#[async_trait]
impl Workload for Deep {
    fn title(&self) -> String {
        format!("drain from a backlog of {}k", self.0 / 1000)
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric {
            key: "D",
            unit: Unit::JobsPerSecond,
        }]
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        let jobs = self.0;
        let run = Stock::Backlog(jobs).copy(&bench.place, system).await?;
        let url = bench.place.url(&run);
        let producer = system.producer(&url, 1).await?;
        let mut crew = Crew::start(system, &url, 1, false).await?;
        crew.go().await?;
        crew.has_run(1).await?;
        let began = Instant::now();
        while began.elapsed() < WARM_UP && crew.said().runs < jobs / 10 {
            tokio::time::sleep(LOOK).await;
        }
        let from = crew.said();
        let began = Instant::now();
        // Long before the end, where it is no longer deep.
        while began.elapsed() < bench.sizes.window && crew.said().runs < jobs / 10 * 8 {
            tokio::time::sleep(LOOK).await;
        }
        let to = crew.said();
        crew.check()?;
        let (said, _) = crew.stop().await?;
        ensure!(to.runs > from.runs, "nothing ran while it was watched");
        verify(&*producer, jobs, said.runs, jobs - said.runs).await?;
        drop(producer);
        bench.place.drop(&run).await?;
        let rate = per(to.runs - from.runs, clock::seconds(from.at, to.at));
        Ok(vec![rate])
    }
}
