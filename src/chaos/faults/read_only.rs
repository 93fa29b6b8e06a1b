//! The primary takes no writes for a while: by its own setting, or because everybody is led to its standby.

use std::time::Duration;

use sqlx::Connection;

use super::{all_run, until_at_work};
use crate::bench::progress::Progress;
use crate::chaos::fleet::Member;
use crate::chaos::journal::{self, Fault};
use crate::chaos::proxy::Fate;
use crate::chaos::stage::Stage;
use crate::chaos::store;

/// So many attempts begin between two times.
const STARTS: usize = 10;
/// For how long nothing can be written.
const TIME: Duration = Duration::from_millis(1_500);

/// Takes the right to write away `count` times.
pub(in crate::chaos) async fn read_only(
    stage: &mut Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("times read-only", count);
    for number in 0..count {
        if number % 2 == 1 && stage.standby.is_none() {
            stage.add_standby().await?;
        }
        let at = journal::now();
        match stage.standby.as_ref().filter(|_| number % 2 == 1) {
            Some(standby) => {
                stage.proxy.lead_to(standby.socket());
                stage.proxy.decide(Fate::Reset);
                tokio::time::sleep(TIME).await;
                // Who is connected to the standby stays so, as after a demotion: it is for them to notice.
                stage.proxy.lead_to(stage.primary.socket());
            }
            None => {
                let mut superuser = stage.superuser().await?;
                store::set_read_only(&mut superuser, true).await?;
                tokio::time::sleep(TIME).await;
                store::set_read_only(&mut superuser, false).await?;
                superuser.close().await?;
            }
        }
        stage.journal.fault(at, Fault::ReadOnly)?;
        until_at_work(stage, journal::now(), STARTS).await?;
        progress.at(number + 1);
    }
    all_run(fleet)
}
