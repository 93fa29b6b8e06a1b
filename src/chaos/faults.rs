//! What is broken, one way a file. Each leaves everything whole again.

mod cuts;
mod deploys;
mod disk_full;
mod exhaustion;
mod failovers;
mod kills;
mod pauses;
mod poison;
mod read_only;
mod restarts;

use std::time::{Duration, Instant};

use super::fleet::Member;
use super::journal::{self, Seen};
use super::stage::Stage;

pub(super) use cuts::cuts;
pub(super) use deploys::deploys;
pub(super) use disk_full::{DiskFull, disk_full};
pub(super) use exhaustion::exhaustions;
pub(super) use failovers::failovers;
pub(super) use kills::kills;
pub(super) use pauses::pauses;
pub(super) use poison::{HAS_HOGS, poisons};
pub(super) use read_only::read_only;
pub(super) use restarts::restarts;

/// How long work may take to go on after an outage before it is given up on.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `more` attempts have begun since `from`, however slow the machine is: what is broken next is to hit work.
async fn until_at_work(stage: &Stage, from: i64, more: usize) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        let starts = journal::recent(&stage.dir, from, |seen| matches!(seen, Seen::Start { .. }))?;
        if starts >= more {
            return Ok(());
        }
    }
    // That it never went on is for the judge to say.
    Ok(())
}

/// Nobody has ended that was not meant to.
fn all_run(fleet: &mut [Member]) -> anyhow::Result<()> {
    fleet.iter_mut().try_for_each(Member::must_run)
}
