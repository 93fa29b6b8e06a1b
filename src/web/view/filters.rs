//! How values read on a page.

use chrono::{DateTime, Utc};
use minijinja::{Environment, HtmlEscape, Value};

/// Adds them to all pages.
pub(super) fn add(pages: &mut Environment<'static>) {
    pages.add_filter("moment", moment);
    pages.add_filter("day", day);
    pages.add_filter("seconds", seconds);
    pages.add_filter("words", words);
    pages.add_filter("money", money);
    pages.add_filter("linked", linked);
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

/// Text with its web addresses made links, and nothing else.
fn linked(text: &str) -> Value {
    let mut html = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(start) = address_in(rest) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| c.is_whitespace() || "<>\"".contains(c));
        let long = &from[..end.unwrap_or(from.len())];
        // What ends a sentence is no part of the address.
        let address = long.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'']);
        let escaped = HtmlEscape(address);
        html += &format!(
            "{}<a href=\"{escaped}\" target=\"_blank\" rel=\"noopener\">{escaped}</a>",
            HtmlEscape(before)
        );
        rest = &from[address.len()..];
    }
    html += &HtmlEscape(rest).to_string();
    Value::from_safe_string(html)
}

/// Where the first web address in a text begins.
fn address_in(text: &str) -> Option<usize> {
    let starts = ["https://", "http://"];
    starts.iter().filter_map(|start| text.find(start)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_addresses_are_links_and_all_else_is_text() {
        let html = |text| linked(text).to_string();
        assert_eq!(html("a < b & c"), "a &lt; b &amp; c");
        assert_eq!(
            html("See (http://a.test/x?y=1&z=2)."),
            "See (<a href=\"http:&#x2f;&#x2f;a.test&#x2f;x?y=1&amp;z=2\" target=\"_blank\" rel=\"noopener\">\
             http:&#x2f;&#x2f;a.test&#x2f;x?y=1&amp;z=2</a>)."
        );
        let evil = html("https://a.test/\"onclick=alert(1) javascript:alert(1) http://");
        assert!(evil.contains("a.test&#x2f;\" target=") && evil.contains("&quot;onclick"));
        assert!(!evil.contains("href=\"javascript") && !evil.contains("\"onclick"));
    }

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
