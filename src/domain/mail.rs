//! Mails as the ledger keeps them: each written down before it goes, with what became of it.
//!
//! ```text
//! queued ──► sending ──► handoff ──► sent
//!    ▲          │           ├──────► failed      the server said no for good
//!    └─ deferred ◄──────────┤                    it said later, or nobody can have it
//!                           └──────► unknown     it may have it: no reply to the end of the message
//!                                       │
//!                                       └──► assumed_sent   nothing was heard of it in a day
//! ```
//!
//! A row in `sending` has provably not left. One in `handoff` may have, so whoever finds it there after a crash must not
//! simply send it again.

use serde_json::Value;

use crate::{
    clock::Timestamp,
    id::{AttemptToken, LeadId, MessageId, OrgId, UserId},
    text::text_enum,
};

text_enum! {
    /// What became of a mail so far.
    MailState {
        /// Waits for its first attempt.
        Queued = "queued",
        /// Waits for another.
        Deferred = "deferred",
        /// Being prepared; nothing has left.
        Sending = "sending",
        /// Being handed to the server.
        Handoff = "handoff",
        /// The server has it.
        Sent = "sent",
        /// It will never go.
        Failed = "failed",
        /// The address must not be written to.
        Suppressed = "suppressed",
        /// It is worthless by now.
        Expired = "expired",
        /// Somebody called it off.
        Cancelled = "cancelled",
        /// The server may have it.
        Unknown = "unknown",
        /// It may have had it for a day, and nobody has heard otherwise.
        AssumedSent = "assumed_sent",
    }
}

impl MailState {
    /// Nothing more will happen to it by itself.
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Queued | Self::Deferred | Self::Sending | Self::Handoff | Self::Unknown
        )
    }
}

text_enum! {
    /// Which rules a mail follows.
    MailStream {
        /// To leads: may be unsubscribed from.
        Marketing = "marketing",
        /// About one's own work.
        Transactional = "transactional",
    }
}

/// A mail about to be written down.
#[derive(Debug, Clone)]
pub struct NewMail<'a> {
    /// Its id.
    pub id: MessageId,
    /// The org that sends it.
    pub org: OrgId,
    /// The same mail again has the same key.
    pub dedupe_key: String,
    /// Which rules it follows.
    pub stream: MailStream,
    /// The lead it is about.
    pub lead: Option<LeadId>,
    /// The person of the org it goes to.
    pub user: Option<UserId>,
    /// Where it goes.
    pub to: &'a str,
    /// Which message it is.
    pub template: &'a str,
    /// Which version of the message's data.
    pub template_version: i32,
    /// The data.
    pub context: Value,
    /// Its Message-ID.
    pub rfc_message_id: String,
    /// Worthless from then on.
    pub expires_at: Option<Timestamp>,
    /// When it was decided.
    pub at: Timestamp,
}

/// A mail of the ledger, as its sender needs it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Mail {
    /// Its id.
    pub id: MessageId,
    /// The org that sends it.
    pub org_id: OrgId,
    /// The lead it is about.
    pub lead_id: Option<LeadId>,
    /// The person of the org it goes to.
    pub user_id: Option<UserId>,
    /// Their name.
    pub to_name: Option<String>,
    /// Where it goes.
    pub to_email: String,
    /// Which message it is.
    pub template_key: String,
    /// Its data.
    pub context: Value,
    /// Its Message-ID.
    pub rfc_message_id: String,
    /// The Message-ID it answers.
    pub in_reply_to: Option<String>,
    /// The thread it belongs to.
    pub thread_refs: Option<Vec<String>>,
    /// What became of it so far.
    pub state: MailState,
    /// Attempts so far.
    pub attempts: i32,
    /// Whose attempt it is, or was the last.
    pub attempt_token: Option<AttemptToken>,
    /// Due from then on.
    pub not_before: Timestamp,
    /// Worthless from then on.
    pub expires_at: Option<Timestamp>,
    /// When it was decided.
    pub created_at: Timestamp,
    /// The address must not be written to.
    pub suppressed: bool,
}

impl Mail {
    /// Worthless by now.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// What came of an attempt, as the ledger remembers it.
#[derive(Debug, Clone)]
pub struct MailFate {
    /// The state it ends in.
    pub state: MailState,
    /// The server's reply code.
    pub code: Option<u16>,
    /// Its reply.
    pub reply: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Not again before then.
    pub not_before: Option<Timestamp>,
}

impl MailFate {
    /// Ends in `state`, and that is all there is to say.
    pub fn of(state: MailState) -> Self {
        Self {
            state,
            code: None,
            reply: None,
            error: None,
            not_before: None,
        }
    }
}
