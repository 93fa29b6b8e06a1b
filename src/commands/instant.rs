//! Instants as callers write them, within what the database can hold and people can mean.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike};
use domain::clock::Timestamp;

/// The years in which anything can happen.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2200;

/// How an instant is written, for those who wrote it otherwise.
pub const EXAMPLE: &str = "2030-12-31T08:00:00Z, in the years 1900 to 2200";

/// The instant that `text` names; a leap second is the first one after it.
pub fn exact(text: &str) -> Option<Timestamp> {
    let at: Timestamp = DateTime::parse_from_rfc3339(text).ok()?.into();
    in_reach(match at.nanosecond().checked_sub(1_000_000_000) {
        Some(_) => at.with_nanosecond(0)? + TimeDelta::seconds(1),
        None => at,
    })
}

/// The same, or the first instant of the day that `text` names.
pub fn start_of(text: &str) -> Option<Timestamp> {
    exact(text).or_else(|| {
        let day: NaiveDate = text.parse().ok()?;
        in_reach(day.and_hms_opt(0, 0, 0)?.and_utc())
    })
}

/// The same; a day given as an end is meant with all its hours.
pub fn end_of(text: &str) -> Option<Timestamp> {
    exact(text).or_else(|| Some(start_of(text)? + TimeDelta::days(1)))
}

/// The instant, if it is one that can be kept.
pub fn in_reach(at: Timestamp) -> Option<Timestamp> {
    YEARS.contains(&at.year()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_kept_is_an_instant() {
        for far in [
            "0000-01-01T00:00:00Z",
            "1899-12-31T23:59:59Z",
            "2201-01-01T00:00:00Z",
            "9999-12-31T23:59:60Z",
            "-262000-01-01",
            "+262000-01-01",
            "tomorrow",
        ] {
            assert_eq!(
                (exact(far), start_of(far), end_of(far)),
                (None, None, None),
                "{far}"
            );
        }
        let leap = exact("2016-12-31T23:59:60.5Z").unwrap();
        assert_eq!(leap.to_rfc3339(), "2017-01-01T00:00:00+00:00");
        assert_eq!(exact("2030-01-01"), None);
        assert_eq!(
            end_of("2200-12-31").unwrap().to_rfc3339(),
            "2201-01-01T00:00:00+00:00"
        );
    }
}
