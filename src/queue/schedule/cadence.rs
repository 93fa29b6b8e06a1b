//! When something recurs: a pure function from one instant to the next.
//!
//! # Where clocks are changed
//!
//! A cadence that names hours of the day fires once for each such time on the clock: a time that a change of the
//! clock skips fires at the first instant after the gap, a time that comes twice fires the first time only. One that
//! names every hour counts time that passes: it keeps its pace through the hour that comes twice and adds nothing for
//! the one that is skipped. One of minutes counts from midnight UTC and knows no zone.

use std::fmt::{self, Display};

use chrono::{DateTime, Datelike, Duration, LocalResult, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::crontab::{Cron, CronError};

/// When something recurs.
#[derive(Debug, Clone, PartialEq)]
pub enum Cadence {
    /// At an interval of minutes, counted from midnight UTC.
    Minutes(u32),
    /// At times on the clock of a zone.
    Clock(Box<Cron>, Tz),
}

/// Why a cadence of minutes is refused.
const UNEVEN: &str = "must divide a day, or its ticks would shift from day to day";

impl Cadence {
    /// Every `minutes` minutes, counted from midnight UTC.
    pub fn every(minutes: u32) -> Result<Self, CronError> {
        if minutes == 0 || 1440 % minutes != 0 {
            return Err(CronError::Field {
                field: "minutes",
                why: UNEVEN.to_owned(),
                given: minutes.to_string(),
            });
        }
        Ok(Self::Minutes(minutes))
    }

    /// As five fields say, on the clock of `zone`.
    pub fn cron(fields: &str, zone: Tz) -> Result<Self, CronError> {
        Ok(Self::Clock(Box::new(fields.parse()?), zone))
    }

    /// The same times on another zone's clock.
    pub fn in_zone(self, zone: Tz) -> Self {
        match self {
            Self::Clock(cron, _) => Self::Clock(cron, zone),
            minutes @ Self::Minutes(_) => minutes,
        }
    }

    /// The zone whose clock it follows.
    pub fn zone(&self) -> Tz {
        match self {
            Self::Clock(_, zone) => *zone,
            Self::Minutes(_) => Tz::UTC,
        }
    }

    /// The first instant after `after` at which it fires; `None` after the year 2100.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Minutes(minutes) => {
                let step = i64::from(*minutes) * 60;
                let next = (after.timestamp().div_euclid(step) + 1) * step;
                DateTime::from_timestamp(next, 0)
            }
            Self::Clock(cron, zone) if cron.is_every_hour() => next_passing(cron, *zone, after),
            Self::Clock(cron, zone) => next_on_clock(cron, *zone, after),
        }
    }

    /// The first `count` instants after `after`, in its zone.
    pub fn preview(&self, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Tz>> {
        let mut at = after;
        let mut preview = Vec::with_capacity(count);
        while preview.len() < count
            && let Some(next) = self.next(at)
        {
            preview.push(next.with_timezone(&self.zone()));
            at = next;
        }
        preview
    }

    /// What tells one cadence from another, kept beside the schedule.
    pub fn text(&self) -> String {
        match self {
            Self::Minutes(minutes) => format!("every {minutes} minutes"),
            Self::Clock(cron, _) => cron.text.clone(),
        }
    }
}

/// Times on a clock, each once.
fn next_on_clock(cron: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // No earlier time on the clock can fire later, as `first_instant` never runs backwards.
    let start = after.with_timezone(&zone).naive_local();
    cron.schedule
        .after(&start.and_utc())
        .filter_map(|time| first_instant(zone, time.naive_utc()))
        .find(|instant| *instant > after)
}

/// The instant at which the clock of `zone` first shows `time`, or has first jumped over it.
fn first_instant(zone: Tz, time: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&time) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => {
            Some(instant.with_timezone(&Utc))
        }
        LocalResult::None => end_of_gap(zone, time),
    }
}

/// The first instant at which the clock shows more than `time`, which it never shows.
fn end_of_gap(zone: Tz, time: NaiveDateTime) -> Option<DateTime<Utc>> {
    let shows_less = |second: i64| Some(zone.from_utc_datetime(&at(second)?).naive_local() < time);
    // The clock's distance from UTC is well below a day, so the gap's end is within a day either way.
    let centre = time.and_utc().timestamp();
    let (mut before, mut after) = (centre - 86_400, centre + 86_400);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if shows_less(middle)? {
            before = middle;
        } else {
            after = middle;
        }
    }
    Some(at(after)?.and_utc())
}

