//! How codes read in a mail.

use chrono::NaiveDate;
use domain::contact::ContactMethod;
use domain::lead::SourceCategory;
use domain::normalise::capitalised;
use domain::score::Factor;

use super::FactorLine;
use crate::effects::mail::one_line;

/// What to call somebody, also without a name.
pub fn name(display: Option<&str>) -> String {
    let name = display.map(one_line).unwrap_or_default();
    if name.is_empty() {
        "Somebody without a name".to_owned()
    } else {
        name
    }
}

/// How a lead was won.
pub fn source(category: SourceCategory) -> &'static str {
    match category {
        SourceCategory::Website => "website",
        SourceCategory::Referral => "referral",
        SourceCategory::PaidAds => "paid ads",
        SourceCategory::OrganicSearch => "organic search",
        SourceCategory::SocialMedia => "social media",
        SourceCategory::ColdOutreach => "cold outreach",
        SourceCategory::Event => "event",
        SourceCategory::Partner => "partner",
        SourceCategory::Other => "other",
    }
}

/// A reason for a score.
pub fn factor(factor: &Factor) -> FactorLine {
    let label = match factor.key.as_str() {
        "source" => "Source quality".to_owned(),
        "company_size" => "Company size".to_owned(),
        "deal_value" => "Estimated deal value".to_owned(),
        "title" | "demographic.title" => "Decision-maker title".to_owned(),
        "completeness" => "Profile completeness".to_owned(),
        "engagement.website_visits" => "Engagement: website visits".to_owned(),
        "limit" => "Limit of the score".to_owned(),
        key => match key.split_once('.') {
            Some(("rule", name)) => format!("Rule: {}", one_line(name)),
            Some((component, "limit")) => format!("Limit of {component}"),
            Some((_, name)) => spoken(name),
            None => spoken(key),
        },
    };
    // What a limit takes away says nothing by being "of" it.
    let is_limit = factor.key.ends_with("limit");
    FactorLine {
        label,
        points: factor.points,
        cap: factor.cap.filter(|cap| !is_limit && *cap > 0),
    }
}

/// A day on which something was due, as seen on another.
pub fn due(on: NaiveDate, today: NaiveDate) -> String {
    match (today - on).num_days() {
        ..=0 => "today".to_owned(),
        1 => "since yesterday".to_owned(),
        days => format!("{days} days ago"),
    }
}

/// A day with its name.
pub fn day(day: NaiveDate) -> String {
    day.format("%A, %-d %B").to_string()
}

/// When and how somebody was spoken to.
pub fn contact(method: Option<ContactMethod>, on: NaiveDate) -> String {
    let day = on.format("%-d %B");
    match method {
        Some(ContactMethod::Email) => format!("e-mail on {day}"),
        Some(ContactMethod::Linkedin) => format!("LinkedIn on {day}"),
        Some(ContactMethod::Call) => format!("call on {day}"),
        Some(ContactMethod::Meeting) => format!("meeting on {day}"),
        Some(ContactMethod::Sms) => format!("text message on {day}"),
        Some(ContactMethod::Other) | None => day.to_string(),
    }
}

fn spoken(key: &str) -> String {
    capitalised(&key.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn factors_read_as_words_and_limits_have_no_cap() {
        let line = |key: &str, points, cap| {
            let line = factor(&Factor {
                key: key.into(),
                raw: Value::Null,
                points,
                cap,
            });
            (line.label, line.points, line.cap)
        };
        assert_eq!(
            line("source", 14, Some(20)),
            ("Source quality".into(), 14, Some(20))
        );
        assert_eq!(
            line("behavioural.email_clicks", 6, Some(15)),
            ("Email clicks".into(), 6, Some(15))
        );
        assert_eq!(
            line("behavioural.limit", -25, Some(50)),
            ("Limit of behavioural".into(), -25, None)
        );
        assert_eq!(
            line("rule.free\nmail", -10, None),
            ("Rule: free mail".into(), -10, None)
        );
        assert_eq!(
            line("limit", -3, Some(100)),
            ("Limit of the score".into(), -3, None)
        );
    }

    #[test]
    fn days_are_told_from_where_one_stands() {
        let on = |day| NaiveDate::from_ymd_opt(2030, 3, day).unwrap();
        let today = on(4);
        let told: Vec<_> = [5, 4, 3, 1].map(|day| due(on(day), today)).into();
        assert_eq!(told, ["today", "today", "since yesterday", "3 days ago"]);
        assert_eq!(day(today), "Monday, 4 March");
        assert_eq!(contact(Some(ContactMethod::Call), today), "call on 4 March");
    }
}
