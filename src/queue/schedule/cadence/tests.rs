use std::collections::BTreeSet;

use chrono::{DateTime, Duration, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::{Cadence, Cron};

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
        .unwrap()
        .and_utc()
}

/// The first `count` times after `after` (UTC), as the zone's clock shows them.
fn shown(fields: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
    let cadence = Cadence::cron(fields, zone).unwrap();
    let preview = cadence.preview(utc(after), count);
    preview
        .iter()
        .map(|at| at.format("%m-%d %H:%M %z").to_string())
        .collect()
}

#[test]
fn a_time_that_the_clock_skips_fires_at_the_first_instant_after_the_gap() {
    let cases = [
        (
            "30 2 * * *",
            Tz::Europe__Berlin,
            "2026-03-28 12:00",
            "03-29 03:00 +0200",
        ),
        (
            "30 2 * * *",
            Tz::America__New_York,
            "2026-03-07 12:00",
            "03-08 03:00 -0400",
        ),
        (
            "15 2 * * *",
            Tz::Australia__Lord_Howe,
            "2026-10-03 12:00",
            "10-04 02:30 +1100",
        ),
        (
            "30 2 * * *",
            Tz::Africa__Casablanca,
            "2026-03-21 12:00",
            "03-22 03:00 +0100",
        ),
    ];
    for (fields, zone, after, first) in cases {
        assert_eq!(shown(fields, zone, after, 1), [first], "{zone}");
    }
}

#[test]
fn a_time_that_comes_twice_fires_the_first_time_only() {
    let cases = [
        (
            "30 2 * * *",
            Tz::Europe__Berlin,
            "2026-10-24 12:00",
            ["10-25 02:30 +0200", "10-26 02:30 +0100"],
        ),
        (
            "30 1 * * *",
            Tz::America__New_York,
            "2026-10-31 12:00",
            ["11-01 01:30 -0400", "11-02 01:30 -0500"],
        ),
        (
            "45 1 * * *",
            Tz::Australia__Lord_Howe,
            "2026-04-04 12:00",
            ["04-05 01:45 +1100", "04-06 01:45 +1030"],
        ),
        (
            "30 2 * * *",
            Tz::Africa__Casablanca,
            "2026-02-14 12:00",
            ["02-15 02:30 +0100", "02-16 02:30 +0000"],
        ),
    ];
    for (fields, zone, after, both) in cases {
        assert_eq!(shown(fields, zone, after, 2), both, "{zone}");
    }
}

#[test]
fn every_hour_keeps_its_pace_where_clocks_change() {
    let autumn = shown("30 * * * *", Tz::Europe__Berlin, "2026-10-24 23:45", 3);
    assert_eq!(
        autumn,
        [
            "10-25 02:30 +0200",
            "10-25 02:30 +0100",
            "10-25 03:30 +0100"
        ]
    );
    let spring = shown("30 * * * *", Tz::Europe__Berlin, "2026-03-29 00:00", 3);
    assert_eq!(
        spring,
        [
            "03-29 01:30 +0100",
            "03-29 03:30 +0200",
            "03-29 04:30 +0200"
        ]
    );
    let half = shown(
        "*/20 * * * *",
        Tz::Australia__Lord_Howe,
        "2026-10-03 15:00",
        3,
    );
    assert_eq!(
        half,
        [
            "10-04 01:40 +1030",
            "10-04 02:40 +1100",
            "10-04 03:00 +1100"
        ]
    );
}

#[test]
fn rare_days_and_far_days_are_found() {
    assert_eq!(
        shown("0 0 29 2 *", Tz::UTC, "2026-01-01 00:00", 2),
        ["02-29 00:00 +0000", "02-29 00:00 +0000"]
    );
    assert_eq!(
        shown("5 * 1 1 *", Tz::UTC, "2026-01-02 00:00", 2),
        ["01-01 00:05 +0000", "01-01 01:05 +0000"]
    );
    let ended = Cadence::cron("0 3 * * *", Tz::UTC).unwrap();
    assert_eq!(ended.next(utc("2101-01-01 00:00")), None);
}

#[test]
fn what_is_days_away_fires_on_the_minute() {
    for (fields, zone, after, next) in [
        (
            "*/20 * * * 5",
            Tz::Europe__Berlin,
            "2018-11-25 00:00",
            "2018-11-29 23:00",
        ),
        ("5 * 1 1 *", Tz::UTC, "2026-01-02 00:00", "2027-01-01 00:05"),
        (
            "7 * 29 2 *",
            Tz::UTC,
            "2096-03-01 00:00",
            "2104-02-29 00:07",
        ),
    ] {
        let cadence = Cadence::cron(fields, zone).unwrap();
        let found = cadence.next(utc(after));
        assert_eq!(
            found,
            Some(utc(next)).filter(|at| *at < utc("2101-01-01 00:00"))
        );
    }
}

#[test]
fn minutes_count_from_midnight() {
    let cadence = Cadence::every(90).unwrap();
    assert_eq!(
        cadence.next(utc("2026-01-01 00:00")),
        Some(utc("2026-01-01 01:30"))
    );
    assert_eq!(
        cadence.next(utc("2026-01-01 23:59")),
        Some(utc("2026-01-02 00:00"))
    );
    assert!(Cadence::every(0).is_err());
    assert!(Cadence::every(7).is_err());
}