fn at(second: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(second, 0)?.naive_utc())
}

/// Minutes that pass, each of which shows a time on the clock.
fn next_passing(cron: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    /// Less than this is walked minute by minute: no change of a clock can hide in what is jumped over.
    const WALK: Duration = Duration::days(2);
    let mut instant = after.with_second(0)?.with_nanosecond(0)?;
    loop {
        instant += Duration::minutes(1);
        let shown = instant.with_timezone(&zone).naive_local();
        if cron.shows(shown) {
            return Some(instant);
        }
        let shown = shown.and_utc();
        let next = cron.schedule.after(&shown).next()?;
        // Both are whole minutes, and so is what is jumped over.
        if next - shown > WALK + WALK {
            instant += next - shown - WALK;
        }
    }
}

impl Cron {
    /// Whether it fires when the clock shows `time`.
    fn shows(&self, time: NaiveDateTime) -> bool {
        self.minutes.contains(&time.minute())
            && self.hours.contains(&time.hour())
            && self.days.contains(&time.day())
            && self.months.contains(&time.month())
            && self
                .weekdays
                .contains(&time.weekday().num_days_from_sunday())
    }
}

/// The cadence in plain words, as people are shown it.
impl Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(1) => write!(f, "every minute"),
            Self::Minutes(minutes) if minutes % 60 == 0 => match minutes / 60 {
                1 => write!(f, "every hour"),
                hours => write!(f, "every {hours} hours"),
            },
            Self::Minutes(minutes) => write!(f, "every {minutes} minutes"),
            Self::Clock(cron, zone) => {
                write!(f, "{}{} ({zone})", cron.times(), cron.on_days())
            }
        }
    }
}

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Cron {
    fn times(&self) -> String {
        if self.is_every_hour() {
            return match self.pace() {
                Some(1) => "every minute".to_owned(),
                Some(pace) => format!("every {pace} minutes"),
                None => {
                    let minutes = self.minutes.iter().map(|minute| format!(":{minute:02}"));
                    format!("every hour at {}", joined(minutes.collect()))
                }
            };
        }
        if self.minutes.len() * self.hours.len() <= 6 {
            let times = self.hours.iter().flat_map(|hour| {
                let minutes = self.minutes.iter();
                minutes.map(move |minute| format!("{hour:02}:{minute:02}"))
            });
            return format!("at {}", joined(times.collect()));
        }
        let minutes = match self.pace() {
            Some(1) => "every minute".to_owned(),
            Some(pace) => format!("every {pace} minutes"),
            None => format!(
                "at minute {}",
                joined(self.minutes.iter().map(u32::to_string).collect())
            ),
        };
        let hours = self.hours.iter().map(|hour| format!("{hour:02}h"));
        format!("{minutes} in the hours {}", joined(hours.collect()))
    }

    /// The even step of its minutes through the hour.
    fn pace(&self) -> Option<usize> {
        let count = self.minutes.len();
        let pace = 60_usize
            .checked_div(count)
            .filter(|pace| pace * count == 60)?;
        let even = self.minutes.iter().enumerate();
        (count > 1
            && even
                .into_iter()
                .all(|(place, minute)| place * pace == *minute as usize))
        .then_some(pace)
    }

    fn on_days(&self) -> String {
        let mut days = String::new();
        let all_weekdays = self.weekdays.len() == 7;
        if !all_weekdays {
            let names = self.weekdays.iter();
            let names = names.filter_map(|day| WEEKDAYS.get(*day as usize));
            days += " on ";
            days += &if self.weekdays.iter().copied().eq(1..=5) {
                "Monday to Friday".to_owned()
            } else {
                joined(names.map(|name| (*name).to_owned()).collect())
            };
        } else if self.days.len() < 31 {
            days += " on day ";
            days += &joined(self.days.iter().map(u32::to_string).collect());
            days += if self.months.len() == 12 {
                " of the month"
            } else {
                ""
            };
        } else if !self.is_every_hour() {
            days += " every day";
        }
        if self.months.len() < 12 {
            let names = self.months.iter();
            let names = names.filter_map(|month| MONTHS.get(*month as usize - 1));
            days += " in ";
            days += &joined(names.map(|name| (*name).to_owned()).collect());
        }
        days
    }
}

fn joined(words: Vec<String>) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests;
