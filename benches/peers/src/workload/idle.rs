//! What ours asks of the database while there is nothing to do.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;

use super::{Bench, Metric, Unit, Workload, per};
use crate::crew::Crew;
use crate::sizes::Sizes;
use crate::stock::Stock;
use crate::system::System;

/// Not counted: a start asks for much.
const START: Duration = Duration::from_secs(4);

/// Nothing.
pub struct Idle;

#[async_trait]
impl Workload for Idle {
    fn title(&self) -> String {
        "idle, 1 process".to_owned()
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric {
            key: "idle",
            unit: Unit::PerSecond,
        }]
    }

    fn rounds(&self, _: &Sizes) -> usize {
        1
    }

    fn is_for_all(&self) -> bool {
        false
    }

    async fn run(&self, bench: &Bench, system: &dyn System) -> Result<Vec<f64>> {
        let run = Stock::Empty.copy(&bench.place, system).await?;
        let mut crew = Crew::start(system, &bench.place.url(&run), 1, false).await?;
        crew.go().await?;
        tokio::time::sleep(START).await;
        let before = transactions(bench, &run).await?;
        tokio::time::sleep(bench.sizes.idle).await;
        let asked = transactions(bench, &run).await? - before;
        crew.stop().await?;
        bench.place.drop(&run).await?;
        Ok(vec![per(asked, bench.sizes.idle.as_secs_f64())])
    }
}

/// Transactions of a database so far, asked from another.
async fn transactions(bench: &Bench, database: &str) -> Result<u64> {
    let all = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1";
    let all: i64 = sqlx::query_scalar(all)
        .bind(database)
        .fetch_one(&mut bench.place.lobby().await?)
        .await?;
    Ok(u64::try_from(all)?)
}
