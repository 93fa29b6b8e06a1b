//! Workers are killed at work, one after the other, and others started in their place.

use std::time::Duration;

use super::until_at_work;
use crate::bench::progress::Progress;
use crate::chaos::fleet::{Member, Model};
use crate::chaos::journal;
use crate::chaos::stage::Stage;

/// The shortest time between two kills.
const APART: Duration = Duration::from_millis(250);
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
    for number in 0..count {
        let from = journal::now();
        tokio::time::sleep(APART).await;
        until_at_work(stage, from, STARTS).await?;
        let slot = &mut fleet[number % workers];
        let victim = std::mem::replace(slot, stage.yard.start(Model::PLAIN)?);
        victim.kill().await?;
        progress.at(number + 1);
    }
    Ok(())
}
