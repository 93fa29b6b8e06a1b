//! `leadmill jobs`: look at jobs, run them again, call them off.

use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use queue::admin::{
    self, Act, Cursor, FINISHED_STATES, Filter, JobDetail, LIVE_STATES, Refused, Waiting,
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::listing::{Format, moment, or_dash};
use super::{Failure, say};
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
struct Cancel {
    /// The job's id
    id: i64,
    /// Why, for whoever looks at it later
    #[arg(long, default_value = "from the command line")]
    reason: String,
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
        Command::Counts(args) => counts(&args, &mut db).await,
    }
}

async fn ls(args: Ls, db: &mut PgConnection) -> Result<(), Failure> {
    let after = match &args.cursor {
        None => None,
        Some(text) => Some(cursor::decode::<Cursor>(text).ok_or_else(|| {
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
        since: None,
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
    let job = job.ok_or_else(|| Failure::usage(Refused::Unknown(args.id)))?;
    let waiting = admin::explain(db, args.id)
        .await
        .map_err(anyhow::Error::new)?;
    if args.format.is_json() {
        let mut whole = json!(job);
        whole["waiting"] = json!(waiting);
        return args.format.value(&whole);
    }
    for (name, value) in facts(&job, &waiting) {
        say::line(format_args!("{name:<12}{value}"))?;
    }
    Ok(())
}

/// What people want to know of a job, in the order in which they ask.
fn facts(detail: &JobDetail, waiting: &Waiting) -> Vec<(&'static str, String)> {
    let job = &detail.job;
    let mut facts = vec![
        ("job", format!("{} {}", job.id, job.kind)),
        (
            "state",
            match waiting {
                Waiting::Finished { outcome } => outcome.clone(),
                waiting => format!("{}: {waiting}", job.state),
            },
        ),
        ("queue", job.queue.clone()),
        ("org", or_dash(job.lane)),
        (
            "attempt",
            format!("{} of {}", job.attempt, job.max_attempts),
        ),
        ("created", moment(job.created_at)),
    ];
    let times = [
        ("run at", job.run_at),
        ("started", job.started_at),
        ("finished", job.finished_at),
    ];
    facts.extend(
        times
            .into_iter()
            .filter_map(|(name, at)| Some((name, moment(at?)))),
    );
    let texts = [
        ("key", detail.unique_key.clone()),
        ("retries", detail.retried_from.map(|id| id.to_string())),
        ("reason", detail.reason.clone()),
        ("result", detail.result.as_ref().map(Value::to_string)),
        ("progress", detail.progress.as_ref().map(Value::to_string)),
    ];
    facts.extend(
        texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?))),
    );
    facts.push(("payload", detail.payload.to_string()));
    for error in detail.errors.as_array().into_iter().flatten() {
        let part = |name: &str| match &error[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        facts.push((
            "error",
            format!(
                "attempt {} at {}: {}",
                part("attempt"),
                part("at"),
                part("error")
            ),
        ));
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
    let job = job.ok_or_else(|| Failure::usage(Refused::Unknown(args.id)))?;
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
    let act = match outcome {
        Ok(act) => act,
        Err(Refused::Database(error)) => return Err(anyhow::Error::new(error).into()),
        Err(refused) => return Err(Failure::usage(refused)),
    };
    let (name, id, told) = match act {
        Act::Retried(id) => ("retried", id, format!("It runs again as job {id}.")),
        Act::Hastened => ("hastened", asked, "It runs now.".to_owned()),
        Act::Cancelled => ("cancelled", asked, "It is cancelled.".to_owned()),
        Act::Cancelling => (
            "cancelling",
            asked,
            "It runs and is asked to stop.".to_owned(),
        ),
        Act::Deleted => ("deleted", asked, "It is deleted.".to_owned()),
    };
    if format.is_json() {
        return format.value(&json!({ name: id }));
    }
    say::line(told)
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(80)
        .collect()
}
