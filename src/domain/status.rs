//! Where a lead stands, and how it may move on.

use crate::{org::Profile, text::text_enum};

#[cfg(test)]
mod tests;

text_enum! {
    /// The union of the words the profiles use.
    Status {
        /// Just captured.
        New = "new",
        /// Known well enough to be written to.
        Enriched = "enriched",
        /// Has shown interest.
        Engaged = "engaged",
        /// Was written to or called.
        Contacted = "contacted",
        /// Answers.
        Conversing = "conversing",
        /// Marketing holds it ready for sales.
        Mql = "mql",
        /// Sales took it.
        Sql = "sql",
        /// Worth a deal.
        Qualified = "qualified",
        /// Became an opportunity.
        Opportunity = "opportunity",
        /// Has an offer.
        Proposal = "proposal",
        /// Talks about the offer.
        Negotiating = "negotiating",
        /// Bought.
        Won = "won",
        /// Reached the goal.
        Converted = "converted",
        /// Did not buy.
        Lost = "lost",
        /// Does not fit.
        Disqualified = "disqualified",
        /// Back to marketing.
        Recycled = "recycled",
    }
}

text_enum! {
    /// The same for all profiles, for reports across them.
    Class {
        /// Came in.
        Intake = "intake",
        /// Being spoken to.
        Working = "working",
        /// Worth it.
        Qualified = "qualified",
        /// About money.
        Deal = "deal",
        /// Over.
        Closed = "closed",
    }
}

text_enum! {
    /// What moves a lead.
    Trigger {
        /// It came into being.
        Created = "created",
        /// A person or program decided.
        Manual = "manual",
        /// A provider knew it.
        Enrichment = "enrichment",
        /// It visited, opened, clicked or downloaded.
        Engagement = "engagement",
        /// It was spoken to.
        Contact = "contact",
        /// It answered.
        Reply = "reply",
        /// It met a marketing threshold.
        Mql = "mql",
        /// A rep accepted it.
        Accept = "accept",
        /// An opportunity was made of it.
        Opportunity = "opportunity",
        /// It entered a stage that says so.
        Stage = "stage",
        /// It was given back to marketing.
        Recycle = "recycle",
    }
}

impl Status {
    /// The class for reports.
    pub fn class(self) -> Class {
        match self {
            Self::New | Self::Recycled | Self::Enriched | Self::Engaged => Class::Intake,
            Self::Contacted | Self::Conversing => Class::Working,
            Self::Mql | Self::Sql | Self::Qualified => Class::Qualified,
            Self::Opportunity | Self::Proposal | Self::Negotiating => Class::Deal,
            Self::Won | Self::Converted | Self::Lost | Self::Disqualified => Class::Closed,
        }
    }

    /// How far along: an automatic move never goes down.
    pub fn rank(self) -> u8 {
        match self {
            Self::New => 0,
            Self::Recycled => 5,
            Self::Enriched => 10,
            Self::Engaged => 20,
            Self::Contacted => 30,
            Self::Conversing => 40,
            Self::Mql => 45,
            Self::Sql => 55,
            Self::Qualified => 60,
            Self::Opportunity => 70,
            Self::Proposal => 75,
            Self::Negotiating => 80,
            Self::Won | Self::Converted | Self::Lost | Self::Disqualified => 100,
        }
    }

    /// Still worked on.
    pub fn is_open(self) -> bool {
        self.class() != Class::Closed
    }

    /// Became a customer.
    pub fn is_won(self) -> bool {
        matches!(self, Self::Won | Self::Converted)
    }
}

impl Profile {
    /// The statuses this profile uses, as a rep meets them.
    pub fn statuses(self) -> &'static [Status] {
        use Status::*;
        match self {
            Self::Unified => Status::ALL,
            Self::Agency => &[New, Contacted, Qualified, Converted, Disqualified],
            Self::K12 => &[New, Engaged, Mql, Sql, Opportunity, Disqualified, Recycled],
            Self::Outreach => &[
                New, Enriched, Contacted, Conversing, Qualified, Converted, Lost,
            ],
            Self::Pipeline => &[
                New,
                Contacted,
                Qualified,
                Proposal,
                Negotiating,
                Won,
                Lost,
                Disqualified,
            ],
        }
    }

    /// Uses `status` at all.
    pub fn has(self, status: Status) -> bool {
        self.statuses().contains(&status)
    }
}

/// Where `trigger` takes a lead that is `from`, if anywhere. [`Trigger::Stage`] names its goal: see [`on_stage`].
pub fn automatic(profile: Profile, from: Status, trigger: Trigger) -> Option<Status> {
    use Status::*;
    let unified = profile == Profile::Unified;
    let to = match (trigger, from) {
        (Trigger::Enrichment, New) => Enriched,
        (Trigger::Engagement, New | Enriched | Recycled) => Engaged,
        (Trigger::Contact, New | Enriched) => Contacted,
        (Trigger::Contact, Engaged) if unified => Contacted,
        (Trigger::Reply, New | Enriched | Engaged | Contacted) => Conversing,
        (Trigger::Mql, New | Engaged | Recycled) => Mql,
        (Trigger::Mql, Enriched) if unified => Mql,
        (Trigger::Accept, Mql) => Sql,
        (Trigger::Opportunity, from) if from.is_open() => Opportunity,
        (Trigger::Recycle, Lost | Disqualified | Mql | Sql | Opportunity) => Recycled,
        _ => return None,
    };
    let forward = to.rank() > from.rank() || trigger == Trigger::Recycle;
    (forward && profile.has(from) && profile.has(to)).then_some(to)
}

/// Where entering a stage that says `to` takes a lead that is `from`, if anywhere.
pub fn on_stage(profile: Profile, from: Status, to: Status) -> Option<Status> {
    (from.is_open() && to.rank() > from.rank() && profile.has(from) && profile.has(to))
        .then_some(to)
}

/// Why a lead may not be moved by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The org does not use that status.
    #[error("this organisation does not use the status {0}")]
    NotInProfile(Status),
    /// Somebody will ask why.
    #[error("disqualifying needs a reason")]
    NeedsReason,
    /// A closed lead is opened on purpose only.
    #[error("the lead is closed as {0}; reopen it explicitly")]
    Closed(Status),
}

/// Whether a person may move a lead `from` → `to`; staying where it is is always allowed.
pub fn by_hand(
    profile: Profile,
    from: Status,
    to: Status,
    reason: Option<&str>,
    reopen: bool,
) -> Result<(), Refusal> {
    if from == to {
        return Ok(());
    }
    if !profile.has(to) {
        return Err(Refusal::NotInProfile(to));
    }
    if !from.is_open() && !reopen {
        return Err(Refusal::Closed(from));
    }
    if to == Status::Disqualified && reason.is_none_or(|r| r.trim().is_empty()) {
        return Err(Refusal::NeedsReason);
    }
    Ok(())
}
