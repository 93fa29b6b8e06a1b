//! A1: jobs enqueued one by one, each committed before its producer goes on, by many producers at once.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use futures::future::try_join_all;

use super::{Bench, Metric, Unit, Workload, per};
use crate::stock::Stock;
use crate::system::{Producer, System};

/// So many producers, each with a connection if its system wants one.
pub struct Single {
    producers: u32,
    metrics: &'static [Metric],
}

impl Single {
    /// A1 with eight.
    pub const EIGHT: Self = Self {
        producers: 8,
        metrics: &[Metric {
            key: "A1x8",
            unit: Unit::JobsPerSecond,
        }],
    };

    /// A1 with sixty-four.
    pub const SIXTY_FOUR: Self = Self {
        producers: 64,
        metrics: &[Metric {
            key: "A1x64",
            unit: Unit::JobsPerSecond,
        }],
    };
}

#[async_trait]
impl Workload for Single {
    fn title(&self) -> String {
        format!("single enqueue, {} producers", self.producers)
    }

    fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        let run = Stock::Empty.copy(&bench.place, system).await?;
        let url = bench.place.url(&run);
        let producer = system.producer(&url, self.producers);
        let producer: Arc<dyn Producer> = Arc::from(producer.await?);
        let began = Instant::now();
        let until = began + bench.sizes.enqueueing;
        let producers = (0..u64::from(self.producers)).map(|number| {
            let producer = producer.clone();
            let producer = tokio::spawn(async move {
                let mut enqueued: u64 = 0;
                while Instant::now() < until {
                    producer.one(number << 32 | enqueued).await?;
                    enqueued += 1;
                }
                anyhow::Ok(enqueued)
            });
            async { producer.await? }
        });
        let enqueued = try_join_all(producers).await?.iter().sum();
        let rate = per(enqueued, began.elapsed().as_secs_f64());
        let waiting = producer.unfinished().await?;
        ensure!(
            waiting == enqueued,
            "{waiting} jobs wait of {enqueued} enqueued"
        );
        drop(producer);
        bench.place.drop(&run).await?;
        Ok(vec![rate])
    }
}
