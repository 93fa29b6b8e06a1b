//! What those who run something do to the queue, for the admin API and the console: done, and written into the audit log.

mod many;
mod order;

use domain::actor::Act as Circumstances;
use domain::clock::Timestamp;
use domain::store::Tx;
use domain::store::journal::{self, Entry};
use queue::admin::{
    self, Act, BackfillError, ForgetError, JobDetail, Limits, Refused as Unmoved, ResumeError,
    RuleError, Scope,
};
use queue::schedule::Schedule;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Refused;
use crate::web::problem::FieldError;
use crate::web::secrets::{masked, unmasked};

pub use many::{cancel_batch, forget_dead, redrive};
pub use order::{Enqueued, Order, bounded, enqueue, is_of_the_job, unknown_kind};

/// Whose jobs somebody sees: those who run the platform all of them, those who run an org its own.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// The only lane they see.
    pub lane: Option<Uuid>,
}

impl Sight {
    /// Whether a job of `lane` is theirs to see.
    pub fn takes_in(self, lane: Option<Uuid>) -> bool {
        self.lane.is_none() || self.lane == lane
    }

    /// Lets those go on who see everything: what holds for all orgs is not for one to change.
    pub fn need_whole(self) -> Result<(), Refused> {
        match self.lane {
            None => Ok(()),
            Some(_) => Err(Refused::Forbidden(
                "this concerns all organisations and is for those who run the platform",
            )),
        }
    }
}

/// What can be done to one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Run it again, or now.
    Retry,
    /// Call it off.
    Cancel,
    /// Remove it.
    Delete,
}

impl Verb {
    /// The verb in the audit log.
    fn audited(self) -> &'static str {
        match self {
            Self::Retry => "job.retry",
            Self::Cancel => "job.cancel",
            Self::Delete => "job.delete",
        }
    }
}

/// Does it to one job that is in `sight`.
pub async fn job(
    tx: &mut Tx,
    by: &Circumstances,
    sight: Sight,
    verb: Verb,
    id: i64,
    reason: &str,
) -> Result<Act, Unmoved> {
    let kind = in_sight(tx, sight, id).await?.job.kind;
    let done = match verb {
        Verb::Retry => admin::retry(tx, id).await,
        Verb::Cancel => admin::cancel(tx, id, reason).await,
        Verb::Delete => admin::delete(tx, id).await,
    }?;
    let what = json!({"job": id, "kind": kind, "done": done, "reason": reason});
    audit(tx, by, verb.audited(), "job", what).await?;
    Ok(done)
}

/// Runs a finished job again with another payload, in which what nobody is to read may stay masked; what is refused is not
/// to be committed.
pub async fn retry_edited(
    tx: &mut Tx,
    by: &Circumstances,
    sight: Sight,
    id: i64,
    payload: &Value,
    reason: &str,
) -> Result<Act, Refused> {
    let before = in_sight(tx, sight, id).await?;
    let kind = before.job.kind;
    let edited = jobs::registry()
        .make(&kind, &unmasked(payload, &before.payload))
        .map_err(|why| Refused::field("payload", "invalid", why.to_string()))?;
    let done = admin::retry_edited(tx, id, edited).await?;
    if let Act::Retried(again) = done
        && in_sight(tx, sight, again).await.is_err()
    {
        let why = "Names another organisation; a job stays in the one that it is of";
        return Err(Refused::field("payload", "invalid", why));
    }
    let what = json!({"job": id, "kind": kind, "done": done, "reason": reason, "payload": masked(payload)});
    audit(tx, by, Verb::Retry.audited(), "job", what).await?;
    Ok(done)
}

async fn in_sight(db: &mut PgConnection, sight: Sight, id: i64) -> Result<JobDetail, Unmoved> {
    let found = admin::show(db, id).await?;
    let found = found.filter(|found| sight.takes_in(found.job.lane));
    found.ok_or(Unmoved::Unknown(id))
}

impl From<Unmoved> for Refused {
    fn from(unmoved: Unmoved) -> Self {
        match unmoved {
            Unmoved::Unknown(_) => Self::NotFound("job"),
            Unmoved::UnknownBatch(_) => Self::NotFound("batch"),
            Unmoved::Database(error) => error.into(),
            Unmoved::Payload(_, why) => Self::field("payload", "invalid", why.to_string()),
            other => Self::Illegal(other.to_string()),
        }
    }
}

