//! Forget answers that nobody may ask for any more.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::OrgId;
use domain::store::{enrichment, idempotency};
use queue::{Attempt, Job, JobResult, Key, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::context::Ctx;

/// Rows of a table that are deleted at a time: locks are short, and a run that is interrupted loses little.
const CHUNK: u64 = 1_000;
/// A run deletes about so many; what is left is the next one's, which follows at once.
const A_RUN: u64 = 100_000;

/// An attempt goes on for so long; the next one begins where it stopped.
const A_WHILE: Duration = Duration::from_secs(60);

/// How far a run has come, and what of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SoFar {
    /// The last org that was done with.
    last: Option<OrgId>,
    /// Answers to callers that were forgotten.
    answers: u64,
    /// Answers of providers.
    looked_up: u64,
}

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
        let (begun, now) = (Instant::now(), ctx.clock.now());
        let mut so_far: SoFar = attempt.checkpoint_of()?.unwrap_or_default();
        let mut deleted = 0;
        for org in ctx.active_orgs(so_far.last).await? {
            let mut more = true;
            while more {
                if deleted >= A_RUN || begun.elapsed() > A_WHILE {
                    return Ok(Outcome::snooze(Duration::ZERO));
                }
                let mut tx = ctx.begin(org, attempt).await?;
                let said = idempotency::forget(&mut tx, org, now, CHUNK).await?;
                let kept = enrichment::forget(&mut tx, org, now, CHUNK).await?;
                more = said.max(kept) >= CHUNK;
                deleted += said + kept;
                so_far.answers += said;
                so_far.looked_up += kept;
                if !more {
                    so_far.last = Some(org);
                }
                attempt.checkpoint(&mut tx, &so_far).await?;
                tx.commit().await?;
            }
        }
        Ok(Outcome::DoneWith(
            json!({"answers": so_far.answers, "looked_up": so_far.looked_up}),
        ))
    }
}
