//! `leadmill schedules`: what runs by the clock; held back, run at once, made up for.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use queue::admin::{self, BackfillError, ForgetError, ResumeError};
use queue::schedule::Schedule;
use serde_json::json;
use sqlx::PgConnection;

use super::listing::{Format, moment, or_dash};
use super::{Failure, say};
use crate::config::Config;

/// Arguments of `leadmill schedules`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.global(true)), after_help = "\
Examples:
  leadmill schedules pause remind_follow_ups
  leadmill schedules run refresh_scores
  leadmill schedules backfill refresh_scores --from 2030-12-01T00:00:00Z --to 2030-12-31T00:00:00Z --dry-run")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List what runs by the clock, and when next (the default)
    Ls,
    /// Let no tick fire until it is resumed
    ///
    /// All processes obey at once; jobs that are in the queue already run. Ticks that fall due while it is paused are not made
    /// up for when it is resumed, whatever its catch-up says: catch-up is for outages. To make up for them, see `leadmill
    /// schedules backfill`. `run` and `backfill` work while it is paused.
    Pause(Subject),
    /// Let ticks fire again, from the next one on
    Resume(Subject),
    /// Fire once now, beside the plan
    ///
    /// The job is in the queue when the command ends. The next tick stays as planned, and fires besides.
    Run(Subject),
    /// Fire each tick that fell due in a span of time and never fired, once
    ///
    /// Asked for again, it fires nothing again. All ticks of the span are written in one transaction, up to now and up to 10,000;
    /// what is due later stays with the plan.
    Backfill(Backfill),
    /// Forget one that no program has any more
    ///
    /// A schedule that was taken out of the program stays in the list, late for ever, until it is forgotten. One that a program
    /// which runs still has is refused.
    Forget(Subject),
}

#[derive(Debug, clap::Args)]
struct Subject {
    /// The schedule, as `leadmill schedules` names it
    name: String,
}

#[derive(Debug, clap::Args)]
struct Backfill {
    #[command(flatten)]
    subject: Subject,
    /// The first instant, such as 2030-12-01T00:00:00Z; up to 399 days ago
    #[arg(long, value_name = "INSTANT")]
    from: DateTime<Utc>,
    /// The last instant [default: now]
    #[arg(long, value_name = "INSTANT")]
    to: Option<DateTime<Utc>>,
    /// Only say which ticks there are
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let mut db = super::database(&config).await?;
    let format = args.format;
    match args.command.unwrap_or(Command::Ls) {
        Command::Ls => ls(format, &mut db).await,
        Command::Pause(subject) => pause(&subject.name, format, &mut db).await,
        Command::Resume(subject) => resume(&subject.name, format, &mut db).await,
        Command::Run(subject) => run_now(&subject.name, format, &mut db).await,
        Command::Backfill(args) => backfill(&args, format, &mut db).await,
        Command::Forget(subject) => forget(&subject.name, format, &mut db).await,
    }
}

async fn ls(format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let rows = admin::schedules(db).await.map_err(anyhow::Error::new)?;
    format.print(
        &rows,
        [
            "name", "runs", "zone", "last due", "next due", "missed", "paused",
        ],
        |row| {
            [
                row.name.clone(),
                row.described.clone(),
                row.zone.clone(),
                or_dash(row.last_due.map(moment)),
                or_dash(row.next_due.map(moment)),
                row.missed.to_string(),
                if row.paused { "yes" } else { "no" }.into(),
            ]
        },
        "No schedule is known yet; a worker makes its own known when it starts.",
    )
}

async fn pause(name: &str, format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let known = admin::pause_schedule(db, name).await;
    if !known.map_err(anyhow::Error::new)? {
        return Err(unknown(name, db).await);
    }
    let told = format!("{name} is paused: no tick fires until it is resumed.");
    done(format, name, true, &told)
}

async fn resume(name: &str, format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let known = admin::resume_schedule(db, name).await;
    let known = known.map_err(|error| match error {
        ResumeError::Database(error) => Failure::from(anyhow::Error::new(error)),
        error @ ResumeError::Cadence(_) => Failure::usage(format!(
            "{error}; resume it with the version of leadmill that runs it"
        )),
    })?;
    if !known {
        return Err(unknown(name, db).await);
    }
    let told = format!("{name} fires again, from its next tick on.");
    done(format, name, false, &told)
}

fn done(format: Format, name: &str, paused: bool, told: &str) -> Result<(), Failure> {
    if format.is_json() {
        return format.value(&json!({"name": name, "paused": paused}));
    }
    say::line(told)
}

async fn run_now(name: &str, format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let schedule = of_this_program(name)?;
    let due = admin::run_schedule(db, &schedule).await?;
    if format.is_json() {
        return format.value(&json!({"name": name, "fired": [due]}));
    }
    say::line(format_args!("{name} fired for {}.", moment(due)))
}

async fn backfill(args: &Backfill, format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let name = &*args.subject.name;
    let schedule = of_this_program(name)?;
    // Later than now is as good as now.
    let to = args.to.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let ticks = if args.dry_run {
        admin::preview_backfill(db, &schedule, args.from, to).await
    } else {
        admin::backfill_schedule(db, &schedule, args.from, to).await
    };
    let ticks = ticks.map_err(|error| match error {
        BackfillError::Database(error) => Failure::from(anyhow::Error::new(error)),
        BackfillError::Fire(error) => Failure::from(error),
        error => Failure::usage(error),
    })?;
    if format.is_json() {
        let what = if args.dry_run { "would_fire" } else { "fired" };
        return format.value(&json!({"name": name, what: ticks}));
    }
    for tick in &ticks {
        say::line(moment(*tick))?;
    }
    let count = ticks.len();
    match (count, args.dry_run) {
        (0, _) => say::line(format_args!("Every tick of {name} in that time has fired.")),
        (count, true) => say::line(format_args!("{count} ticks of {name} would fire.")),
        (count, false) => say::line(format_args!("{count} ticks of {name} fired.")),
    }
}

async fn forget(name: &str, format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let known = admin::forget_schedule(db, name, &jobs::schedules()).await;
    let known = known.map_err(|error| match error {
        ForgetError::Database(error) => Failure::from(anyhow::Error::new(error)),
        error @ ForgetError::Fired(_) => Failure::usage(format!("NAME: {error}")),
    })?;
    if !known {
        return Err(unknown(name, db).await);
    }
    if format.is_json() {
        return format.value(&json!({"name": name, "forgotten": true}));
    }
    say::line(format_args!("{name} is forgotten."))
}

/// The schedule as this program defines it: what fires is the program's to know.
fn of_this_program(name: &str) -> Result<Schedule, Failure> {
    let all = jobs::schedules();
    let names: Vec<&str> = all.iter().map(Schedule::name).collect();
    let why = format!(
        "NAME: no schedule is called {name}; there are {}",
        names.join(", ")
    );
    let found = all.into_iter().find(|schedule| schedule.name() == name);
    found.ok_or_else(|| Failure::usage(why))
}

/// The database knows no schedule of this name.
async fn unknown(name: &str, db: &mut PgConnection) -> Failure {
    let rows = match admin::schedules(db).await {
        Ok(rows) => rows,
        Err(error) => return anyhow::Error::new(error).into(),
    };
    let names: Vec<&str> = rows.iter().map(|row| &*row.name).collect();
    if names.is_empty() {
        return Failure::usage(format!(
            "NAME: no schedule is called {name}; none is known yet, a worker makes its own known when it starts"
        ));
    }
    Failure::usage(format!(
        "NAME: no schedule is called {name}; there are {}",
        names.join(", ")
    ))
}
