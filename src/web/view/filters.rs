//! How a time reads on a page that has no reader's clock.

use chrono::{DateTime, Utc};
use minijinja::{Environment, HtmlEscape, Value};

/// Adds them to all pages.
pub(super) fn add(pages: &mut Environment<'static>) {
    pages.add_filter("moment", moment);
    pages.add_filter("linked", linked);
}

/// A time to the minute, in UTC.
fn moment(value: &Value) -> String {
    time(value).map_or_else(String::new, |at| {
        at.format("%-d %b %Y, %H:%M UTC").to_string()
    })
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?;
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.to_utc())
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
    fn a_time_reads_as_people_say_it() {
        assert_eq!(
            moment(&"2030-03-04T09:05:59.5Z".into()),
            "4 Mar 2030, 09:05 UTC"
        );
        assert_eq!(moment(&"nonsense".into()), "");
    }
}
