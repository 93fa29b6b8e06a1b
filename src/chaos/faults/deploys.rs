//! Workers are replaced one by one, by a program that knows other kinds and versions, and back again.

use std::time::Duration;

use super::until_at_work;
use crate::bench::progress::Progress;
use crate::chaos::fleet::{Member, Model};
use crate::chaos::journal::{self, Build};
use crate::chaos::stage::Stage;

/// So many attempts begin between two replacements.
const STARTS: usize = 4;

/// Rolls `count` deploys over the fleet: to the old program, to the new one, and so on; it ends with the new one.
pub(in crate::chaos) async fn deploys(
    stage: &Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("rolling deploys", count);
    for number in 0..count {
        let build = if (count - number).is_multiple_of(2) {
            Build::Old
        } else {
            Build::New
        };
        let model = Model {
            build,
            ..Model::PLAIN
        };
        for member in fleet.iter_mut() {
            let from = journal::now();
            let next = stage.yard.start(model)?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            until_at_work(stage, from, STARTS).await?;
            std::mem::replace(member, next).retire().await?;
        }
        progress.at(number + 1);
    }
    Ok(())
}
