//! Run one attempt, and decide what becomes of the job.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, error, info_span, warn};

use crate::registry::{Kind, Registry};
use crate::store::claim::Claimed;
use crate::store::settle::{COMPLETED, DISCARDED, Fate, SKIPPED, Settlement};
use crate::{Attempt, Backoff, Cancel, JobResult, Log, Outcome, trace};

/// Counts attempts.
const ATTEMPTS: &str = "leadmill_attempts_total";

/// Says what is counted.
pub(crate) fn describe() {
    metrics::describe_counter!(
        ATTEMPTS,
        "Attempts that ended in this process, by what they came to. Of those that came too late, which \
         leadmill_stale_outcomes_total counts, nothing was accepted."
    );
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Returned(JobResult),
    Undecodable(serde_json::Error),
    Panicked(String),
    TimedOut(Duration),
    /// It was asked to stop, and did not.
    Cancelled,
}

/// What was done with a claimed job.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) settlement: Settlement,
    /// By its present name, unless it is not known.
    pub(crate) kind: Option<&'static str>,
    /// The kind and version that are not known.
    pub(crate) strange: Option<(String, i16)>,
}

/// Runs a claimed job; one of a kind or version that is not known is handed back.
pub(crate) async fn execute<Ctx: Clone + Send + Sync + 'static>(
    registry: &Registry<Ctx>,
    ctx: &Ctx,
    claimed: Claimed,
    cancel: Cancel,
) -> Executed {
    let log = Log::default();
    let (id, epoch, in_batch) = (claimed.id, claimed.epoch, claimed.batch.is_some());
    let settled = |fate| Settlement {
        log: log.take(),
        ..Settlement::new(id, epoch, in_batch, fate)
    };
    let known = registry.find(&claimed.kind);
    let Some(kind) = known.filter(|kind| claimed.version <= signed(kind.version)) else {
        warn!(
            job.id = %id,
            job.name = claimed.kind,
            "Parked job {id}: {} in version {} is not known here",
            claimed.kind,
            claimed.version
        );
        count(&claimed.queue, "unknown", "parked");
        return Executed {
            settlement: settled(Fate::Park),
            kind: None,
            strange: Some((claimed.kind, claimed.version)),
        };
    };
    let (number, max) = (unsigned(claimed.attempt), unsigned(claimed.max_attempts));
    let queue = claimed.queue.clone();
    let span = info_span!(
        "job",
        job.id = %id,
        job.name = kind.name,
        attempt = number,
        trace = claimed.trace.as_deref(),
    );
    let began = Instant::now();
    let fate = async {
        let ended = attempt(kind, ctx, claimed, cancel, log.clone()).await;
        let fate = decide(ended, number, max, &kind.backoff, rand::random());
        tell(&fate, kind.name);
        fate
    }
    .instrument(span)
    .await;
    metrics::histogram!("leadmill_job_seconds", "kind" => kind.name)
        .record(began.elapsed().as_secs_f64());
    count(&queue, kind.name, label(&fate));
    Executed {
        settlement: settled(fate),
        kind: Some(kind.name),
        strange: None,
    }
}

