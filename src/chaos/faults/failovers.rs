//! The primary is killed and its standby takes its place; everybody follows by our own way.

use super::{all_run, until_at_work};
use crate::bench::progress::Progress;
use crate::chaos::fleet::Member;
use crate::chaos::journal::{self, Fault};
use crate::chaos::proxy::Fate;
use crate::chaos::stage::Stage;

/// So many attempts begin between two failovers.
const STARTS: usize = 10;

/// Fails over `count` times, each time to a standby that has every commit.
pub(in crate::chaos) async fn failovers(
    stage: &mut Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("failovers", count);
    for number in 0..count {
        if stage.standby.is_none() {
            stage.add_standby().await?;
        }
        until_at_work(stage, journal::now(), STARTS).await?;
        let Some(standby) = stage.standby.take() else {
            continue;
        };
        let at = journal::now();
        stage.primary.kill().await?;
        standby.promote().await?;
        stage.proxy.lead_to(standby.socket());
        stage.proxy.decide(Fate::Reset);
        stage.journal.fault(at, Fault::Failover)?;
        let old = std::mem::replace(&mut stage.primary, standby);
        old.stop().await?;
        until_at_work(stage, journal::now(), STARTS).await?;
        progress.at(number + 1);
    }
    all_run(fleet)
}
