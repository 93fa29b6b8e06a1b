//! B: a backlog worked off, from the first job that runs until the outcome of the last is stored.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;

use super::{Bench, Metric, Unit, Workload, per, per_job, verify};
use crate::clock;
use crate::crew::Crew;
use crate::stock::Stock;
use crate::system::System;

/// So many jobs by so many processes.
pub struct Drain {
    jobs: u64,
    processes: usize,
    metrics: &'static [Metric],
}

/// What came of a drain.
pub struct Drained {
    /// Jobs a second.
    pub rate: f64,
    /// Bytes of log a job.
    pub wal: f64,
}

impl Drain {
    /// B1.
    pub fn by_one(jobs: u64) -> Self {
        Self {
            jobs,
            processes: 1,
            metrics: &[
                Metric {
                    key: "B1",
                    unit: Unit::JobsPerSecond,
                },
                Metric {
                    key: "B1 WAL",
                    unit: Unit::BytesPerJob,
                },
            ],
        }
    }

    /// B2.
    pub fn by_two(jobs: u64) -> Self {
        Self {
            jobs,
            processes: 2,
            metrics: &[
                Metric {
                    key: "B2",
                    unit: Unit::JobsPerSecond,
                },
                Metric {
                    key: "B2 WAL",
                    unit: Unit::BytesPerJob,
                },
            ],
        }
    }
}

#[async_trait]
impl Workload for Drain {
    fn title(&self) -> String {
        let jobs = self.jobs / 1000;
        match self.processes {
            1 => format!("drain of {jobs}k, 1 process"),
            count => format!("drain of {jobs}k, {count} processes"),
        }
    }

    fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        let stock = Stock::Backlog(self.jobs);
        let drained = drain(bench, system, stock, self.jobs, 0, self.processes).await?;
        Ok(vec![drained.rate, drained.wal])
    }
}

/// Works off the `jobs` that wait in a copy of `stock` beside `finished` ones.
pub async fn drain(
    bench: &Bench,
    system: &dyn System,
    stock: Stock,
    jobs: u64,
    finished: u64,
    processes: usize,
) -> Result<Drained> {
    let run = stock.copy(&bench.place, system).await?;
    let url = bench.place.url(&run);
    let producer = system.producer(&url, 1).await?;
    let wal = bench.place.wal().await?;
    let mut crew = Crew::start(system, &url, processes, false).await?;
    crew.go().await?;
    crew.has_run(jobs).await?;
    while !producer.is_drained().await? {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let ended = clock::now();
    let wal = bench.place.wal().await? - wal;
    let (said, _) = crew.stop().await?;
    let rate = per(jobs, clock::seconds(said.first, ended));
    verify(&*producer, jobs + finished, said.runs + finished, 0).await?;
    drop(producer);
    bench.place.drop(&run).await?;
    Ok(Drained {
        rate,
        wal: per_job(wal, jobs),
    })
}
