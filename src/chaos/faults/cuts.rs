//! The network between everybody and the database is broken in five ways.

use std::time::Duration;

use super::{all_run, until_at_work};
use crate::bench::progress::Progress;
use crate::chaos::fleet::Member;
use crate::chaos::journal::{self, Fault};
use crate::chaos::proxy::{Fate, Side};
use crate::chaos::stage::Stage;

/// So many attempts begin between two cuts.
const STARTS: usize = 10;
/// How long nothing comes through.
const STALL: Duration = Duration::from_millis(1_200);

/// In how many ways connections end.
const WAYS: [Fate; 5] = [
    Fate::Reset,
    Fate::HalfClose(Side::Client),
    Fate::HalfClose(Side::Server),
    Fate::Hold,
    Fate::Forget,
];

/// Cuts the network `count` times, in one way after the other.
pub(in crate::chaos) async fn cuts(
    stage: &Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("cuts of the network", count);
    for (number, way) in WAYS.into_iter().cycle().take(count).enumerate() {
        let at = journal::now();
        stage.proxy.decide(way);
        match way {
            Fate::Hold => {
                stage.proxy.decide_newcomers(Fate::Hold);
                tokio::time::sleep(STALL).await;
                stage.proxy.decide(Fate::Flow);
                stage.proxy.decide_newcomers(Fate::Flow);
            }
            Fate::Forget => {
                stage.proxy.decide_newcomers(Fate::Hold);
                tokio::time::sleep(STALL).await;
                stage.proxy.decide_newcomers(Fate::Flow);
            }
            _ => {}
        }
        stage.journal.fault(at, Fault::Cut)?;
        until_at_work(stage, journal::now(), STARTS).await?;
        progress.at(number + 1);
    }
    all_run(fleet)
}
