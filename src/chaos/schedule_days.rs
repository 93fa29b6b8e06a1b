//! Days on the clocks of many zones, all of them missed and made up for by several tickers at once.
//!
//! What is due is worked out anew here, by looking at every quarter of an hour of the year: a time on the clock is due at
//! the first instant at which the clock shows it or more. The queue's own way never walks through time like this.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Days as Span, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use postgres::{Cluster, Options, Profile};
use queue::schedule::{CatchUp, Schedule, Ticker, tick};
use queue::{Attempt, Job, JobResult, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::store::days as store;
use crate::bench::progress::Progress;
use crate::database;

/// How many days are made up for: no ticker looks further back than 400.
const DAYS_EACH: u64 = 395;
/// Times at which clocks are changed, the most of them first, and one at which they hardly are.
const TIMES: [(u32, u32); 3] = [(2, 30), (0, 0), (12, 15)];
/// How many tickers race.
const TICKERS: usize = 3;
/// Every change of a clock is at such a time.
const GRID: TimeDelta = TimeDelta::minutes(15);
/// How often a ticker looks that found another at work.
const LOOK: Duration = Duration::from_millis(20);

/// What came of it.
#[derive(Debug)]
pub(super) struct Days {
    pub(super) days: usize,
    pub(super) zones: usize,
    /// In how many of them clocks were changed, each by another rule.
    pub(super) rules: usize,
    pub(super) due: usize,
    pub(super) fired: usize,
    pub(super) tickers: usize,
    pub(super) wrong: Vec<String>,
}

impl Days {
    pub(super) fn json(&self) -> Value {
        json!({
            "days": self.days, "zones": self.zones, "dst_rules": self.rules, "due": self.due, "fired": self.fired, "wrong": self.wrong.len(),
        })
    }
}

/// What a tick enqueues.
#[derive(Debug, Serialize, Deserialize)]
struct Day {
    schedule: String,
    due: DateTime<Utc>,
}

impl Job for Day {
    const NAME: &'static str = "chaos_day";
    const QUEUE: &'static str = "chaos_days";
    type Ctx = ();

    async fn run(&self, (): &(), _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

/// A schedule and when it is due.
struct Plan {
    schedule: Schedule,
    due: Vec<DateTime<Utc>>,
}

/// Makes up for at least `days` days of schedules, and compares.
pub(super) async fn days(days: usize) -> anyhow::Result<Days> {
    let cluster = Cluster::start(Options::temporary(&std::env::temp_dir(), Profile::Test)).await?;
    cluster.server().create_database("days").await?;
    let connect = || PgPoolOptions::new().max_connections(2);
    let pool = connect().connect_lazy(&cluster.url("days"))?;
    database::migrate(&pool).await?;
    let mut db = pool.acquire().await?;
    let until = store::now(&mut db).await?;
    let from = until
        .checked_sub_days(Span::new(DAYS_EACH))
        .context("the time is early")?;

    let zones = zones(from, until);
    let changed = zones.iter().filter(|(offsets, _)| *offsets > 1).count();
    let progress = Progress::begin("days of schedules", days);
    let (mut plans, mut done) = (Vec::new(), 0);
    // Every rule is kept at the time at which most clocks are changed, before others come.
    for ((hour, minute), zone) in TIMES
        .iter()
        .flat_map(|time| zones.iter().map(move |(_, zone)| (*time, *zone)))
    {
        if done >= days {
            break;
        }
        plans.push(plan(zone, hour, minute, from, until)?);
        done += usize::try_from(DAYS_EACH)?;
    }
    let schedules: Vec<Schedule> = plans.iter().map(|plan| plan.schedule.clone()).collect();
    Ticker::new(schedules.clone())?.define(&pool).await?;
    let names: Vec<String> = schedules.iter().map(|one| one.name().to_owned()).collect();
    let first: Vec<DateTime<Utc>> = plans
        .iter()
        .filter_map(|plan| plan.due.first().copied())
        .collect();
    store::rewind(&mut db, &names, &first).await?;

    let pools: Vec<PgPool> = (0..TICKERS)
        .map(|_| connect().connect_lazy(&cluster.url("days")))
        .collect::<Result<_, _>>()?;
    let tickers = pools
        .iter()
        .map(|pool| fire(pool, &schedules, until, &progress));
    // A line for each tick is for operators, not for years of them.
    let fired = futures::future::try_join_all(tickers).with_subscriber(NoSubscriber::default());
    let fired: usize = fired.await?.iter().sum();
    drop(progress);

    let mut wrong = Vec::new();
    let mut due = 0;
    for plan in &plans {
        let name = plan.schedule.name();
        let ticks = store::ticks(&mut db, name).await?;
        let jobs = store::jobs(&mut db, name).await?;
        // What fell due while they were at it is not of the past that was made up.
        let of_past = |times: Vec<DateTime<Utc>>| -> Vec<_> {
            times.into_iter().filter(|at| *at <= until).collect()
        };
        for (what, seen) in [("ticks", of_past(ticks)), ("jobs", of_past(jobs))] {
            if seen != plan.due {
                let odd = seen.iter().zip(&plan.due).find(|(one, other)| one != other);
                wrong.push(format!(
                    "schedule {name}: {} {what} and {} due; they part at {odd:?}",
                    seen.len(),
                    plan.due.len()
                ));
            }
        }
        due += plan.due.len();
    }
    drop(db);
    pool.close().await;
    for pool in pools {
        pool.close().await;
    }
    cluster.stop().await?;
    Ok(Days {
        days: done,
        zones: plans.len().min(zones.len()),
        rules: plans.len().min(changed),
        due,
        fired,
        tickers: TICKERS,
        wrong,
    })
}

/// Ticks until nothing of the past is due; says how much this one fired.
async fn fire(
    pool: &PgPool,
    schedules: &[Schedule],
    until: DateTime<Utc>,
    progress: &Progress,
) -> anyhow::Result<usize> {
    let mut fired = 0;
    let mut quiet = 0;
    // A round in which another held what was due is not the end.
    while quiet < 10 {
        let ticked = tick(pool, schedules).await?;
        anyhow::ensure!(ticked.failed.is_empty(), "failed: {:?}", ticked.failed);
        let of_past = ticked.fired.iter().filter(|(_, due)| *due <= until).count();
        if of_past == 0 {
            quiet += 1;
            tokio::time::sleep(LOOK).await;
        } else {
            quiet = 0;
        }
        progress.more(of_past);
        fired += of_past;
    }
    Ok(fired)
}

fn plan(
    zone: Tz,
    hour: u32,
    minute: u32,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> anyhow::Result<Plan> {
    let name = format!("{zone} {hour:02}:{minute:02}");
    let told = name.clone();
    let schedule = Schedule::new(name, move |due| Day {
        schedule: told.clone(),
        due,
    });
    let schedule = schedule
        .daily_at(hour, minute)
        .zone(zone)
        .catch_up(CatchUp::All(u16::MAX));
    let time = NaiveTime::from_hms_opt(hour, minute, 0).context("a time of day")?;
    Ok(Plan {
        schedule,
        due: due(zone, time, from, until),
    })
}

/// When `time` is due in `from..=until`: one look at every quarter of an hour.
fn due(zone: Tz, time: NaiveTime, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let mut due = Vec::new();
    let mut at = on_grid(from);
    let mut day = shown(zone, at).date();
    // The first whole day; one that has begun may have had its time before.
    day = day + Span::new(1);
    while at <= until {
        while shown(zone, at) >= day.and_time(time) {
            due.push(at);
            day = day + Span::new(1);
        }
        at += GRID;
    }
    // A day that the clock skipped has its time when the next begins: then once.
    due.dedup();
    due
}

fn on_grid(at: DateTime<Utc>) -> DateTime<Utc> {
    let step = GRID.num_seconds();
    let seconds = at.timestamp().div_euclid(step) * step;
    DateTime::from_timestamp(seconds, 0).unwrap_or(at)
}

fn shown(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// One zone of every way in which clocks went between the two times, with the number of those that it went by in turn;
/// zones whose clocks were changed come first.
fn zones(from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<(usize, Tz)> {
    let mut ways: BTreeMap<(bool, Vec<(i64, i64)>), Tz> = BTreeMap::new();
    for zone in TZ_VARIANTS {
        let mut offsets = Vec::new();
        let mut at = on_grid(from);
        let mut last = None;
        while at <= until {
            let offset = (shown(zone, at) - at.naive_utc()).num_seconds();
            if last != Some(offset) {
                offsets.push((at.timestamp(), offset));
                last = Some(offset);
            }
            at += TimeDelta::hours(1);
        }
        let steady = offsets.len() == 1;
        ways.entry((steady, offsets)).or_insert(zone);
    }
    let ways = ways.into_iter();
    ways.map(|((_, offsets), zone)| (offsets.len(), zone))
        .collect()
}
