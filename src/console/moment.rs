//! An instant as people read it.

use chrono::TimeDelta;
use chrono_tz::Tz;
use domain::clock::Timestamp;
use serde::Serialize;

/// An instant: for programs, at a glance, and in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Moment {
    /// As `<time datetime>` wants it.
    pub iso: String,
    /// How far away, or the day.
    pub text: String,
    /// To the second, on the reader's clock.
    pub full: String,
}

impl Moment {
    /// `at`, read at `now` by somebody whose clock shows the time of `zone`.
    pub(super) fn of(at: Timestamp, now: Timestamp, zone: Tz) -> Self {
        let local = at.with_timezone(&zone);
        Self {
            iso: at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            text: glance(at, now, zone),
            full: local.format("%A, %-d %B %Y, %H:%M:%S %Z").to_string(),
        }
    }

    /// A day without a time on it: today, tomorrow, or its date.
    pub(super) fn day(at: Timestamp, now: Timestamp, zone: Tz) -> Self {
        let (day, today) = (at.with_timezone(&zone), now.with_timezone(&zone));
        let days = (day.date_naive() - today.date_naive()).num_days();
        let text = match days {
            0 => "today".to_owned(),
            1 => "tomorrow".to_owned(),
            -1 => "yesterday".to_owned(),
            2..=6 => day.format("%A").to_string(),
            -30..=-2 => format!("{} days ago", -days),
            _ => date(at, now, zone),
        };
        Self {
            text,
            ..Self::of(at, now, zone)
        }
    }
}

fn glance(at: Timestamp, now: Timestamp, zone: Tz) -> String {
    let past = now - at;
    let (span, ahead) = if past < TimeDelta::zero() {
        (-past, true)
    } else {
        (past, false)
    };
    let text = match (span.num_seconds(), span.num_minutes(), span.num_hours()) {
        (..10, ..) if !ahead => return "just now".to_owned(),
        (seconds @ ..60, ..) => format!("{seconds} s"),
        (_, minutes @ ..60, _) => format!("{minutes} min"),
        (.., hours @ ..24) => format!("{hours} h"),
        _ if span < TimeDelta::days(7) => format!("{} d", span.num_days()),
        _ => return date(at, now, zone),
    };
    if ahead {
        format!("in {text}")
    } else {
        format!("{text} ago")
    }
}

fn date(at: Timestamp, now: Timestamp, zone: Tz) -> String {
    use chrono::Datelike;
    let (at, now) = (at.with_timezone(&zone), now.with_timezone(&zone));
    let form = if at.year() == now.year() {
        "%-d %b"
    } else {
        "%-d %b %Y"
    };
    at.format(form).to_string()
}

/// A length of time, two units at most.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as i64;
    match whole {
        0 if seconds > 0.0 && seconds < 0.95 => format!("{:.0} ms", seconds * 1_000.0),
        ..60 => format!("{whole} s"),
        60..3_600 => two(whole / 60, "min", whole % 60, "s"),
        3_600..86_400 => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_people_say_them() {
        let now: Timestamp = "2030-03-04T09:00:00Z".parse().unwrap();
        let zone: Tz = "America/New_York".parse().unwrap();
        let text = |seconds: i64| Moment::of(now - TimeDelta::seconds(seconds), now, zone).text;
        let read = [0, 30, 90, 7_200, 200_000, 700_000, -90, -5, 40_000_000].map(text);
        let wanted = [
            "just now",
            "30 s ago",
            "1 min ago",
            "2 h ago",
            "2 d ago",
            "24 Feb",
            "in 1 min",
            "in 5 s",
            "26 Nov 2028",
        ];
        assert_eq!(read, wanted);
        let day = |days: i64| Moment::day(now + TimeDelta::days(days), now, zone).text;
        let wanted = [
            "today",
            "tomorrow",
            "yesterday",
            "Thursday",
            "5 days ago",
            "3 Apr",
        ];
        assert_eq!([0, 1, -1, 3, -5, 30].map(day), wanted);
        let full = Moment::of(now, now, zone).full;
        assert_eq!(full, "Monday, 4 March 2030, 04:00:00 EST");
    }

    #[test]
    fn lengths_have_two_units_at_most() {
        let read = [0.0, 0.25, 1.0, 59.6, 61.0, 3_600.0, 90_061.0].map(span);
        let wanted = [
            "0 s",
            "250 ms",
            "1 s",
            "1 min",
            "1 min 1 s",
            "1 h",
            "1 d 1 h",
        ];
        assert_eq!(read, wanted);
    }
}