async fn attempt<Ctx: Clone + Send + Sync + 'static>(
    kind: &Kind<Ctx>,
    ctx: &Ctx,
    claimed: Claimed,
    cancel: Cancel,
    log: Log,
) -> Ended {
    let trace: Option<Arc<str>> = claimed.trace.map(Arc::from);
    let attempt = Attempt {
        job: claimed.id,
        epoch: claimed.epoch,
        number: unsigned(claimed.attempt),
        max: unsigned(claimed.max_attempts),
        queue: claimed.queue,
        kind: kind.name,
        lane: claimed.lane,
        scheduled_at: claimed.run_at,
        created_at: claimed.created_at,
        trace: trace.clone(),
        batch: claimed.batch,
        progress: claimed.progress.map(Arc::from),
        cancel: cancel.clone(),
        log,
    };
    let run = match (kind.run)(&claimed.payload, ctx.clone(), attempt) {
        Ok(run) => run,
        Err(why) => return Ended::Undecodable(why),
    };
    // A task of its own: jobs run in parallel, and a panic ends there.
    let run = tokio::spawn(trace::within(trace, run).in_current_span());
    let run = tokio::time::timeout(kind.timeout, AbortOnDropHandle::new(run));
    let ended = tokio::select! {
        biased;
        ended = run => ended,
        () = cancel.overdue() => return Ended::Cancelled,
    };
    match ended {
        Ok(Ok(result)) => Ended::Returned(result),
        Ok(Err(join)) => Ended::Panicked(match join.try_into_panic() {
            Ok(panic) => message(&*panic),
            Err(_) => "its task was cancelled".to_owned(),
        }),
        Err(_) => Ended::TimedOut(kind.timeout),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

/// What becomes of a job whose attempt `number` of `max` ended like this; `chance` spreads retries.
pub(crate) fn decide(ended: Ended, number: u16, max: u16, backoff: &Backoff, chance: f64) -> Fate {
    let usual = backoff.wait(number, chance);
    let (after, error) = match ended {
        Ended::Returned(Ok(Outcome::Done)) => return Fate::Done,
        Ended::Returned(Ok(Outcome::DoneWith(result))) => {
            return Fate::Finished {
                outcome: COMPLETED,
                reason: None,
                result: Some(result),
                error: None,
            };
        }
        Ended::Returned(Ok(Outcome::Skip(reason))) => {
            return Fate::Finished {
                outcome: SKIPPED,
                reason: Some(reason.into_owned()),
                result: None,
                error: None,
            };
        }
        Ended::Returned(Ok(Outcome::Discard(reason))) => {
            return Fate::Finished {
                outcome: DISCARDED,
                reason: Some(reason.into_owned()),
                result: None,
                error: None,
            };
        }
        Ended::Cancelled => return Fate::Cancel,
        Ended::Returned(Ok(Outcome::Snooze(after))) => return Fate::Snooze { after },
        Ended::Returned(Ok(Outcome::RetryAfter(after, error))) => (after, format!("{error:#}")),
        Ended::Returned(Err(error)) => (usual, format!("{error:#}")),
        Ended::Undecodable(why) => (usual, format!("its payload does not decode: {why}")),
        Ended::Panicked(message) => (usual, format!("it panicked: {message}")),
        Ended::TimedOut(limit) => (usual, format!("it took longer than {limit:?}")),
    };
    if number >= max {
        Fate::Finished {
            outcome: DISCARDED,
            reason: Some(format!("failed {number} times")),
            result: None,
            error: Some(error),
        }
    } else {
        Fate::Retry { after, error }
    }
}

/// Errors are named by their kind only: what a job says of its failure may name people, and is kept with the job.
fn tell(fate: &Fate, kind: &str) {
    match fate {
        Fate::Retry { after, .. } => warn!("{kind} failed and is to be tried again in {after:.1?}"),
        Fate::Finished {
            outcome: DISCARDED, ..
        } => error!("{kind} failed for good"),
        fate => debug!("{kind}: {}", label(fate)),
    }
}

/// What attempts came to, whether or not it was accepted: what was told too late is counted where it is refused.
fn count(queue: &Arc<str>, kind: &'static str, outcome: &'static str) {
    let queue = metrics::SharedString::from_shared(queue.clone());
    metrics::counter!(ATTEMPTS, "queue" => queue, "kind" => kind, "outcome" => outcome)
        .increment(1);
}

/// The name of a fate, for people and metrics.
pub(crate) fn label(fate: &Fate) -> &'static str {
    match fate {
        Fate::Done => COMPLETED,
        Fate::Finished { outcome, .. } => outcome,
        Fate::Retry { .. } => "retried",
        Fate::Snooze { .. } => "snoozed",
        Fate::Cancel => "cancelled",
        Fate::Release => "released",
        Fate::Park => "parked",
    }
}

fn signed(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

fn unsigned(number: i16) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests;
