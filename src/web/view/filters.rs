//! How values read on a page.

use chrono::{DateTime, Utc};
use minijinja::{Environment, Value};

/// Adds them to all pages.
pub(super) fn add(pages: &mut Environment<'static>) {
    pages.add_filter("moment", moment);
    pages.add_filter("day", day);
    pages.add_filter("seconds", seconds);
    pages.add_filter("words", words);
    pages.add_filter("money", money);
}

/// A time to the minute, in UTC.
fn moment(value: &Value) -> String {
    time(value).map_or_else(String::new, |at| {
        at.format("%-d %b %Y, %H:%M UTC").to_string()
    })
}

/// A day.
fn day(value: &Value) -> String {
    time(value).map_or_else(String::new, |at| at.format("%-d %b %Y").to_string())
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?;
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.to_utc())
}

/// A length of time in seconds, as people say it.
fn seconds(value: &Value) -> String {
    let Some(seconds) = f64::try_from(value.clone()).ok() else {
        return String::new();
    };
    match seconds {
        s if s < 0.0 => "now".to_owned(),
        s if s < 1.0 => format!("{:.0} ms", s * 1_000.0),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3_600.0 => format!("{:.0} min", s / 60.0),
        s if s < 86_400.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// A code as words: `paid_ads` is `Paid ads`.
fn words(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default().replace(['_', '.'], " ");
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// An amount in cents or pence with its currency.
fn money(minor: i64, currency: &str) -> String {
    let whole = (minor / 100).to_string();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && digit != '-' && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-')
        {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {currency}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_say_them() {
        assert_eq!(
            moment(&"2030-03-04T09:05:59.5Z".into()),
            "4 Mar 2030, 09:05 UTC"
        );
        assert_eq!(day(&"2030-03-04T09:05:59Z".into()), "4 Mar 2030");
        assert_eq!(day(&"nonsense".into()), "");
        let spans = [0.25, 4.4, 90.0, 5_400.0, 200_000.0].map(|s| seconds(&s.into()));
        assert_eq!(spans, ["250 ms", "4 s", "2 min", "1.5 h", "2 days"]);
        assert_eq!(words(&"paid_ads".into()), "Paid ads");
        assert_eq!(money(123_456_789, "USD"), "1,234,567 USD");
        assert_eq!(money(-123_400, "EUR"), "-1,234 EUR");
        assert_eq!(money(5_000, "EUR"), "50 EUR");
    }
}