#[test]
fn it_is_told_in_plain_words() {
    let told = |fields: &str| Cadence::cron(fields, Tz::UTC).unwrap().to_string();
    assert_eq!(told("0 3 * * *"), "at 03:00 every day (UTC)");
    assert_eq!(told("5 * * * *"), "every hour at :05 (UTC)");
    assert_eq!(told("*/5 * * * *"), "every 5 minutes (UTC)");
    assert_eq!(told("* * * * *"), "every minute (UTC)");
    assert_eq!(
        told("30 8,17 * * 1-5"),
        "at 08:30 and 17:30 on Monday to Friday (UTC)"
    );
    assert_eq!(told("0 6 * * 0,6"), "at 06:00 on Sunday and Saturday (UTC)");
    assert_eq!(told("0 6 1 * *"), "at 06:00 on day 1 of the month (UTC)");
    assert_eq!(
        told("0 6 1 1,7 *"),
        "at 06:00 on day 1 in January and July (UTC)"
    );
    assert_eq!(
        told("*/15 9-17 * * *"),
        "every 15 minutes in the hours 09h, 10h, 11h, 12h, 13h, 14h, 15h, 16h and 17h every day (UTC)"
    );
    assert_eq!(Cadence::every(1).unwrap().to_string(), "every minute");
    assert_eq!(Cadence::every(120).unwrap().to_string(), "every 2 hours");
}

/// What fires in `from..=to`, found by watching the clock minute by minute.
fn watched(cron: &Cron, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let minute = Duration::minutes(1);
    let mut seen = BTreeSet::new();
    let mut fired = Vec::new();
    let mut now = from - Duration::days(1);
    let mut shown = now.with_timezone(&zone).naive_local();
    while now <= to {
        let before = shown;
        shown = now.with_timezone(&zone).naive_local();
        let mut fires = cron.shows(shown) && (cron.is_every_hour() || !seen.contains(&shown));
        let mut skipped = before + minute;
        while !cron.is_every_hour() && skipped < shown {
            fires |= cron.shows(skipped) && seen.insert(skipped);
            skipped += minute;
        }
        seen.insert(shown);
        if fires && now >= from {
            fired.push(now);
        }
        now += minute;
    }
    fired
}

fn zones() -> impl Strategy<Value = Tz> {
    let fickle = prop::sample::select(vec![
        Tz::Europe__Berlin,
        Tz::America__New_York,
        Tz::Australia__Lord_Howe,
        Tz::Africa__Casablanca,
        Tz::Pacific__Apia,
        Tz::America__St_Johns,
    ]);
    prop_oneof![
        fickle,
        prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec())
    ]
}

fn fields() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        Just("*/20".to_owned()),
        (0..60_u32).prop_map(|m| m.to_string())
    ];
    let hour = prop_oneof![
        Just("*".to_owned()),
        Just("0-4".to_owned()),
        (0..24_u32).prop_map(|hour| hour.to_string())
    ];
    let day = prop_oneof![
        4 => Just("* * *".to_owned()),
        1 => (0..7_u32).prop_map(|day| format!("* * {day}")),
        1 => (1..29_u32).prop_map(|day| format!("{day} * *")),
    ];
    (minute, hour, day).prop_map(|(minute, hour, day)| format!("{minute} {hour} {day}"))
}

/// Days on which some zone's clock is changed are as likely as all others together.
fn starts() -> impl Strategy<Value = DateTime<Utc>> {
    let changes = prop::sample::select(vec![
        "2026-03-28",
        "2026-10-24",
        "2026-03-07",
        "2026-10-31",
        "2026-10-03",
        "2026-04-04",
        "2026-02-14",
        "2026-03-21",
        "2011-12-29",
        "2024-03-09",
    ]);
    prop_oneof![
        changes.prop_map(|day| utc(&format!("{day} 00:00"))),
        (1990..2037, 0..365_i64).prop_map(|(year, day)| {
            Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap() + Duration::days(day)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nothing_is_skipped_and_nothing_fires_twice(
        zone in zones(), fields in fields(), from in starts(),
    ) {
        let Cadence::Clock(cron, _) = Cadence::cron(&fields, zone).unwrap() else { unreachable!() };
        let cadence = Cadence::Clock(cron.clone(), zone);
        let to = from + Duration::days(3);
        let mut found = Vec::new();
        let mut at = from - Duration::seconds(1);
        while let Some(next) = cadence.next(at).filter(|next| *next <= to) {
            prop_assert!(next > at);
            found.push(next);
            at = next;
        }
        prop_assert_eq!(found, watched(&cron, zone, from, to));
    }

    #[test]
    fn the_next_is_the_same_from_any_instant_before_it(
        zone in zones(), fields in fields(), from in starts(), later in 0..172_800_i64,
    ) {
        let cadence = Cadence::cron(&fields, zone).unwrap();
        let next = cadence.next(from).unwrap();
        let between = (from + Duration::seconds(later)).min(next - Duration::nanoseconds(1));
        prop_assert_eq!(cadence.next(between), Some(next));
    }
}