/// Changes what is allowed of `name`; gives the limits that stand.
pub async fn limits(
    tx: &mut Tx,
    by: &Circumstances,
    scope: Scope,
    name: &str,
    change: impl FnOnce(&mut Limits) + Send,
) -> Result<Limits, Refused> {
    let limits = match admin::change_rule(tx, scope, name, change).await {
        Ok(limits) => limits,
        Err(RuleError::Limits(why)) => return Err(named(&why.to_string())),
        Err(RuleError::Database(error)) => return Err(error.into()),
    };
    let what = json!({"scope": scope, "name": name, "limits": limits});
    audit(tx, by, "limits.change", "limits", what).await?;
    Ok(limits)
}

/// Lets no tick of a schedule fire, or lets them fire again.
pub async fn pause_schedule(
    tx: &mut Tx,
    by: &Circumstances,
    name: &str,
    paused: bool,
) -> Result<(), Refused> {
    if name.contains('\0') {
        return Err(Refused::NotFound("schedule"));
    }
    let known = if paused {
        admin::pause_schedule(tx, name).await?
    } else {
        admin::resume_schedule(tx, name)
            .await
            .map_err(|error| match error {
                ResumeError::Database(error) => error.into(),
                error @ ResumeError::Cadence(_) => Refused::Illegal(error.to_string()),
            })?
    };
    if !known {
        return Err(Refused::NotFound("schedule"));
    }
    let action = if paused {
        "schedule.pause"
    } else {
        "schedule.resume"
    };
    audit(tx, by, action, "schedule", json!({"name": name})).await?;
    Ok(())
}

/// Removes a schedule that no program has any more.
pub async fn forget_schedule(tx: &mut Tx, by: &Circumstances, name: &str) -> Result<(), Refused> {
    if name.contains('\0') {
        return Err(Refused::NotFound("schedule"));
    }
    let known = admin::forget_schedule(tx, name, &jobs::schedules()).await;
    let known = known.map_err(|error| match error {
        ForgetError::Database(error) => error.into(),
        error @ ForgetError::Fired(_) => Refused::Illegal(error.to_string()),
    })?;
    if !known {
        return Err(Refused::NotFound("schedule"));
    }
    audit(tx, by, "schedule.forget", "schedule", json!({"name": name})).await?;
    Ok(())
}

/// Fires a schedule once now.
pub async fn run_schedule(
    tx: &mut Tx,
    by: &Circumstances,
    name: &str,
) -> Result<Timestamp, Refused> {
    let due = admin::run_schedule(tx, &schedule(name)?).await?;
    let what = json!({"name": name, "fired": due});
    audit(tx, by, "schedule.run", "schedule", what).await?;
    Ok(due)
}

/// Fires what fell due of a schedule in a span of time and never fired.
pub async fn backfill_schedule(
    tx: &mut Tx,
    by: &Circumstances,
    name: &str,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Timestamp>, Refused> {
    let filled = admin::backfill_schedule(tx, &schedule(name)?, from, to).await;
    let fired = filled.map_err(unfilled)?;
    let what = json!({"name": name, "from": from, "to": to, "fired": fired.len()});
    audit(tx, by, "schedule.backfill", "schedule", what).await?;
    Ok(fired)
}

/// The ticks that [`backfill_schedule`] would fire.
pub async fn preview_backfill(
    db: &mut PgConnection,
    name: &str,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Timestamp>, Refused> {
    let missing = admin::preview_backfill(db, &schedule(name)?, from, to).await;
    missing.map_err(unfilled)
}

fn unfilled(error: BackfillError) -> Refused {
    match error {
        BackfillError::Database(error) => error.into(),
        BackfillError::Fire(error) => error.into(),
        error @ BackfillError::Schedule(_) => anyhow::Error::new(error).into(),
        error => named(&error.to_string()),
    }
}

/// The schedule as this program defines it: what fires is the program's to know.
pub fn schedule(name: &str) -> Result<Schedule, Refused> {
    let mut all = jobs::schedules().into_iter();
    all.find(|schedule| schedule.name() == name)
        .ok_or(Refused::NotFound("schedule"))
}

/// A refusal of one field, which begins with its name.
fn named(why: &str) -> Refused {
    let (field, message) = why.split_once(": ").unwrap_or(("", why));
    Refused::Invalid(vec![FieldError {
        field: field.to_owned(),
        code: "invalid".into(),
        message: domain::normalise::capitalised(message),
    }])
}

async fn audit(
    tx: &mut Tx,
    by: &Circumstances,
    action: &str,
    entity: &str,
    what: Value,
) -> sqlx::Result<()> {
    let entry = Entry {
        id: None,
        ..Entry::of(action, entity, Uuid::nil())
    };
    journal::write(tx, by, entry.after(what)).await?;
    Ok(())
}
