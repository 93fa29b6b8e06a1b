//! Have the reps of every org reminded of whom they wanted to come back to.

use domain::clock::Timestamp;
use queue::{Attempt, Job, JobResult, Key};
use serde::{Deserialize, Serialize};

use crate::RemindOrgFollowUps;
use crate::context::Ctx;

/// One job an org.
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
        let remind = |org| RemindOrgFollowUps {
            org,
            due_at: self.due_at,
        };
        ctx.for_each_org(attempt, remind).await
    }
}
