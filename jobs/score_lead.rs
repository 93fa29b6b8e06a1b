//! Score a lead, and tell its rep when that is news.

use domain::actor::Act;
use domain::command::{self, CommandError, Scored};
use domain::id::{LeadId, OrgId};
use domain::score::Cause;
use queue::{Attempt, EnqueueError, Job, JobResult, Outcome, enqueue};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use tracing::info;
use uuid::Uuid;

use crate::context::Ctx;
use crate::{NotifyRep, Reason};

/// Scoring again gives the same score and tells nobody anything.
///
/// It has no key: a job that is running may have read the lead before the change that asks for this one.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScoreLead {
    /// The org.
    pub org: OrgId,
    /// The lead.
    pub lead: LeadId,
    /// Why it is scored.
    pub trigger: Cause,
}

impl Job for ScoreLead {
    const NAME: &'static str = "score_lead";
    const QUEUE: &'static str = "score";

    type Ctx = Ctx;

    fn lane(&self) -> Option<Uuid> {
        Some(self.org.uuid())
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.begin(self.org, attempt).await?;
        let act = ctx.act(self.org, attempt);
        let scored = match score(&mut tx, &act, self.lead, self.trigger).await {
            Ok(Some(scored)) => scored,
            Ok(None) => return Ok(Outcome::skip("the organisation scores by no profile")),
            Err(ScoreError::Refused(CommandError::NotFound(what))) => {
                return Ok(Outcome::skip(format!("{what} not found")));
            }
            Err(error) => return Err(error.into()),
        };
        ctx.commit(tx).await?;
        ctx.lead_changed(self.org, self.lead).await;

        let total = scored.score.total;
        info!(lead.id = %self.lead, score = total, "Scored lead {} at {total}", self.lead);
        Ok(Outcome::DoneWith(
            json!({"score": total, "band": scored.score.band, "previous": scored.previous}),
        ))
    }
}

/// Why a lead was not scored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScoreError {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// What follows could not be enqueued.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
}

/// Scores a lead, and leaves the job that tells its rep when that is news.
pub(crate) async fn score(
    tx: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    trigger: Cause,
) -> Result<Option<Scored>, ScoreError> {
    let Some(scored) = command::record_score(tx, act, lead, trigger).await? else {
        return Ok(None);
    };
    // The nightly run may have come to a new lead first, and tells nobody that there is one.
    let is_new = scored.previous.is_none() || trigger == Cause::Created;
    let reason = if is_new {
        Some(Reason::Scored)
    } else if scored.turned_hot() {
        Some(Reason::TurnedHot)
    } else if scored.qualified {
        Some(Reason::Qualified)
    } else {
        None
    };
    if let Some(reason) = reason {
        let org = act.org;
        enqueue(tx, &NotifyRep { org, lead, reason }).await?;
    }
    Ok(Some(scored))
}
