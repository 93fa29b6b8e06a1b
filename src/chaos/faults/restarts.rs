//! The database is restarted, every second time by killing it.

use std::time::Duration;

use super::{all_run, until_at_work};
use crate::bench::progress::Progress;
use crate::chaos::fleet::Member;
use crate::chaos::journal::{self, Fault};
use crate::chaos::stage::Stage;

/// So many attempts begin between two outages.
const STARTS: usize = 10;

/// Restarts the database `count` times.
pub(in crate::chaos) async fn restarts(
    stage: &Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("restarts of the database", count);
    for number in 0..count {
        let at = journal::now();
        let kind = if number % 2 == 0 {
            stage.primary.kill().await?;
            Fault::Crash
        } else {
            stage.primary.halt().await?;
            Fault::Restart
        };
        // Now and then for longer than the lease.
        let away = if number % 4 == 3 {
            stage.yard.lease.mul_f64(1.2)
        } else {
            Duration::from_millis(100 + u64::from(rand::random::<u8>()) * 3)
        };
        tokio::time::sleep(away).await;
        stage.primary.revive().await?;
        stage.journal.fault(at, kind)?;
        until_at_work(stage, journal::now(), STARTS).await?;
        progress.at(number + 1);
    }
    all_run(fleet)
}
