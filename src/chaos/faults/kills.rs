//! Workers are killed at work, one after the other, and others started in their place.

use std::time::Duration;

use super::until_at_work;
use crate::bench::progress::Progress;
use crate::chaos::fleet::{Member, Model};
use crate::chaos::journal;
use crate::chaos::stage::Stage;

/// How long a worker lives at least: a little longer than the longest job, or none of those would ever end.
const LIFE: Duration = Duration::from_millis(3_600);
/// So many attempts begin between two kills.
const STARTS: usize = 4;

/// Kills `count` workers, one at a time.
pub(in crate::chaos) async fn kills(
    stage: &Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("kills", count);
    let workers = fleet.len();
    let apart = LIFE.div_f64(workers as f64);
    for number in 0..count {
        let from = journal::now();
        tokio::time::sleep(apart).await;
        until_at_work(stage, from, STARTS).await?;
        let slot = &mut fleet[number % workers];
        let victim = std::mem::replace(slot, stage.yard.start(Model::PLAIN)?);
        victim.kill().await?;
        progress.at(number + 1);
    }
    Ok(())
}
