//! How codes read on a page.

use domain::contact::ContactMethod;
use domain::lead::{CaptureChannel, EnrichmentStatus, SourceCategory};
use domain::normalise::capitalised;
use domain::score::Band;
use domain::status::{Class, Status};
use serde::Serialize;

/// A choice of a field.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Choice {
    /// What is sent.
    pub(super) value: String,
    /// What is read.
    pub(super) text: String,
    /// Whether it is the one chosen.
    pub(super) chosen: bool,
    /// The heading it stands under; choices of one heading follow each other.
    pub(super) group: &'static str,
}

impl Choice {
    pub(super) fn new(value: impl ToString, text: impl Into<String>, chosen: bool) -> Self {
        Self {
            value: value.to_string(),
            text: text.into(),
            chosen,
            group: "",
        }
    }
}

/// Statuses to choose from: those of open leads first, then those that close one.
pub(super) fn statuses(
    offered: impl Iterator<Item = Status>,
    is_chosen: impl Fn(Status) -> bool,
) -> Vec<Choice> {
    let (open, closed): (Vec<Status>, Vec<Status>) = offered.partition(|it| it.is_open());
    let choice = |it: Status, group| Choice {
        group,
        ..Choice::new(it, status(it), is_chosen(it))
    };
    let open = open.into_iter().map(|it| choice(it, "Open"));
    let closed = closed.into_iter().map(|it| choice(it, "Closed"));
    open.chain(closed).collect()
}

/// A status with its colour.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StatusMark {
    value: Status,
    text: &'static str,
    /// Names the colour.
    tone: &'static str,
}

impl From<Status> for StatusMark {
    fn from(value: Status) -> Self {
        Self {
            value,
            text: status(value),
            tone: match value {
                won if won.is_won() => "won",
                Status::Lost | Status::Disqualified => "lost",
                other => match other.class() {
                    Class::Intake => "intake",
                    Class::Working => "working",
                    Class::Qualified => "qualified",
                    Class::Deal | Class::Closed => "deal",
                },
            },
        }
    }
}

/// A status as people say it.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::New => "New",
        Status::Enriched => "Enriched",
        Status::Engaged => "Engaged",
        Status::Contacted => "Contacted",
        Status::Conversing => "Conversing",
        Status::Mql => "MQL",
        Status::Sql => "SQL",
        Status::Qualified => "Qualified",
        Status::Opportunity => "Opportunity",
        Status::Proposal => "Proposal",
        Status::Negotiating => "Negotiating",
        Status::Won => "Won",
        Status::Converted => "Converted",
        Status::Lost => "Lost",
        Status::Disqualified => "Disqualified",
        Status::Recycled => "Recycled",
    }
}

/// A band as people say it.
pub(super) fn band(band: Band) -> &'static str {
    match band {
        Band::Cold => "Cold",
        Band::Warm => "Warm",
        Band::Hot => "Hot",
    }
}

/// How a lead was won.
pub(super) fn source(source: SourceCategory) -> &'static str {
    match source {
        SourceCategory::Website => "Website",
        SourceCategory::Referral => "Referral",
        SourceCategory::PaidAds => "Paid ads",
        SourceCategory::OrganicSearch => "Organic search",
        SourceCategory::SocialMedia => "Social media",
        SourceCategory::ColdOutreach => "Cold outreach",
        SourceCategory::Event => "Event",
        SourceCategory::Partner => "Partner",
        SourceCategory::Other => "Other",
    }
}

/// How a lead arrived.
pub(super) fn channel(channel: CaptureChannel) -> &'static str {
    match channel {
        CaptureChannel::WebsiteForm => "website form",
        CaptureChannel::FacebookLeadAd => "Facebook lead ad",
        CaptureChannel::GoogleLeadForm => "Google lead form",
        CaptureChannel::Manual => "typed in",
        CaptureChannel::Import => "import",
        CaptureChannel::Api => "API",
        CaptureChannel::Automation => "automation",
        CaptureChannel::Other => "other",
    }
}

/// How far asking providers has come.
pub(super) fn enrichment(status: EnrichmentStatus) -> &'static str {
    match status {
        EnrichmentStatus::None => "never asked",
        EnrichmentStatus::Queued => "about to be asked",
        EnrichmentStatus::Pending => "asked, answer to follow",
        EnrichmentStatus::Done => "known",
        EnrichmentStatus::NotFound => "nobody knows this lead",
        EnrichmentStatus::Failed => "asking failed",
        EnrichmentStatus::Skipped => "not asked about",
    }
}

/// By what means a lead was spoken to.
pub(super) fn method(method: ContactMethod) -> &'static str {
    match method {
        ContactMethod::Email => "E-mail",
        ContactMethod::Linkedin => "LinkedIn",
        ContactMethod::Call => "Call",
        ContactMethod::Meeting => "Meeting",
        ContactMethod::Sms => "SMS",
        ContactMethod::Other => "Other",
    }
}

