//! `leadmill chaos`: break everything that can break, and see that no promise is broken.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use super::{Failure, say};
use crate::chaos::{self, Build, Dose, Orders};
use crate::config::Config;

/// What it needs and leaves.
const PLACE: &str = "\
Works on private Postgres servers of its own and leaves nothing behind, unless something is wrong: then the observer's \
journals and the workers' logs stay, and their folder is named. Exits with 0 only if nothing is.";

/// Arguments of `leadmill chaos`.
#[derive(Debug, clap::Args)]
#[command(after_help = PLACE, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    errand: Option<Errand>,
    /// How much of each fault
    #[arg(long, value_enum, default_value_t = Size::Small)]
    dose: Size,
    /// Print one JSON object instead of a report in Markdown
    #[arg(long)]
    json: bool,
    /// Only these faults: kills, pauses, restarts, failovers, cuts, read_only, exhaustions, poisons, deploys, full_disks, days
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    only: Vec<String>,
    /// For how many seconds a worker that says nothing is not taken for dead
    #[arg(long, value_name = "SECONDS")]
    lease: Option<f64>,
    /// Give so many hundredths of the dose
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: u8,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Size {
    /// Every fault a few times, in less than four minutes
    Small,
    /// The dose of the reliability report, most of an hour
    Full,
}

#[derive(Debug, Subcommand)]
enum Errand {
    /// Take safeguards out of the database one by one, and see that each is missed
    Mutations,
    /// Be a worker under test
    #[command(hide = true)]
    Worker(Worker),
}

#[derive(Debug, clap::Args)]
struct Worker {
    #[arg(long)]
    number: u32,
    #[arg(long)]
    journals: PathBuf,
    #[arg(long)]
    url: String,
    #[arg(long)]
    lease_ms: u64,
    #[arg(long, value_enum)]
    build: Build,
    #[arg(long)]
    poison: bool,
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    wrong_by: i64,
    #[arg(long)]
    memory: Option<u64>,
}

pub(super) async fn run(args: Args, _: Arc<Config>) -> Result<(), Failure> {
    match args.errand {
        Some(Errand::Worker(worker)) => {
            chaos::work(worker.orders()).await?;
            Ok(())
        }
        Some(Errand::Mutations) => ended(chaos::mutations().await?),
        None => {
            let mut dose = match args.dose {
                Size::Small => Dose::SMALL,
                Size::Full => Dose::FULL,
            };
            dose = dose.percent(args.percent.into());
            if let Some(seconds) = args.lease {
                dose.lease = Duration::try_from_secs_f64(seconds).map_err(Failure::usage)?;
            }
            let report = chaos::run(dose, &args.only).await?;
            if args.json {
                say::line(report.json())?;
            } else {
                say::text(report.markdown())?;
            }
            ended(report.wrong())
        }
    }
}

/// Ends well if nothing is wrong.
fn ended(wrong: Vec<String>) -> Result<(), Failure> {
    /// As many as one reads.
    const SHOWN: usize = 30;

    if wrong.is_empty() {
        return Ok(());
    }
    for line in wrong.iter().take(SHOWN) {
        eprintln!("{line}");
    }
    Err(Failure::software(&anyhow::anyhow!(
        "{} things are wrong",
        wrong.len()
    )))
}

impl Worker {
    fn orders(self) -> Orders {
        Orders {
            number: self.number,
            journals: self.journals,
            url: self.url,
            lease: Duration::from_millis(self.lease_ms),
            build: self.build,
            poison: self.poison,
            wrong_by: self.wrong_by,
            memory: self.memory,
        }
    }
}
