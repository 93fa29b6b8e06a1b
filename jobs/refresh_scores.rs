//! Have every org's leads scored anew.

use domain::clock::Timestamp;
use queue::{Attempt, Batch, Job, JobResult, Key, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::RefreshOrgScores;
use crate::context::Ctx;

/// One job an org, so that a large org does not keep the others waiting; together they are a batch, which shows how far the
/// run has got.
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
        let mut tx = ctx.db.platform().await?;
        attempt.fence(&mut tx).await?;
        let orgs = ctx.active_orgs(&mut tx).await?;
        let first = |org| RefreshOrgScores {
            org,
            due_at: self.due_at,
            after: None,
        };
        let jobs: Vec<_> = orgs.into_iter().map(first).collect();
        let count = jobs.len();
        let batch = Batch::new(Self::NAME).enqueue(&mut tx, jobs).await?;
        ctx.commit(tx).await?;
        Ok(Outcome::DoneWith(json!({"orgs": count, "batch": batch})))
    }
}