/// A code with its first letter large and its underscores gone.
pub(super) fn spoken(code: &str) -> String {
    capitalised(&code.replace(['_', '.'], " "))
}

/// A reason for a score.
pub(super) fn factor(key: &str) -> String {
    match key {
        "source" => "Source quality".into(),
        "company_size" => "Company size".into(),
        "deal_value" => "Estimated deal value".into(),
        "title" | "demographic.title" => "Decision-maker title".into(),
        "completeness" => "Profile completeness".into(),
        "limit" => "Limit of the score".into(),
        key => match key.split_once('.') {
            Some(("rule", name)) => format!("Rule: {name}"),
            Some((component, "limit")) => format!("Limit of {component}"),
            Some((_, name)) => spoken(name),
            None => spoken(key),
        },
    }
}

/// What a score was calculated for, after "because of".
pub(super) fn cause(trigger: &str) -> String {
    match trigger {
        "created" => "its coming in".into(),
        "refresh" => "the nightly run".into(),
        "behaviour" => "what the lead did".into(),
        "enrichment" => "what providers told".into(),
        "manual" => "a change by hand".into(),
        "profile_change" => "new rules".into(),
        "import" => "an import".into(),
        other => spoken(other).to_lowercase(),
    }
}

/// What was just done, of the words that our own redirects carry; anything else says nothing.
pub(super) fn said(words: &str) -> Option<String> {
    let sentences: Option<Vec<String>> = words.split(',').map(said_of_one).collect();
    sentences.map(|sentences| sentences.join(" "))
}

fn said_of_one(word: &str) -> Option<String> {
    let (word, count) = match word.split_once('.') {
        Some((word, count)) => (word, count.parse::<u32>().ok()?),
        None => (word, 1),
    };
    let counted = |what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let jobs = counted("job");
    Some(match word {
        "status" => "The status is changed.".into(),
        "stage" => "The stage is changed.".into(),
        "assigned" => "The lead changed hands.".into(),
        "contact" => "The contact is in the timeline.".into(),
        "follow_up" => "The follow-up date is set.".into(),
        "follow_up_none" => "The follow-up date is taken away.".into(),
        "note" => "The note is in the timeline.".into(),
        "lead_deleted" => "The lead is deleted.".into(),
        "read" => "Marked as read.".into(),
        "retried" => format!("Running {jobs} again."),
        "hastened" => format!("Running {jobs} now."),
        "cancelled" => format!("Cancelled {jobs}."),
        "stopping" if count == 1 => "1 job runs; it is asked to stop.".into(),
        "stopping" => format!("{jobs} run; they are asked to stop."),
        "unmoved" if count == 1 => "1 job could not be, and is as it was.".into(),
        "unmoved" => format!("{jobs} could not be, and are as they were."),
        "deleted" => format!("Removed {jobs}."),
        "paused" => "Paused until it is resumed.".into(),
        "resumed" => "Goes on again.".into(),
        "limited" => "The limits are changed.".into(),
        "cleared" => "Nothing holds it back any more.".into(),
        "called_off" => format!("Cancelled {jobs}; what runs is asked to stop."),
        "forgotten" => format!("Removed {} for good.", counted("dead letter")),
        "filled" if count == 0 => "Every tick of that time had fired already.".into(),
        "filled" => format!("Fired {}.", counted("missed tick")),
        "schedule_forgotten" => "The schedule is forgotten.".into(),
        "fired" => "Fired once; the plan goes on beside it.".into(),
        "nothing" => "Nothing was done: none of the chosen jobs could be.".into(),
        "signed_out" => "You are signed out.".into(),
        _ => return None,
    })
}

/// A number with a comma before every third digit.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    if number < 0 {
        grouped.push('−');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something in minor units, with its currency.
pub(super) fn money(minor: i64, currency: &str) -> String {
    let grouped = grouped((minor / 100).abs());
    let cents = (minor % 100).abs();
    let sign = if minor < 0 { "−" } else { "" };
    if cents == 0 {
        format!("{sign}{grouped} {currency}")
    } else {
        format!("{sign}{grouped}.{cents:02} {currency}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_words_are_said() {
        assert_eq!(said("retried.3").unwrap(), "Running 3 jobs again.");
        assert_eq!(said("cancelled.1").unwrap(), "Cancelled 1 job.");
        assert_eq!(
            said("cancelled.2,stopping.1,unmoved.3").unwrap(),
            "Cancelled 2 jobs. 1 job runs; it is asked to stop. 3 jobs could not be, and are as they were."
        );
        assert_eq!(said("cancelled.2,<script>"), None);
        assert_eq!(said("<script>"), None);
        assert_eq!(said("retried.many"), None);
    }

    #[test]
    fn money_is_grouped() {
        let read = [0, 5, 123_456, 123_456_700, -250_000].map(|minor| money(minor, "USD"));
        let wanted = [
            "0 USD",
            "0.05 USD",
            "1,234.56 USD",
            "1,234,567 USD",
            "−2,500 USD",
        ];
        assert_eq!(read, wanted);
    }
}
