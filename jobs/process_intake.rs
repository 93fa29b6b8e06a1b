//! Make a lead of something that came in.

use domain::capture::Capture;
use domain::clock::Timestamp;
use domain::command::{self, CaptureOutcome, CommandError};
use domain::id::{IntakeEventId, LeadId, OrgId};
use domain::lead::CaptureChannel;
use domain::org::Org;
use domain::store::intake_events::{self, Event};
use domain::store::{Tx, members, orgs};
use domain::submission::IntakeState;
use queue::{Attempt, Job, JobResult, Key, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Connection;
use tracing::{info, warn};
use uuid::Uuid;

use crate::context::{Ctx, News};
use crate::effects::messages::IntakeQuarantined;
use crate::follow::after_capture;

/// Processed again, an event changes nothing: its state says that it is over, or what is in its way.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProcessIntake {
    /// The org it came to.
    pub org: OrgId,
    /// What came in.
    pub event: IntakeEventId,
}

impl Job for ProcessIntake {
    const NAME: &'static str = "process_intake";
    const QUEUE: &'static str = "intake";

    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        Some(Key::of(self.event))
    }

    fn lane(&self) -> Option<Uuid> {
        Some(self.org.uuid())
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.begin(self.org, attempt).await?;
        let Some(org) = orgs::find(&mut tx, self.org).await? else {
            return Ok(Outcome::skip("there is no such organisation"));
        };
        let Some(event) = intake_events::lock(&mut tx, self.org, self.event).await? else {
            return Ok(Outcome::skip("there is no such submission"));
        };
        // One that was put aside is run again by a person who has mended what was in its way.
        if !matches!(
            event.state,
            IntakeState::Received | IntakeState::Quarantined
        ) {
            return Ok(Outcome::skip(format!("it is {}", event.state)));
        }
        if !org.is_active() {
            let why = "the organisation takes no leads at present";
            return self.quarantine(ctx, attempt, tx, &org, &event, why).await;
        }

        let act = ctx.act(self.org, attempt);
        // A refusal may come after first writes: those are undone, and the submission is kept.
        let mut attempted = tx.begin().await?;
        let captured = match command::capture_lead(&mut attempted, &act, &capture(&event)).await {
            Ok(captured) => captured,
            Err(
                refused @ (CommandError::Invalid { .. }
                | CommandError::NotFound(_)
                | CommandError::Taken),
            ) => {
                attempted.rollback().await?;
                return self
                    .quarantine(ctx, attempt, tx, &org, &event, &refused.to_string())
                    .await;
            }
            Err(error) => return Err(error.into()),
        };
        attempted.commit().await?;
        let state = match captured.outcome {
            CaptureOutcome::Created | CaptureOutcome::Merged => IntakeState::Processed,
            CaptureOutcome::Known => IntakeState::Duplicate,
        };
        let lead = captured.lead;
        self.settle(&mut tx, state, Some(lead), None, act.at)
            .await?;
        after_capture(&mut tx, &org, captured).await?;
        ctx.commit(tx).await?;
        // Nobody has a page open of a lead that was not there.
        if captured.outcome != CaptureOutcome::Created {
            ctx.lead_changed(self.org, lead).await;
        }

        info!(lead.id = %lead, event.id = %self.event, "Made lead {lead} of submission {}", self.event);
        Ok(Outcome::DoneWith(
            json!({"lead": lead, "outcome": captured.outcome}),
        ))
    }
}

impl ProcessIntake {
    /// Keeps a submission for a person to look at, and tells those who run the org.
    async fn quarantine(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        mut tx: Tx,
        org: &Org,
        event: &Event,
        why: &str,
    ) -> JobResult {
        let now = ctx.clock.now();
        self.settle(&mut tx, IntakeState::Quarantined, None, Some(why), now)
            .await?;
        let people = members::admins(&mut tx, self.org).await?;
        let news = News {
            kind: "intake_quarantined",
            title: "A submission needs you".to_owned(),
            body: Some(why.to_owned()),
            lead: None,
            data: json!({"event": self.event}),
            // Whoever sends nonsense all day is told of once, by however many ways it comes.
            dedupe_key: format!("intake_quarantined:{}", now.date_naive()),
            expires_at: None,
        };
        let message = |frame| IntakeQuarantined {
            frame,
            provider: event.provider.clone(),
            reason: why.to_owned(),
            submission: self.event.to_string(),
            url: ctx.effects.links.job(attempt.job),
        };
        let heard = ctx.tell(&mut tx, org, &people, &news, message).await?;
        ctx.commit(tx).await?;
        ctx.ring(self.org, &heard).await;
        warn!(event.id = %self.event, "Submission {} needs a person", self.event);
        Ok(Outcome::skip(format!("quarantined: {why}")))
    }

    async fn settle(
        &self,
        tx: &mut Tx,
        state: IntakeState,
        lead: Option<LeadId>,
        why: Option<&str>,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        intake_events::settle(tx, self.org, self.event, state, lead, why, now).await
    }
}

/// The event as a capture.
fn capture(event: &Event) -> Capture {
    let channel = match event.provider.as_str() {
        "form" => CaptureChannel::WebsiteForm,
        "trpc" => CaptureChannel::Api,
        _ => CaptureChannel::Other,
    };
    let sent = &event.submission;
    let mut capture = Capture::of_submission(sent, channel, event.form_id, event.channel_id);
    capture.on_duplicate = event.on_duplicate.unwrap_or(capture.on_duplicate);
    capture.details.space_id = event.space_id;
    capture.is_test = event.is_test;
    capture
}
