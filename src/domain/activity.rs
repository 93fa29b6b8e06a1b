//! The timeline of a lead.

use serde::Serialize;
use serde_json::Value;

use crate::{
    clock::Timestamp,
    id::{ActivityId, LeadId, UserId},
    text::text_enum,
};

text_enum! {
    /// What happened.
    ActivityKind {
        /// Phone call.
        Call = "call",
        /// Mail written by hand.
        Email = "email",
        /// Meeting.
        Meeting = "meeting",
        /// Note.
        Note = "note",
        /// Message on LinkedIn.
        Linkedin = "linkedin",
        /// Text message.
        Sms = "sms",
        /// Task.
        Task = "task",
        /// Moved in the pipeline.
        StageChange = "stage_change",
        /// Took another status.
        StatusChange = "status_change",
        /// Given to a rep.
        Assignment = "assignment",
        /// A provider was asked.
        Enrichment = "enrichment",
        /// Scored again.
        ScoreChange = "score_change",
        /// Posted a form.
        FormSubmit = "form_submit",
        /// The platform wrote.
        EmailSent = "email_sent",
        /// Opened a mail.
        EmailOpened = "email_opened",
        /// Clicked in a mail.
        EmailClicked = "email_clicked",
        /// A mail came back.
        EmailBounced = "email_bounced",
        /// Answered a mail.
        EmailReplied = "email_replied",
        /// Asked not to be written to.
        Unsubscribed = "unsubscribed",
        /// Step of a sequence.
        Nurture = "nurture",
        /// Step of a workflow.
        Workflow = "workflow",
        /// Read from a file.
        Import = "import",
        /// Joined with another capture.
        Merge = "merge",
        /// Stayed too long in a stage.
        SlaBreach = "sla_breach",
        /// Came into being.
        Created = "created",
        /// Edited.
        Updated = "updated",
        /// Anything else.
        Other = "other",
    }
}

impl ActivityKind {
    /// What a person may write into the timeline; the rest is written by the platform only.
    pub fn is_manual(self) -> bool {
        matches!(
            self,
            Self::Call
                | Self::Email
                | Self::Meeting
                | Self::Note
                | Self::Linkedin
                | Self::Sms
                | Self::Task
                | Self::Other
        )
    }
}

/// An entry of the timeline.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Activity {
    /// Its id.
    pub id: ActivityId,
    /// The lead.
    pub lead_id: LeadId,
    /// Who did it; none: the platform.
    pub user_id: Option<UserId>,
    /// Their name.
    pub user_name: Option<String>,
    /// What happened.
    #[sqlx(rename = "activity_type")]
    #[serde(rename = "activity_type")]
    pub kind: ActivityKind,
    /// One line for people.
    pub description: String,
    /// The same for programs.
    pub activity_data: Value,
    /// When.
    pub occurred_at: Timestamp,
}
