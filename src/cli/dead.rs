//! `leadmill dead`: dead letters by their cause; run again, or forgotten.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use queue::Fingerprint;
use queue::admin::{self, COUNTED_TO, Counted, DeadFilter, Rate, Redrive};
use serde_json::json;
use sqlx::PgConnection;

use super::listing::{Format, moment, or_dash};
use super::{Failure, say};
use crate::config::Config;

/// Arguments of `leadmill dead`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List dead letters grouped by kind and cause, the most frequent first
    ///
    /// Errors have a cause in common that differ only in numbers, ids, addresses and what is in quotation marks; its fingerprint
    /// is what the other commands take. The newest 10,000 letters are looked at.
    Ls(Ls),
    /// Run dead letters again, the oldest first
    ///
    /// Each gets a new id and all its attempts, and goes on from the progress that it had noted. A letter whose key a live
    /// job has stays. For one alone, or to change its payload, see `leadmill jobs retry`.
    Redrive(RedriveArgs),
    /// Remove dead letters for good
    Forget(Forget),
}

/// Which letters are meant.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Only of this cause, as `leadmill dead ls` names it
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<Fingerprint>,
    /// Only of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only of this organisation
    #[arg(long, value_name = "ID")]
    org: Option<uuid::Uuid>,
    /// Only those discarded since this instant, such as 2030-12-31T08:00:00Z
    #[arg(long, value_name = "INSTANT")]
    since: Option<DateTime<Utc>>,
}

#[derive(Debug, clap::Args)]
struct Ls {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct RedriveArgs {
    #[command(flatten)]
    which: Which,
    /// Every dead letter there is
    #[arg(long)]
    all: bool,
    /// Spread them over time, such as 10/s, 100/min or 1000/h [default: all at once]
    #[arg(long)]
    rate: Option<Rate>,
    /// How many at most
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only say how many there are
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Forget {
    #[command(flatten)]
    which: Which,
    /// Every dead letter there is
    #[arg(long)]
    all: bool,
    /// Only say how many there are
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

impl Which {
    fn filter(self) -> DeadFilter {
        DeadFilter {
            kind: self.kind,
            fingerprint: self.fingerprint,
            queue: self.queue,
            lane: self.org,
            since: self.since,
            until: None,
        }
    }

    /// The filter of a command that changes something: one that means everything has to be asked for.
    fn filter_or_all(self, all: bool) -> Result<DeadFilter, Failure> {
        let filter = self.filter();
        match (filter.is_everything(), all) {
            (true, false) => Err(Failure::usage(
                "say which dead letters, by --fingerprint, --kind, --queue, --org or --since, or --all",
            )),
            (false, true) => Err(Failure::usage(
                "--all: leave it out, or everything else that says which dead letters",
            )),
            _ => Ok(filter),
        }
    }
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    match args.command {
        Command::Ls(args) => {
            let mut db = super::database(&config).await?;
            ls(args, &mut db).await
        }
        Command::Redrive(args) => {
            let filter = args.which.filter_or_all(args.all)?;
            let mut db = super::database(&config).await?;
            let how = Redrive {
                every: args.rate.map(Rate::every),
                most: args.limit,
            };
            redrive(&filter, how, args.dry_run, args.format, &mut db).await
        }
        Command::Forget(args) => {
            let filter = args.which.filter_or_all(args.all)?;
            let mut db = super::database(&config).await?;
            forget(&filter, args.dry_run, args.format, &mut db).await
        }
    }
}

async fn ls(args: Ls, db: &mut PgConnection) -> Result<(), Failure> {
    let groups = admin::dead(db, &args.which.filter())
        .await
        .map_err(anyhow::Error::new)?;
    args.format.print(
        &groups,
        [
            "fingerprint",
            "kind",
            "count",
            "orgs",
            "first",
            "last",
            "sample",
            "error",
        ],
        |group| {
            [
                or_dash(group.fingerprint),
                group.kind.clone(),
                group.count.to_string(),
                group.lanes.to_string(),
                moment(group.first_at),
                moment(group.last_at),
                group.sample.to_string(),
                group.error.chars().take(80).collect(),
            ]
        },
        "No dead letters.",
    )
}

async fn redrive(
    filter: &DeadFilter,
    how: Redrive,
    dry_run: bool,
    format: Format,
    db: &mut PgConnection,
) -> Result<(), Failure> {
    if dry_run {
        let count = count(filter, db).await?.at_most(how.most);
        // Of those counted: where there are more it takes longer.
        let takes = how
            .every
            .map(|every| every.as_secs_f64() * count.0.min(COUNTED_TO) as f64);
        if format.is_json() {
            return format.value(&json!({"would_retry": count, "seconds": takes}));
        }
        match takes {
            None => say::line(format_args!(
                "{count} dead letters would run again at once."
            ))?,
            Some(takes) => {
                say::line(format_args!(
                    "{count} dead letters would run again over {takes:.0} seconds{}.",
                    if count.0 > COUNTED_TO { " or more" } else { "" }
                ))?;
            }
        }
        return Ok(());
    }
    let done = admin::redrive(db, filter, how)
        .await
        .map_err(anyhow::Error::new)?;
    if format.is_json() {
        return format.value(&done);
    }
    say::line(format_args!("{} dead letters run again.", done.retried))?;
    if let Some(last) = done.last_at.filter(|_| how.every.is_some()) {
        say::line(format_args!("The last of them runs at {}.", moment(last)))?;
    }
    if done.key_taken > 0 {
        say::line(format_args!(
            "{} stay: a live job of the same kind has their key.",
            done.key_taken
        ))?;
    }
    Ok(())
}

async fn forget(
    filter: &DeadFilter,
    dry_run: bool,
    format: Format,
    db: &mut PgConnection,
) -> Result<(), Failure> {
    if dry_run {
        let count = count(filter, db).await?;
        if format.is_json() {
            return format.value(&json!({"would_forget": count}));
        }
        say::line(format_args!(
            "{count} dead letters would be removed for good."
        ))?;
        return Ok(());
    }
    let forgotten = admin::forget_dead(db, filter)
        .await
        .map_err(anyhow::Error::new)?;
    if format.is_json() {
        return format.value(&json!({"forgotten": forgotten}));
    }
    say::line(format_args!(
        "{forgotten} dead letters are removed for good."
    ))?;
    Ok(())
}

async fn count(filter: &DeadFilter, db: &mut PgConnection) -> Result<Counted, Failure> {
    Ok(admin::count_dead(db, filter)
        .await
        .map_err(anyhow::Error::new)?)
}
