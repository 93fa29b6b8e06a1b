//! `leadmill batches`: how far jobs that belong together have got, and calling them off.

use std::sync::Arc;

use queue::admin::{self, BatchFilter, BatchRow, Refused};
use sqlx::PgConnection;

use super::listing::{Cancel, Facts, Format, moment, or_dash};
use super::{Failure, say};
use crate::config::Config;

/// Arguments of `leadmill batches`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List batches, newest first
    Ls(Ls),
    /// Show one batch: how many of its jobs remain, failed and were cancelled
    Show(Show),
    /// Cancel what of a batch waits, and ask its running jobs to stop
    ///
    /// Nothing more can be added to it. When the last of its jobs has ended, the batch is completed, and the job that was to
    /// come after it is enqueued, as always: by the batch it can see what was cancelled.
    Cancel(Cancel),
}

#[derive(Debug, clap::Args)]
struct Ls {
    /// Only batches that are not completed
    #[arg(long)]
    unfinished: bool,
    /// Only of this organisation
    #[arg(long, value_name = "ID")]
    org: Option<uuid::Uuid>,
    /// How many at most, up to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=200))]
    limit: i64,
    /// Only batches of ids below this one: the page after another, which ended with it
    #[arg(long, value_name = "ID")]
    below: Option<i64>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The batch's id
    id: i64,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let mut db = super::database(&config).await?;
    match args.command {
        Command::Ls(args) => ls(&args, &mut db).await,
        Command::Show(args) => show(&args, &mut db).await,
        Command::Cancel(args) => cancel(&args, &mut db).await,
    }
}

async fn ls(args: &Ls, db: &mut PgConnection) -> Result<(), Failure> {
    let filter = BatchFilter {
        unfinished: args.unfinished,
        lane: args.org,
        limit: Some(args.limit),
    };
    let listing = admin::batches(db, filter, args.below)
        .await
        .map_err(anyhow::Error::new)?;
    if args.format.is_json() {
        return args.format.value(&listing);
    }
    args.format.print(
        &listing.items,
        [
            "id",
            "name",
            "state",
            "done",
            "failed",
            "cancelled",
            "remaining",
            "total",
            "created",
        ],
        |batch| {
            [
                batch.id.to_string(),
                batch.name.clone(),
                batch.state.clone(),
                batch.done.to_string(),
                batch.failed.to_string(),
                batch.cancelled.to_string(),
                batch.remaining.to_string(),
                batch.total.to_string(),
                moment(batch.created_at),
            ]
        },
        "No such batches.",
    )?;
    if let Some(below) = listing.next {
        say::line(format_args!("\nMore follow: --below {below}"))?;
    }
    Ok(())
}

async fn show(args: &Show, db: &mut PgConnection) -> Result<(), Failure> {
    let batch = admin::batch(db, args.id)
        .await
        .map_err(anyhow::Error::new)?;
    let batch = batch.ok_or(Refused::UnknownBatch(args.id))?;
    if args.format.is_json() {
        return args.format.value(&batch);
    }
    facts(&batch).print()
}

fn facts(batch: &BatchRow) -> Facts {
    let mut facts = Facts::default();
    facts.add("batch", format_args!("{} {}", batch.id, batch.name));
    facts.add("state", &batch.state);
    facts.add("org", or_dash(batch.lane));
    facts.add("total", batch.total);
    facts.add("remaining", batch.remaining);
    facts.add("done", batch.done);
    facts.add("failed", batch.failed);
    facts.add("cancelled", batch.cancelled);
    facts.add("created", moment(batch.created_at));
    facts.add_known("sealed", batch.sealed_at.map(moment));
    facts.add_known("completed", batch.completed_at.map(moment));
    facts.add_known(
        "then",
        batch
            .on_complete
            .as_ref()
            .map(|kind| match batch.completed_job {
                None => kind.clone(),
                Some(job) => format!("{kind}, job {job}"),
            }),
    );
    facts
}

async fn cancel(args: &Cancel, db: &mut PgConnection) -> Result<(), Failure> {
    let done = admin::cancel_batch(db, args.id, &args.reason).await?;
    if args.format.is_json() {
        return args.format.value(&done);
    }
    say::line(format_args!(
        "{} jobs are cancelled, {} run and are asked to stop.",
        done.cancelled, done.asked
    ))?;
    Ok(())
}
