//! Workers stand still for longer than their lease, and go on as if nothing had happened.

use std::time::Duration;

use super::{all_run, until_at_work};
use crate::bench::progress::Progress;
use crate::chaos::fleet::Member;
use crate::chaos::journal;
use crate::chaos::stage::Stage;

/// So many attempts begin between two rounds.
const STARTS: usize = 8;

/// Lets workers stand still `count` times, all but two of them at once.
pub(in crate::chaos) async fn pauses(
    stage: &Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("pauses past the lease", count);
    let mut done = 0;
    let lease = stage.yard.lease;
    while done < count {
        let from = journal::now();
        until_at_work(stage, from, STARTS).await?;
        // The others take turns.
        let at_once = fleet.len().saturating_sub(2).clamp(1, count - done);
        fleet.rotate_left(at_once);
        let paused = fleet.iter_mut().take(at_once).map(|member| {
            // From when the jobs are about to be taken back until they run elsewhere.
            let more = lease.mul_f64(0.1 + rand::random::<f64>() * 0.9);
            member.pause(lease + more)
        });
        for paused in futures::future::join_all(paused).await {
            paused?;
        }
        done += at_once;
        // Whoever stood still gets a lease again, and work.
        tokio::time::sleep(Duration::from_millis(700)).await;
        progress.at(done);
    }
    all_run(fleet)
}
