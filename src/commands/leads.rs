//! Make and change leads, with the jobs that follow, in the caller's transaction.

use domain::actor::{Act, Actor};
use domain::capture::Capture;
use domain::command::{self, CaptureOutcome, Captured, CommandError, Transition};
use domain::id::LeadId;
use domain::lead::{CaptureChannel, Details, Lead};
use domain::status::Status;
use domain::store::scope::see_whole_org;
use domain::store::{lead_pages, orgs};
use jobs::follow;
use queue::EnqueueError;
use sqlx::PgConnection;

use super::Refused;
use super::input::LeadInput;

/// Makes a lead; one with its address that is there already is named instead.
pub async fn create(db: &mut PgConnection, act: &Act, input: &LeadInput) -> Result<Lead, Refused> {
    let org = orgs::find(db, act.org)
        .await?
        .ok_or(Refused::NotFound("organisation"))?;
    let channel = match act.actor {
        Actor::User(_) => CaptureChannel::Manual,
        _ => CaptureChannel::Api,
    };
    let capture = Capture {
        details: input.patch.apply(Details::default()),
        source: input.patch.source_category,
        stage: input.stage,
        assigned_to: input.assigned_to.flatten(),
        ..Capture::by(channel)
    };
    let lead = command::create_lead(db, act, &capture).await?;
    if let Some(status) = input.status.filter(|status| *status != Status::New) {
        move_to(db, act, lead, status, input).await?;
    }
    let outcome = CaptureOutcome::Created;
    follow::after_capture(db, &org, Captured { lead, outcome }).await?;
    if capture
        .assigned_to
        .is_some_and(|rep| act.actor.user() != Some(rep))
    {
        follow::after_assignment(db, act.org, lead).await?;
    }
    find(db, act, lead).await
}

/// Changes a lead: first what is known of it, then where it stands, then whose it is. Nothing changes if any of it is
/// refused.
pub async fn change(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    input: &LeadInput,
) -> Result<Lead, Refused> {
    let updated = command::update_lead(db, act, lead, &input.patch, input.version).await?;
    let mut rescore = updated.affects_score();
    if let Some(status) = input.status {
        rescore |= move_to(db, act, lead, status, input).await?;
    }
    if let Some(stage) = input.stage {
        let moved = command::move_stage(db, act, lead, stage).await?;
        rescore |= moved.status.changed();
    }
    if let Some(to) = input.assigned_to {
        // They saw the lead until now; what they give away they may see off.
        see_whole_org(db).await?;
        let assigned = command::assign_lead(db, act, lead, to).await?;
        let to_another = assigned.to.is_some() && assigned.to != act.actor.user();
        if assigned.changed() && to_another {
            follow::after_assignment(db, act.org, lead).await?;
        }
    }
    if rescore {
        follow::after_edit(db, act.org, lead).await?;
    }
    find(db, act, lead).await
}

/// Whether the status changed.
async fn move_to(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    to: Status,
    input: &LeadInput,
) -> Result<bool, Refused> {
    let how = Transition {
        to,
        reason: input.reason.as_deref(),
        reopen: input.reopen,
    };
    Ok(command::transition(db, act, lead, &how).await?.changed())
}

async fn find(db: &mut PgConnection, act: &Act, lead: LeadId) -> Result<Lead, Refused> {
    let found = lead_pages::find(db, act.org, lead).await?;
    found.ok_or(Refused::NotFound("lead"))
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotFound(what @ ("lead" | "organisation")) => Self::NotFound(what),
            CommandError::NotFound("stage") => {
                Self::field("stage_id", "unknown", "There is no such stage")
            }
            CommandError::NotFound("member") => Self::field(
                "assigned_to",
                "unknown",
                "Nobody of this organisation has that id",
            ),
            CommandError::NotFound("company") => {
                Self::field("company_id", "unknown", "There is no such company")
            }
            CommandError::NotFound(what) => Self::NotFound(what),
            CommandError::Refused(refusal) => Self::Status(refusal),
            CommandError::Duplicate(lead) => Self::Duplicate(lead),
            CommandError::Taken => {
                Self::Illegal("a lead with this e-mail address exists".to_owned())
            }
            CommandError::Stale(version) => Self::Stale(version),
            CommandError::Invalid { field, why } => Self::field(field, "invalid", why),
            CommandError::Database(error) => error.into(),
        }
    }
}

impl From<EnqueueError> for Refused {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Database(error) => error.into(),
            other => Self::Broken(other.into()),
        }
    }
}
