//! `leadmill bench`: measure the platform beside the limit of hand-written SQL.

use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;

use super::{Failure, FetchArgs, POSTGRES, say};
use crate::bench::{self, Figure, Place};
use crate::config::Config;
use crate::database;
use crate::stop::Stop;

/// Where it measures.
const PLACE: &str = "\
Measures on a private Postgres, unless --database-url or DATABASE_URL names another. There, enqueue, drain, latency \
and lanes use a queue of their own, and intake and rescore a database of their own, removed in the end.";

/// Arguments of `leadmill bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{PLACE}\n\n{POSTGRES}"))]
pub(super) struct Args {
    /// What to measure
    what: What,
    /// How many jobs, captures or leads [default: 100000, for lanes 50000, for intake 20000, for latency 500]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    jobs: Option<u32>,
    /// Print one JSON object a figure
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fetch: FetchArgs,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// How fast jobs are enqueued
    Enqueue,
    /// How fast a backlog is worked off
    Drain,
    /// How soon an idle worker begins a job
    Latency,
    /// What limits of lanes cost, and one lane's flood the others
    Lanes,
    /// How fast captures are taken in over HTTP
    Intake,
    /// How fast all leads of an org are scored again
    Rescore,
}

/// Measures on the database of the settings, or on a private one if they name none.
pub(super) async fn run(args: &Args, config: Arc<Config>) -> Result<(), Failure> {
    let stop = Stop::on_signals().context("listening for signals")?;
    let place = if config.database.url.is_empty() {
        let own = Place::own(args.fetch.fetch()?);
        unless_stopped(&stop, own).await?
    } else {
        let pool = database::connect(&config.database, "bench", bench::CONNECTIONS).await?;
        match args.what {
            What::Intake | What::Rescore => Place::beside(pool).await?,
            What::Enqueue | What::Drain | What::Latency | What::Lanes => Place::given(pool).await?,
        }
    };
    let figures = unless_stopped(&stop, Box::pin(measure(args, &place))).await;
    let left = place.leave().await;
    for figure in figures? {
        print(&figure, args.json)?;
    }
    Ok(left?)
}

/// What `work` comes to, unless the process is asked to stop meanwhile.
async fn unless_stopped<T>(
    stop: &Stop,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done,
        () = stop.asked() => anyhow::bail!("stopped; nothing was measured"),
    }
}

async fn measure(args: &Args, place: &Place) -> anyhow::Result<Vec<Figure>> {
    place.prepare().await?;
    let jobs = args.jobs.map(|jobs| jobs as usize);
    match args.what {
        What::Enqueue => bench::enqueue(place, jobs.unwrap_or(100_000)).await,
        What::Drain => bench::drain(place, jobs.unwrap_or(100_000)).await,
        What::Latency => bench::latency(place, jobs.unwrap_or(500)).await,
        What::Lanes => bench::lanes(place, jobs.unwrap_or(50_000)).await,
        What::Intake => bench::intake(place, jobs.unwrap_or(20_000)).await,
        What::Rescore => bench::rescore(place, jobs.unwrap_or(100_000)).await,
    }
}

fn print(figure: &Figure, json: bool) -> Result<(), Failure> {
    if json {
        let line = serde_json::to_string(figure).map_err(anyhow::Error::new)?;
        say::line(line)
    } else {
        let Figure {
            bench,
            ours,
            raw,
            ratio,
            unit,
        } = figure;
        say::line(format_args!(
            "{bench}: {ours} {unit}, beside {raw} {unit}, ratio {ratio}"
        ))
    }
}
