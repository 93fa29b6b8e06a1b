//! Mails that are not about a single lead.

use serde::{Deserialize, Serialize};

use super::{Frame, Message, samples};

/// Leads that a rep wanted to come back to by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpsDue {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// The day in words.
    pub day: String,
    /// The most urgent of them.
    pub leads: Vec<DueLead>,
    /// How many there are beyond those.
    pub more: usize,
    /// The page that shows all.
    pub url: String,
}

/// A lead whose day has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueLead {
    /// What to call the person.
    pub name: String,
    /// Employer.
    pub company: Option<String>,
    /// `today`, `since yesterday`, `3 days ago`.
    pub due: String,
    /// Before today.
    pub overdue: bool,
    /// When and how it was last spoken to, in words.
    pub last_contact: Option<String>,
    /// From 0 to 100.
    pub score: Option<i16>,
    /// Its page.
    pub url: String,
}

impl Message for FollowUpsDue {
    const KEY: &'static str = "follow_ups_due";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            day: "Monday, 4 March".into(),
            leads: samples::due_leads(),
            more: 2,
            url: "https://leadmill.example/dashboard/crm/today".into(),
        }
    }
}

/// A provider no longer lets us ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRefused {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// The provider's name.
    pub provider: String,
    /// What is in the way, in words.
    pub answer: String,
    /// The job that asked.
    pub url: String,
}

impl Message for ProviderRefused {
    const KEY: &'static str = "provider_refused";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            provider: "pdl".into(),
            answer: "it refuses our key".into(),
            url: "https://leadmill.example/ops/jobs/7".into(),
        }
    }
}

/// Something came in that nobody but a person can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntakeQuarantined {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// How it came in.
    pub provider: String,
    /// Why it could not be read.
    pub reason: String,
    /// Its id.
    pub submission: String,
    /// Where it is looked at.
    pub url: String,
}

impl Message for IntakeQuarantined {
    const KEY: &'static str = "intake_quarantined";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            provider: "form".into(),
            reason: "there is no e-mail address, phone number, profile or name".into(),
            submission: "01930000-0000-7000-8000-000000000001".into(),
            url: "https://leadmill.example/ops/jobs/8".into(),
        }
    }
}

/// Somebody asked to be signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInLink {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// How long the link is good for.
    pub minutes: i64,
    /// The link.
    pub url: String,
}

impl Message for SignInLink {
    const KEY: &'static str = "sign_in_link";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            minutes: 15,
            url: "https://leadmill.example/sign-in/wVQ2Yv0mGZ3t9f1c8Hq0bN5sKxJr7uPdLe4oTi6aBcM"
                .into(),
        }
    }
}
