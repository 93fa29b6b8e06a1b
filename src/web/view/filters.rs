//! How a time reads on a page that has no reader's clock.

use chrono::{DateTime, Utc};
use minijinja::{Environment, Value};

/// Adds them to all pages.
pub(super) fn add(pages: &mut Environment<'static>) {
    pages.add_filter("moment", moment);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_as_people_say_it() {
        assert_eq!(
            moment(&"2030-03-04T09:05:59.5Z".into()),
            "4 Mar 2030, 09:05 UTC"
        );
        assert_eq!(moment(&"nonsense".into()), "");
    }
}
