//! Mails that tell a rep about one lead.

use serde::{Deserialize, Serialize};

use super::{Frame, Message, samples};

/// A lead as a mail shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadCard {
    /// What to call the person.
    pub name: String,
    /// Job title.
    pub job_title: Option<String>,
    /// Employer.
    pub company: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// How it was won, in words.
    pub source: String,
    /// What the person wrote.
    pub message: Option<String>,
    /// From 0 to 100.
    pub score: i16,
    /// `cold`, `warm` or `hot`.
    pub band: String,
    /// Why it has that score; the points add up to it.
    pub factors: Vec<FactorLine>,
    /// Its page.
    pub url: String,
}

/// One reason for a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorLine {
    /// What was looked at, in words.
    pub label: String,
    /// What it gave.
    pub points: i32,
    /// The most it can give; none: any number.
    pub cap: Option<i32>,
}

/// A new lead was scored and is this rep's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadScored {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// The lead.
    pub lead: LeadCard,
    /// It is the reader's; else nobody has it yet.
    pub yours: bool,
}

impl Message for LeadScored {
    const KEY: &'static str = "lead_scored";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            lead: samples::lead(),
            yours: true,
        }
    }
}

/// A lead became hot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadTurnedHot {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// The lead.
    pub lead: LeadCard,
    /// Its score before; none: it had none.
    pub previous_score: Option<i16>,
}

impl Message for LeadTurnedHot {
    const KEY: &'static str = "lead_turned_hot";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            lead: samples::hot_lead(),
            previous_score: Some(58),
        }
    }
}

/// A lead met a marketing threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadQualified {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// The lead.
    pub lead: LeadCard,
}

impl Message for LeadQualified {
    const KEY: &'static str = "lead_qualified";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            lead: samples::hot_lead(),
        }
    }
}

/// A lead was given to this rep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadAssigned {
    /// What stands in every mail.
    #[serde(flatten)]
    pub frame: Frame,
    /// The lead.
    pub lead: LeadCard,
}

impl Message for LeadAssigned {
    const KEY: &'static str = "lead_assigned";

    fn sample() -> Self {
        Self {
            frame: samples::frame(),
            lead: samples::lead(),
        }
    }
}
