//! What follows a change of a lead, enqueued in the change's own transaction, by whomever it was made.

use domain::command::{CaptureOutcome, Captured};
use domain::id::{LeadId, OrgId};
use domain::lead::EnrichmentStatus;
use domain::org::Org;
use domain::score::Cause;
use domain::store::{enrichment, leads};
use queue::{EnqueueError, enqueue};
use sqlx::PgConnection;

use crate::{EnrichLead, NotifyRep, Reason, ScoreLead};

/// After a lead was taken in: it is scored at once, and asked about if the org wants that and the person has not objected.
pub async fn after_capture(
    tx: &mut PgConnection,
    org: &Org,
    captured: Captured,
) -> Result<(), EnqueueError> {
    let Captured { lead, outcome } = captured;
    let trigger = match outcome {
        CaptureOutcome::Created => Cause::Created,
        CaptureOutcome::Merged => Cause::Behaviour,
        // Nothing that is scored has changed, so there is nothing to calculate.
        CaptureOutcome::Known => return Ok(()),
    };
    enqueue(
        tx,
        &ScoreLead {
            org: org.id,
            lead,
            trigger,
        },
    )
    .await?;
    if org.settings.auto_enrich && !enrichment::has_objected(tx, org.id, lead).await? {
        leads::set_enrichment_status(tx, org.id, lead, EnrichmentStatus::Queued).await?;
        enqueue(tx, &EnrichLead { org: org.id, lead }).await?;
    }
    Ok(())
}

/// After fields of a lead were edited.
pub async fn after_edit(
    tx: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
) -> Result<(), EnqueueError> {
    enqueue(
        tx,
        &ScoreLead {
            org,
            lead,
            trigger: Cause::Manual,
        },
    )
    .await?;
    Ok(())
}

/// After a lead was given to a rep.
pub async fn after_assignment(
    tx: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
) -> Result<(), EnqueueError> {
    let reason = Reason::Assigned;
    enqueue(tx, &NotifyRep { org, lead, reason }).await?;
    Ok(())
}
