//! Speaking to a lead, and being answered.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, id::MessageId, text::text_enum};

text_enum! {
    /// By what means.
    ContactMethod {
        /// Mail.
        Email = "email",
        /// LinkedIn.
        Linkedin = "linkedin",
        /// Phone.
        Call = "call",
        /// In person or on screen.
        Meeting = "meeting",
        /// Text message.
        Sms = "sms",
        /// Anything else.
        Other = "other",
    }
}

text_enum! {
    /// Who spoke.
    Direction {
        /// We did.
        Outbound = "outbound",
        /// The lead did.
        Inbound = "inbound",
    }
}

/// One contact, as a rep or the mail job reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// By what means.
    pub method: ContactMethod,
    /// Who spoke.
    #[serde(default = "outbound")]
    pub direction: Direction,
    /// Of a mail.
    #[serde(default)]
    pub subject: Option<String>,
    /// What was said.
    #[serde(default)]
    pub message: Option<String>,
    /// What the rep noted.
    #[serde(default)]
    pub notes: Option<String>,
    /// Reached at all.
    #[serde(default)]
    pub successful: Option<bool>,
    /// The mail the platform sent.
    #[serde(default)]
    pub email_message: Option<MessageId>,
    /// The same contact reported again has the same key and counts once.
    #[serde(default)]
    pub dedupe_key: Option<String>,
}

impl Contact {
    /// An outbound contact with nothing to tell about it.
    pub fn outbound(method: ContactMethod) -> Self {
        Self {
            method,
            direction: Direction::Outbound,
            subject: None,
            message: None,
            notes: None,
            successful: None,
            email_message: None,
            dedupe_key: None,
        }
    }

    /// An answer of the lead with nothing to tell about it.
    pub fn inbound(method: ContactMethod) -> Self {
        Self {
            direction: Direction::Inbound,
            ..Self::outbound(method)
        }
    }
}

fn outbound() -> Direction {
    Direction::Outbound
}

/// The counters on a lead that contacts move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ContactState {
    /// Last outbound contact.
    pub last_contacted_at: Option<Timestamp>,
    /// How that was.
    pub last_contact_method: Option<ContactMethod>,
    /// Outbound contacts, ever.
    pub contact_count: i32,
    /// Last inbound contact.
    pub last_response_at: Option<Timestamp>,
    /// Inbound contacts, ever.
    pub response_count: i32,
}
