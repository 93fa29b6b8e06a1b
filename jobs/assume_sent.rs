//! Take mails for sent of which nothing was heard for a day, say how many are in doubt, and see to those that have lost their
//! job.

use chrono::TimeDelta;
use domain::clock::Timestamp;
use domain::store::mail_ledger;
use queue::{Attempt, Job, JobResult, Key, Outcome, enqueue_many};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

use crate::SendMail;
use crate::context::Ctx;

/// A bounce or a late answer comes within a day, or hardly at all.
const HEARD_WITHIN: TimeDelta = TimeDelta::hours(24);
/// Mails of an org that are settled in a run.
const A_RUN: i64 = 1_000;

/// Looks at what is in doubt and takes no other input; run again it finds what is left.
#[derive(Debug, Serialize, Deserialize)]
pub struct AssumeSent {
    /// The nominal time of the run.
    pub due_at: Timestamp,
}

impl Job for AssumeSent {
    const NAME: &'static str = "assume_sent";
    const QUEUE: &'static str = "sweep";

    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        Some(Key::of(self.due_at.timestamp()))
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let orgs = ctx.active_orgs().await?;
        let now = ctx.clock.now();
        let (mut assumed, mut unknown, mut resumed) = (0, 0, 0);
        for org in orgs {
            let mut tx = ctx.begin(org, attempt).await?;
            assumed += mail_ledger::assume_sent(&mut tx, org, now - HEARD_WITHIN, A_RUN).await?;
            unknown += mail_ledger::unknown(&mut tx, org, now).await?;
            // One that has its job, which only waits for its turn, gets no second one.
            let late = mail_ledger::late(&mut tx, org, now, A_RUN).await?;
            let send = |message| SendMail { org, message };
            let jobs: Vec<_> = late.into_iter().map(send).collect();
            resumed += enqueue_many(&mut tx, &jobs).await?;
            ctx.commit(tx).await?;
        }
        metrics::gauge!("leadmill_mails_unknown").set(unknown as f64);
        metrics::counter!("leadmill_mails_assumed_sent_total").increment(assumed);
        if assumed > 0 {
            warn!("Took {assumed} mails for sent of which nothing was heard for a day");
        }
        if resumed > 0 {
            warn!("{resumed} mails were to go and had no job; they have one again");
        }
        Ok(Outcome::DoneWith(
            json!({"assumed": assumed, "unknown": unknown, "resumed": resumed}),
        ))
    }
}
