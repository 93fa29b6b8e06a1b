//! Score the open leads of an org again, a chunk a job.

use domain::clock::Timestamp;
use domain::command;
use domain::id::{LeadId, OrgId, RunId};
use queue::{Attempt, Job, JobResult, Key, Outcome, enqueue_many};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::info;
use uuid::Uuid;

use crate::context::Ctx;
use crate::{NotifyRep, Reason};

/// Most leads per chunk: enough that a statement is worth its round trip, few enough that locks are short.
const CHUNK: usize = 5_000;

/// The next chunk's job is committed with the chunk, so a run goes on where it stopped. Done again, a chunk writes
/// nothing twice.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshOrgScores {
    /// The org.
    pub org: OrgId,
    /// The nominal time of the run.
    pub due_at: Timestamp,
    /// The last lead of the chunk before; none: this is the first.
    pub after: Option<LeadId>,
}

impl Job for RefreshOrgScores {
    const NAME: &'static str = "refresh_org_scores";
    const QUEUE: &'static str = "score";
    /// Behind leads that just came in.
    const PRIORITY: i16 = 10;

    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        let after = self.after.map_or(Uuid::nil(), |lead| lead.uuid());
        Some(Key::of(self.org).and(self.due_at.timestamp()).and(after))
    }

    fn lane(&self) -> Option<Uuid> {
        Some(self.org.uuid())
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.db.org(self.org).await?;
        attempt.fence(&mut tx).await?;
        let mut act = ctx.act(self.org, attempt);
        act.at = self.due_at;
        let chunk = command::rescore_chunk(&mut tx, &act, self.run_id(), self.after, CHUNK).await?;
        let notify = |reason| {
            move |lead: &LeadId| NotifyRep {
                org: self.org,
                lead: *lead,
                reason,
            }
        };
        let hot = chunk.turned_hot.iter().map(notify(Reason::TurnedHot));
        let qualified = chunk.qualified.iter().map(notify(Reason::Qualified));
        let news: Vec<_> = hot.chain(qualified).collect();
        enqueue_many(&mut tx, &news).await?;
        if let Some(next) = chunk.next {
            let (org, due_at, after) = (self.org, self.due_at, Some(next));
            let next = Self { org, due_at, after };
            attempt.enqueue_beside(&mut tx, &next).await?;
        }
        ctx.commit(tx).await?;

        info!(
            org.id = %self.org,
            "Looked at {} leads of org {}, {} have another score",
            chunk.seen, self.org, chunk.scored
        );
        Ok(Outcome::DoneWith(
            json!({"seen": chunk.seen, "scored": chunk.scored}),
        ))
    }
}

impl RefreshOrgScores {
    /// The same whenever the run is done again, so that no score is kept twice.
    fn run_id(&self) -> RunId {
        let name = format!("{}:{}", self.org, self.due_at.timestamp());
        let digest = Sha256::digest(name);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
    }
}
