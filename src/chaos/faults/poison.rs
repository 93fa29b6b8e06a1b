//! Jobs that take their worker down, panic, want all memory, or cannot be read. Each ends as a dead letter, and those in
//! its company do not.

use std::time::{Duration, Instant};

use crate::bench::progress::Progress;
use crate::chaos::fleet::{Member, Model};
use crate::chaos::jobs::Harm;
use crate::chaos::producer::Ware;
use crate::chaos::stage::Stage;
use crate::chaos::store;

/// How many workers take poison.
const WORKERS: usize = 2;
/// How often it is looked whether one has died.
const LOOK: Duration = Duration::from_millis(50);

/// Whether memory can be limited here, so that a job can run out of it and the machine cannot.
pub(in crate::chaos) const HAS_HOGS: bool = cfg!(target_os = "linux");

/// Enqueues `count` of each poison, and starts a worker anew whenever one dies of it, until none is left.
pub(in crate::chaos) async fn poisons(
    stage: &Stage,
    count: usize,
    patience: Duration,
) -> anyhow::Result<()> {
    let progress = Progress::begin("poisons", count * 4);
    let model = Model {
        poison: true,
        ..Model::PLAIN
    };
    let mut fleet = stage.yard.fleet(WORKERS, model)?;
    let mut superuser = stage.superuser().await?;
    let until = Instant::now() + patience;
    let mut line = None;
    for round in 0..count {
        let harms = [Harm::Abort, Harm::Panic, Harm::Hog];
        let harms = harms
            .into_iter()
            .filter(|harm| HAS_HOGS || *harm != Harm::Hog);
        for ware in harms.map(Ware::Poison).chain([Ware::Garble]) {
            stage.producer.offer(&mut line, ware).await?;
        }
        while store::count_poison(&mut superuser).await? > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            revive(stage, &mut fleet, model).await?;
        }
        progress.at((round + 1) * 4);
    }
    for member in fleet {
        member.retire().await?;
    }
    Ok(())
}

async fn revive(stage: &Stage, fleet: &mut [Member], model: Model) -> anyhow::Result<()> {
    for member in fleet {
        if member.must_run().is_err() {
            member.dies().await?;
            *member = stage.yard.start(model)?;
        }
    }
    Ok(())
}
