//! Take mails for sent of which nothing was heard for a day, say how many are in doubt, and see to those that have no job: one
//! that was lost is made again, one that somebody cancelled calls its mail off.

use std::time::Duration;

use chrono::TimeDelta;
use domain::clock::Timestamp;
use domain::id::OrgId;
use domain::store::mail_ledger;
use queue::{Attempt, Job, JobResult, Key, Outcome, enqueue_many, history};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use tokio::time::Instant;
use tracing::warn;

use crate::SendMail;
use crate::context::Ctx;

/// A bounce or a late answer comes within a day, or hardly at all.
const HEARD_WITHIN: TimeDelta = TimeDelta::hours(24);
/// Mails of an org that are settled in a run.
const A_RUN: i64 = 1_000;

/// Why such a mail does not go.
const CANCELLED: &str = "its job was cancelled";
/// An attempt goes on for so long; the next one begins where it stopped.
const A_WHILE: Duration = Duration::from_secs(60);

/// How far a run has come, and what of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SoFar {
    /// The last org that was looked at.
    last: Option<OrgId>,
    /// Mails taken for sent.
    assumed: u64,
    /// Mails in doubt.
    unknown: i64,
    /// Mails that have a job again.
    resumed: u64,
    /// Mails whose job was cancelled.
    #[serde(default)]
    called_off: usize,
}

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
        let (begun, now) = (Instant::now(), ctx.clock.now());
        let mut so_far: SoFar = attempt.checkpoint_of()?.unwrap_or_default();
        for org in ctx.active_orgs(so_far.last).await? {
            if begun.elapsed() > A_WHILE {
                return Ok(Outcome::snooze(Duration::ZERO));
            }
            let mut tx = ctx.begin(org, attempt).await?;
            let before = now - HEARD_WITHIN;
            let assumed = mail_ledger::assume_sent(&mut tx, org, before, A_RUN).await?;
            let (called_off, resumed) = see_to_late(&mut tx, org, now).await?;
            so_far.assumed += assumed;
            so_far.unknown += mail_ledger::unknown(&mut tx, org, now).await?;
            so_far.called_off += called_off;
            so_far.resumed += resumed;
            so_far.last = Some(org);
            attempt.checkpoint(&mut tx, &so_far).await?;
            ctx.commit(tx).await?;
            metrics::counter!("leadmill_mails_assumed_sent_total").increment(assumed);
        }
        let SoFar {
            assumed,
            unknown,
            resumed,
            called_off,
            ..
        } = so_far;
        if assumed > 0 {
            warn!("Took {assumed} mails for sent of which nothing was heard for a day");
        }
        if resumed > 0 {
            warn!("{resumed} mails were to go and had no job; they have one again");
        }
        Ok(Outcome::DoneWith(
            json!({"assumed": assumed, "unknown": unknown, "resumed": resumed, "called_off": called_off}),
        ))
    }
}

/// Calls off the mails that are late because somebody cancelled their job, and sees to it that the others have one; says how
/// many were called off, and how many had none.
async fn see_to_late(
    db: &mut PgConnection,
    org: OrgId,
    now: Timestamp,
) -> anyhow::Result<(usize, u64)> {
    let late = mail_ledger::late(db, org, now, A_RUN).await?;
    let Some(first) = late.iter().map(|(_, decided)| *decided).min() else {
        return Ok((0, 0));
    };
    let send = |(message, _)| SendMail { org, message };
    let mut jobs: Vec<_> = late.into_iter().map(send).collect();
    let since_then = (now - first).to_std().unwrap_or_default();
    let cancelled = history::were_cancelled(db, &jobs, since_then).await?;
    let mut cancelled = cancelled.into_iter();
    let is_off = |_: &mut SendMail| cancelled.next().unwrap_or(false);
    let off: Vec<_> = jobs.extract_if(.., is_off).map(|job| job.message).collect();
    mail_ledger::call_off(db, org, &off, CANCELLED).await?;
    // One that has its job, which only waits for its turn, gets no second one.
    Ok((off.len(), enqueue_many(db, &jobs).await?))
}
