//! X: a steady load beside a snapshot that somebody holds, and without it: what is dead stays, and is in the way.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use futures::future::try_join_all;
use sqlx::{Connection, PgConnection};

use super::{Bench, Metric, Unit, Workload, per, pickups, verify};
use crate::clock;
use crate::crew::Crew;
use crate::sizes::Sizes;
use crate::stats::percentile;
use crate::stock::Stock;
use crate::system::System;

/// Jobs a second.
pub const OFFERED: u32 = 800;
/// Who enqueues them, each its share.
const PRODUCERS: u32 = 8;
/// How long the last job may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Servers tell what they did only so often.
const TOLD: Duration = Duration::from_millis(1500);

/// For so long.
pub struct Snapshot {
    time: Duration,
    /// Without one too.
    without: bool,
}

impl Snapshot {
    /// Of this size.
    pub fn of(sizes: &Sizes) -> Self {
        Self {
            time: sizes.snapshot,
            without: sizes.no_snapshot,
        }
    }
}

/// What is measured while one is held.
const HELD: [Metric; 3] = [
    Metric {
        key: "X rate",
        unit: Unit::JobsPerSecond,
    },
    Metric {
        key: "X p99",
        unit: Unit::Milliseconds,
    },
    Metric {
        key: "X dead",
        unit: Unit::DeadTuples,
    },
];

/// And while none is.
const WITH_AND_WITHOUT: [Metric; 6] = {
    let [rate, p99, dead] = HELD;
    [
        rate,
        p99,
        dead,
        Metric {
            key: "X rate, no snapshot",
            unit: Unit::JobsPerSecond,
        },
        Metric {
            key: "X p99, no snapshot",
            unit: Unit::Milliseconds,
        },
        Metric {
            key: "X dead, no snapshot",
            unit: Unit::DeadTuples,
        },
    ]
};

#[async_trait]
impl Workload for Snapshot {
    fn title(&self) -> String {
        let seconds = self.time.as_secs();
        format!("{OFFERED} jobs/s, a snapshot held for {seconds} s (last third)")
    }

    fn metrics(&self) -> &'static [Metric] {
        if self.without {
            &WITH_AND_WITHOUT
        } else {
            &HELD
        }
    }

    fn rounds(&self, sizes: &Sizes) -> usize {
        sizes.snapshot_rounds
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        let mut figures = self.load(bench, system, true).await?;
        if self.without {
            figures.extend(self.load(bench, system, false).await?);
        }
        Ok(figures)
    }
}

impl Snapshot {
    async fn load(&self, bench: &Bench, system: &dyn System, held: bool) -> Result<Vec<f64>> {
        let run = Stock::Empty.copy(&bench.place, system).await?;
        let url = bench.place.url(&run);
        let producer = system.producer(&url, PRODUCERS).await?;
        let mut crew = Crew::start(system, &url, 1, true).await?;
        crew.go().await?;
        producer.one(u64::MAX >> 1).await?;
        tokio::time::timeout(PATIENCE, crew.has_run(1))
            .await
            .context("the first job does not run")??;
        let mut holder = PgConnection::connect(&url).await?;
        if held {
            let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
            sqlx::raw_sql(hold).execute(&mut holder).await?;
        }
        let began = Instant::now();
        let end = began + self.time;
        let every = Duration::from_secs(1) * PRODUCERS / OFFERED;
        let producers = (0..PRODUCERS).map(|number| {
            let producer = &*producer;
            async move {
                let mut commits = Vec::new();
                // Late jobs are made up for until the time is over: the load does not wait for the system.
                let mut due = began + every * number / PRODUCERS;
                while due < end && Instant::now() < end {
                    tokio::time::sleep_until(due.into()).await;
                    let job = u64::from(number) << 32 | commits.len() as u64;
                    producer.one(job).await?;
                    commits.push((job, clock::now()));
                    due += every;
                }
                anyhow::Ok(commits)
            }
        });
        let mut commits = try_join_all(producers).await?.concat();
        let ended = clock::now();
        let jobs = commits.len() as u64 + 1;
        tokio::time::timeout(PATIENCE, crew.has_run(jobs))
            .await
            .context("jobs do not run")??;
        tokio::time::sleep(TOLD).await;
        let dead: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_all_tables WHERE schemaname !~ '^pg_'",
        )
        .fetch_one(&mut PgConnection::connect(&url).await?)
        .await?;
        drop(holder);
        let (said, begins) = crew.stop().await?;
        ensure!(said.runs == jobs, "{} runs of {jobs} jobs", said.runs);
        verify(&*producer, jobs, said.runs, 0).await?;
        drop(producer);
        bench.place.drop(&run).await?;

        let third = self.time / 3;
        let from = ended - u64::try_from(third.as_nanos())?;
        let late = |begin: &&(u64, u64)| (from..ended).contains(&begin.1);
        let ran = begins.iter().filter(late).count();
        commits.retain(|commit| commit.1 >= from);
        let mut times = pickups(&commits, &begins)?;
        let p99 = percentile(&mut times, 99).context("nothing was timed")?;
        let rate = per(ran as u64, third.as_secs_f64());
        Ok(vec![rate, p99, per(u64::try_from(dead)?, 1.0)])
    }
}
