//! Score the open leads of an org again, a stretch a job.
//!
//! A job first finds where its stretch ends and leaves the job of the next one, so that several of an org are scored at once:
//! as many as the pool works on. It remembers what it left, and is left itself until its own leads are done.

use std::collections::HashSet;

use domain::actor::Act;
use domain::clock::Timestamp;
use domain::command::{self, Stretch};
use domain::id::{LeadId, OrgId, RunId};
use domain::store::Tx;
use queue::{Attempt, Job, JobResult, Key, Outcome, enqueue_many};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::info;
use uuid::Uuid;

use crate::context::Ctx;
use crate::{NotifyRep, Reason};

/// Most leads of a stretch: enough that a statement is worth its round trip, few enough that locks are short.
const MOST: usize = 5_000;

/// Each stretch of a run is a job of its own, and done again it writes nothing twice.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshOrgScores {
    /// The org.
    pub org: OrgId,
    /// The nominal time of the run.
    pub due_at: Timestamp,
    /// The last lead of the stretch before; none: this is the first.
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
        let mut act = ctx.act(self.org, attempt);
        act.at = self.due_at;
        let Some((mut tx, stretch)) = self.begin(ctx, attempt, &act).await? else {
            return Ok(Outcome::DoneWith(json!({"seen": 0, "scored": 0})));
        };
        let rescored = command::rescore_stretch(&mut tx, &act, self.run_id(), &stretch).await?;
        let notify = |reason| {
            move |lead: &LeadId| NotifyRep {
                org: self.org,
                lead: *lead,
                reason,
            }
        };
        let hot = rescored.turned_hot.iter().map(notify(Reason::TurnedHot));
        // Becoming hot is the greater news, and told once it need not be told by another name.
        let turned_hot: HashSet<_> = rescored.turned_hot.iter().collect();
        let only_qualified = |lead: &&LeadId| !turned_hot.contains(lead);
        let qualified = rescored.qualified.iter().filter(only_qualified);
        let qualified = qualified.map(notify(Reason::Qualified));
        let news: Vec<_> = hot.chain(qualified).collect();
        enqueue_many(&mut tx, &news).await?;
        ctx.commit(tx).await?;

        info!(
            org.id = %self.org,
            "Looked at {} leads of org {}, and scored {} of which something else is known",
            rescored.seen, self.org, rescored.scored
        );
        Ok(Outcome::DoneWith(
            json!({"seen": rescored.seen, "scored": rescored.scored}),
        ))
    }
}

impl RefreshOrgScores {
    /// The leads to score, and the transaction to do so in; none: there are none. If others follow, their job is left first.
    async fn begin(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        act: &Act,
    ) -> anyhow::Result<Option<(Tx, Stretch)>> {
        let mut tx = ctx.begin(self.org, attempt).await?;
        if let Some(stretch) = attempt.checkpoint_of()? {
            return Ok(Some((tx, stretch)));
        }
        let stretch = command::next_stretch(&mut tx, act, self.after, MOST).await?;
        let stretch = match stretch {
            Some(stretch) if stretch.more => stretch,
            last => return Ok(last.map(|stretch| (tx, stretch))),
        };
        let next = Self {
            after: Some(stretch.until),
            ..*self
        };
        attempt.enqueue_beside(&mut tx, &next).await?;
        attempt.checkpoint(&mut tx, &stretch).await?;
        ctx.commit(tx).await?;
        Ok(Some((ctx.begin(self.org, attempt).await?, stretch)))
    }

    /// The same whenever the run is done again, so that no score is kept twice.
    fn run_id(&self) -> RunId {
        let name = format!("{}:{}", self.org, self.due_at.timestamp());
        let digest = Sha256::digest(name);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
    }
}
