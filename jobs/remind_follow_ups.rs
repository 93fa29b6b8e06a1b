//! Have the reps of every org reminded of whom they wanted to come back to.

use domain::clock::Timestamp;
use queue::{Attempt, Batch, Job, JobResult, Key, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::RemindOrgFollowUps;
use crate::context::Ctx;

/// One job an org, together a batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemindFollowUps {
    /// The nominal time of the run.
    pub due_at: Timestamp,
}

impl Job for RemindFollowUps {
    const NAME: &'static str = "remind_follow_ups";
    const QUEUE: &'static str = "sweep";

    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        Some(Key::of(self.due_at.timestamp()))
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.db.platform().await?;
        attempt.fence(&mut tx).await?;
        let orgs = ctx.active_orgs(&mut tx).await?;
        let remind = |org| RemindOrgFollowUps {
            org,
            due_at: self.due_at,
        };
        let jobs: Vec<_> = orgs.into_iter().map(remind).collect();
        let count = jobs.len();
        let batch = Batch::new(Self::NAME).enqueue(&mut tx, jobs).await?;
        ctx.commit(tx).await?;
        Ok(Outcome::DoneWith(json!({"orgs": count, "batch": batch})))
    }
}
