//! Move a lead through the pipeline.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, lock, org, transition};
use crate::{
    activity::ActivityKind,
    actor::Act,
    id::{HistoryId, LeadId, StageId},
    lead::Lead,
    stage::Stage,
    status::{self, Trigger},
    store::{
        journal::{self, Entry},
        leads, stages,
    },
};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageMoved {
    /// Where it was.
    pub from: Option<StageId>,
    /// Where it is.
    pub to: Stage,
    /// This stay, if it began just now.
    pub stay: Option<HistoryId>,
    /// The status, if the stage moved it.
    pub status: transition::Moved,
}

/// Moves a lead to a stage; one that says a status moves it there, too, as long as that is forward.
pub async fn move_stage(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    to: StageId,
) -> Result<StageMoved, CommandError> {
    let org = org(db, act).await?;
    let stage = stages::find(db, act.org, to)
        .await?
        .ok_or(CommandError::NotFound("stage"))?;
    let mut lead = lock(db, act, lead).await?;
    let from = lead.stage_id;
    if from == Some(to) {
        let status = transition::Moved {
            from: lead.status,
            to: lead.status,
        };
        return Ok(StageMoved {
            from,
            to: stage,
            stay: None,
            status,
        });
    }
    let before = match from {
        Some(before) => stages::find(db, act.org, before)
            .await?
            .map(|stage| stage.name),
        None => None,
    };
    let stay = enter(db, act, &mut lead, &stage).await?;
    let told = json!({"from": from, "from_name": before, "to": to, "to_name": stage.name});
    let line = format!(
        "Stage: {} → {}",
        before.as_deref().unwrap_or("none"),
        stage.name
    );
    let entry = Entry::of_lead("lead.move_stage", lead.id)
        .changed(json!({"stage_id": from}), json!({"stage_id": to}))
        .line(act, ActivityKind::StageChange, line, told.clone())
        .event("lead.stage_changed", told);
    journal::write(db, act, entry).await?;

    let goal = stage
        .status_on_enter
        .and_then(|goal| status::on_stage(org.profile, lead.status, goal));
    let reason = format!("entered the stage {}", stage.name);
    let goal = goal.unwrap_or(lead.status);
    let status = transition::apply(db, act, &mut lead, goal, Trigger::Stage, Some(&reason)).await?;
    Ok(StageMoved {
        from,
        to: stage,
        stay: Some(stay),
        status,
    })
}

/// Puts a new lead into its first stage: part of its making, told by that.
pub(super) async fn first(
    db: &mut PgConnection,
    act: &Act,
    lead: &mut Lead,
    stage: &Stage,
) -> sqlx::Result<()> {
    enter(db, act, lead, stage).await?;
    Ok(())
}

async fn enter(
    db: &mut PgConnection,
    act: &Act,
    lead: &mut Lead,
    stage: &Stage,
) -> sqlx::Result<HistoryId> {
    let from = lead.stage_id.replace(stage.id);
    lead.stage_entered_at = Some(act.at);
    leads::write_stage(db, lead).await?;
    journal::stage_entered(db, act, lead.id, from, stage.id).await
}
