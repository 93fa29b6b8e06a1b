//! Have every org's leads scored again.

use domain::clock::Timestamp;
use queue::{Attempt, Job, JobResult, Key};
use serde::{Deserialize, Serialize};

use crate::RefreshOrgScores;
use crate::context::Ctx;

/// One job an org, so that a large org does not keep the others waiting.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshScores {
    /// The nominal time of the run.
    pub due_at: Timestamp,
}

impl Job for RefreshScores {
    const NAME: &'static str = "refresh_scores";
    const QUEUE: &'static str = "sweep";

    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        Some(Key::of(self.due_at.timestamp()))
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let first = |org| RefreshOrgScores {
            org,
            due_at: self.due_at,
            after: None,
        };
        ctx.for_each_org(attempt, first).await
    }
}
