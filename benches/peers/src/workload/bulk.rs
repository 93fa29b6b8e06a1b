//! A2: jobs enqueued in bulks of a thousand, one after the other.

use std::time::Instant;

use anyhow::{Result, ensure};
use async_trait::async_trait;

use super::{Bench, Metric, Unit, Workload, per, per_job};
use crate::stock::Stock;
use crate::system::{BULK, System};

/// A2.
pub struct Bulk;

#[async_trait]
impl Workload for Bulk {
    fn title(&self) -> String {
        "bulk of 1,000".to_owned()
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric {
                key: "A2",
                unit: Unit::JobsPerSecond,
            },
            Metric {
                key: "A2 WAL",
                unit: Unit::BytesPerJob,
            },
        ]
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        let run = Stock::Empty.copy(&bench.place, system).await?;
        let producer = system.producer(&bench.place.url(&run), 1).await?;
        // The first one finds everything cold.
        producer.many(0..BULK).await?;
        let wal = bench.place.wal().await?;
        let began = Instant::now();
        let mut enqueued = 0;
        while began.elapsed() < bench.sizes.enqueueing {
            let first = BULK + enqueued;
            producer.many(first..first + BULK).await?;
            enqueued += BULK;
        }
        let rate = per(enqueued, began.elapsed().as_secs_f64());
        let wal = bench.place.wal().await? - wal;
        let waiting = producer.unfinished().await?;
        ensure!(
            waiting == BULK + enqueued,
            "{waiting} jobs wait of {} enqueued",
            BULK + enqueued
        );
        drop(producer);
        bench.place.drop(&run).await?;
        Ok(vec![rate, per_job(wal, enqueued)])
    }
}
