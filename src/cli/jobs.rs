//! `leadmill jobs`: look at jobs, run them again, call them off.

use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use queue::admin::{self, Act, FINISHED_STATES, Filter, JobDetail, LIVE_STATES, Refused, Waiting};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::listing::{Cancel, Facts, Format, moment, or_dash};
use super::{Failure, say};
use crate::commands::query::job_cursor;
use crate::config::Config;
use crate::web::cursor;

/// Arguments of `leadmill jobs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List jobs, newest first
    Ls(Ls),
    /// Show one job whole, and why it waits
    Show(Show),
    /// Run a finished job again, or a scheduled one now
    ///
    /// A finished job gets a new id; a dead letter goes on from the progress that it had noted. With another payload it starts
    /// anew. For many at once, see `leadmill dead redrive`.
    Retry(Retry),
    /// Cancel a job; one that runs is asked to stop
    Cancel(Cancel),
    /// Remove a job for good, with its errors and what it wrote; one that runs is refused
    Delete(Delete),
    /// Count what ended in the last hour, the last day and ever, by queue and outcome
    Counts(Counts),
}

#[derive(Debug, clap::Args)]
struct Ls {
    /// Finished jobs instead of live ones
    #[arg(long)]
    finished: bool,
    /// Only of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Only in this state; one of the last four asks for finished jobs
    #[arg(long, value_parser = PossibleValuesParser::new(LIVE_STATES.into_iter().chain(FINISHED_STATES)))]
    state: Option<String>,
    /// Only of this organisation
    #[arg(long, value_name = "ID")]
    org: Option<uuid::Uuid>,
    /// How many at most, up to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=200))]
    limit: i64,
    /// The page after another, by the cursor that the other ended with
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The job's id
    id: i64,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Retry {
    /// The job's id
    id: i64,
    /// Run a finished job with this payload instead; it is checked first
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// The job's id
    id: i64,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Counts {
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let mut db = super::database(&config).await?;
    match args.command {
        Command::Ls(args) => ls(args, &mut db).await,
        Command::Show(args) => show(&args, &mut db).await,
        Command::Retry(args) => retry(&args, &mut db).await,
        Command::Cancel(args) => done(
            args.format,
            args.id,
            admin::cancel(&mut db, args.id, &args.reason).await,
        ),
        Command::Delete(args) => done(args.format, args.id, admin::delete(&mut db, args.id).await),
        Command::Counts(args) => counts(&args, &mut db).await,
    }
}

async fn ls(args: Ls, db: &mut PgConnection) -> Result<(), Failure> {
    let after = match &args.cursor {
        None => None,
        Some(text) => Some(job_cursor(text).ok_or_else(|| {
            Failure::usage(format!("--cursor: `{text}` is the cursor of no page"))
        })?),
    };
    let state = args.state.as_deref();
    if args.finished && state.is_some_and(|state| LIVE_STATES.contains(&state)) {
        return Err(Failure::usage("--state: no finished job is in that state"));
    }
    let filter = Filter {
        finished: args.finished || state.is_some_and(|state| FINISHED_STATES.contains(&state)),
        queue: args.queue,
        kind: args.kind,
        state: args.state,
        lane: args.org,
        limit: Some(args.limit),
    };
    let listing = admin::list(db, &filter, after)
        .await
        .map_err(anyhow::Error::new)?;
    let next = listing.next.as_ref().map(cursor::encode);
    if args.format.is_json() {
        return args
            .format
            .value(&json!({ "items": listing.items, "next": next }));
    }
    args.format.print(
        &listing.items,
        [
            "id",
            "kind",
            "queue",
            "state",
            "attempt",
            "run at",
            "last error",
        ],
        |job| {
            [
                job.id.to_string(),
                job.kind.clone(),
                job.queue.clone(),
                job.state.clone(),
                format!("{}/{}", job.attempt, job.max_attempts),
                or_dash(job.finished_at.or(job.run_at).map(moment)),
                job.last_error
                    .as_deref()
                    .map_or_else(|| "-".into(), first_line),
            ]
        },
        "No such jobs.",
    )?;
    if let Some(next) = next {
        say::line(format_args!("\nMore follow: --cursor {next}"))?;
    }
    Ok(())
}

async fn show(args: &Show, db: &mut PgConnection) -> Result<(), Failure> {
    let job = admin::show(db, args.id).await.map_err(anyhow::Error::new)?;
    let job = job.ok_or(Refused::Unknown(args.id))?;
    let waiting = admin::explain(db, args.id)
        .await
        .map_err(anyhow::Error::new)?;
    if args.format.is_json() {
        let mut whole = json!(job);
        whole["waiting"] = json!(waiting);
        return args.format.value(&whole);
    }
    facts(&job, &waiting).print()
}

fn facts(detail: &JobDetail, waiting: &Waiting) -> Facts {
    let job = &detail.job;
    let mut facts = Facts::default();
    facts.add("job", format_args!("{} {}", job.id, job.kind));
    facts.add(
        "state",
        match waiting {
            Waiting::Finished { outcome } => outcome.clone(),
            waiting => format!("{}: {waiting}", job.state),
        },
    );
    facts.add("queue", &job.queue);
    facts.add("org", or_dash(job.lane));
    facts.add(
        "attempt",
        format_args!("{} of {}", job.attempt, job.max_attempts),
    );
    facts.add("created", moment(job.created_at));
    facts.add_known("run at", job.run_at.map(moment));
    facts.add_known("started", job.started_at.map(moment));
    facts.add_known("finished", job.finished_at.map(moment));
    facts.add_known("key", detail.unique_key.as_ref());
    facts.add_known("retries", detail.retried_from);
    facts.add_known("reason", detail.reason.as_ref());
    facts.add_known("result", detail.result.as_ref());
    facts.add_known("progress", detail.progress.as_ref());
    facts.add("payload", &detail.payload);
    for error in detail.errors.as_array().into_iter().flatten() {
        let part = |name: &str| match &error[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (attempt, at, why) = (part("attempt"), part("at"), part("error"));
        facts.add("error", format_args!("attempt {attempt} at {at}: {why}"));
    }
    facts
}

async fn retry(args: &Retry, db: &mut PgConnection) -> Result<(), Failure> {
    let Some(payload) = &args.payload else {
        return done(args.format, args.id, admin::retry(db, args.id).await);
    };
    let payload: Value = serde_json::from_str(payload)
        .map_err(|error| Failure::usage(format!("--payload: {error}")))?;
    let job = admin::show(db, args.id).await.map_err(anyhow::Error::new)?;
    let job = job.ok_or(Refused::Unknown(args.id))?;
    let edited = jobs::registry()
        .make(&job.job.kind, &payload)
        .map_err(|error| Failure::usage(format!("--payload: {error}")))?;
    let done_with = admin::retry_edited(db, args.id, edited).await;
    done(args.format, args.id, done_with)
}

async fn counts(args: &Counts, db: &mut PgConnection) -> Result<(), Failure> {
    let rows = admin::ended(db).await.map_err(anyhow::Error::new)?;
    args.format.print(
        &rows,
        ["queue", "outcome", "last hour", "last day", "ever"],
        |row| {
            [
                row.queue.clone(),
                row.outcome.clone(),
                row.last_hour.to_string(),
                row.last_day.to_string(),
                row.ever.to_string(),
            ]
        },
        "No job has ended yet.",
    )
}

fn done(format: Format, asked: i64, outcome: Result<Act, Refused>) -> Result<(), Failure> {
    let act = outcome?;
    if format.is_json() {
        return format.value(&act.to(asked));
    }
    match act {
        Act::Retried(id) => say::line(format_args!("It runs again as job {id}.")),
        Act::Hastened => say::line("It runs now."),
        Act::Cancelled => say::line("It is cancelled."),
        Act::Cancelling => say::line("It runs and is asked to stop."),
        Act::Deleted => say::line("It is deleted."),
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(80)
        .collect()
}
