//! C: how soon an idle worker of another process begins a job, from its commit on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use tokio::time::MissedTickBehavior;

use super::{Bench, Metric, Unit, Workload, pickups, verify};
use crate::clock;
use crate::crew::Crew;
use crate::stats::percentile;
use crate::stock::Stock;
use crate::system::System;

/// Between two jobs; all are idle by then.
const EVERY: Duration = Duration::from_millis(20);
/// Jobs that find everything cold, which are not timed.
const COLD: u64 = 25;
/// How long the last may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many jobs.
pub struct Latency(pub u64);

#[async_trait]
impl Workload for Latency {
    fn title(&self) -> String {
        "pickup, one job per 20 ms".to_owned()
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric {
                key: "C_p50",
                unit: Unit::Milliseconds,
            },
            Metric {
                key: "C_p99",
                unit: Unit::Milliseconds,
            },
        ]
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        let run = Stock::Empty.copy(&bench.place, system).await?;
        let url = bench.place.url(&run);
        let producer = system.producer(&url, 2).await?;
        let mut crew = Crew::start(system, &url, 1, true).await?;
        crew.go().await?;
        // A worker that begins late must not find many jobs at once.
        producer.one(0).await?;
        tokio::time::timeout(PATIENCE, crew.has_run(1))
            .await
            .context("the first job does not run")??;
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let jobs = COLD + self.0;
        let mut commits = Vec::new();
        for number in 1..jobs {
            ticks.tick().await;
            producer.one(number).await?;
            commits.push((number, clock::now()));
        }
        tokio::time::timeout(PATIENCE, crew.has_run(jobs))
            .await
            .context("jobs do not run")??;
        let (said, begins) = crew.stop().await?;
        ensure!(said.runs == jobs, "{} runs of {jobs} jobs", said.runs);
        let mut times = pickups(&commits[usize::try_from(COLD)? - 1..], &begins)?;
        verify(&*producer, jobs, said.runs, 0).await?;
        drop(producer);
        bench.place.drop(&run).await?;
        let mut at = |percent| percentile(&mut times, percent).context("nothing was timed");
        Ok(vec![at(50)?, at(99)?])
    }
}
