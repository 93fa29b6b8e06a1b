//! Forget answers that nobody may ask for any more.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::store::{enrichment, idempotency};
use queue::{Attempt, Job, JobResult, Key, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Ctx;

/// Rows of a table that are deleted at a time: locks are short, and a run that is interrupted loses little.
const CHUNK: u64 = 1_000;
/// A run deletes about so many; what is left is the next one's, which follows at once.
const A_RUN: u64 = 100_000;

/// Looks at what has expired and takes no other input, so a missed tick or a second run needs no special path.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForgetExpired {
    /// The nominal time of the run.
    pub due_at: Timestamp,
}

impl Job for ForgetExpired {
    const NAME: &'static str = "forget_expired";
    const QUEUE: &'static str = "sweep";

    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        Some(Key::of(self.due_at.timestamp()))
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let orgs = ctx.active_orgs().await?;
        let now = ctx.clock.now();
        let (mut answers, mut looked_up) = (0, 0);
        for org in orgs {
            loop {
                let mut tx = ctx.begin(org, attempt).await?;
                let said = idempotency::forget(&mut tx, org, now, CHUNK).await?;
                let kept = enrichment::forget(&mut tx, org, now, CHUNK).await?;
                tx.commit().await?;
                answers += said;
                looked_up += kept;
                if said.max(kept) < CHUNK {
                    break;
                }
                if answers + looked_up >= A_RUN {
                    return Ok(Outcome::snooze(Duration::ZERO));
                }
            }
        }
        Ok(Outcome::DoneWith(
            json!({"answers": answers, "looked_up": looked_up}),
        ))
    }
}
