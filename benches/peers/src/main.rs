//! The product's queue beside its peers and beside what hand-written SQL does: one server, one run, the same work.

mod clock;
mod crew;
mod figures;
mod payload;
mod place;
mod report;
mod seen;
mod sizes;
mod stats;
mod stock;
mod system;
mod worker;
mod workload;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Parser, Subcommand};

use figures::Figures;
use place::Place;
use sizes::Sizes;
use system::{OURS, System};
use workload::{Bench, Workload};

/// Measures the queue and its peers.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, Args)]
struct Measure {
    /// Fewer jobs and shorter times, and as many rounds as fit into seven minutes
    #[arg(long)]
    quick: bool,
    /// One line of JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Only workloads with one of these figures, such as B1
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only systems whose names begin so
    #[arg(long, value_delimiter = ',')]
    systems: Vec<String>,
    /// Rounds instead of three
    #[arg(long)]
    rounds: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be a worker process of a system; what measures starts these
    Work {
        system: String,
        url: String,
        /// Tell when each job begins
        #[arg(long)]
        begins: bool,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    let mut systems = system::all();
    match cli.command {
        Some(Command::Work {
            system,
            url,
            begins,
        }) => {
            let named = systems.iter().find(|one| one.name() == system);
            let named = named.with_context(|| format!("no system is called {system}"))?;
            worker::work(&**named, &url, begins).await
        }
        None => {
            let Measure { systems: only, .. } = &cli.measure;
            systems.retain(|system| {
                only.is_empty() || only.iter().any(|name| system.name().starts_with(&**name))
            });
            measure(&cli.measure, &systems).await
        }
    }
}

async fn measure(asked: &Measure, systems: &[Box<dyn System>]) -> Result<()> {
    let mut sizes = if asked.quick {
        Sizes::QUICK
    } else {
        Sizes::FULL
    };
    if let Some(rounds) = asked.rounds {
        sizes.rounds = rounds;
        sizes.snapshot_rounds = rounds;
    }
    let bench = Bench {
        place: Place::start().await?,
        sizes,
    };
    let mut figures = Figures::default();
    let mut workloads = workload::all(&bench.sizes);
    workloads.retain(|workload| {
        let is_asked = |key: &str| asked.only.iter().any(|only| only == key);
        let mut keys = workload.metrics().iter().map(|metric| metric.key);
        asked.only.is_empty() || keys.any(is_asked)
    });
    rounds(&bench, &workloads, systems, &mut figures).await?;
    let Bench { place, sizes } = bench;
    if asked.json {
        println!("{}", report::line(&figures, &sizes, systems));
    } else {
        println!("{}", report::table(&figures, &sizes, systems));
    }
    place.stop().await
}

/// Measures all workloads, over and over; after the first round only what fits into the time that is left.
async fn rounds(
    bench: &Bench,
    workloads: &[Box<dyn Workload>],
    systems: &[Box<dyn System>],
    figures: &mut Figures,
) -> Result<()> {
    let began = Instant::now();
    let mut took = vec![Duration::ZERO; workloads.len()];
    let most = workloads.iter().map(|one| one.rounds(&bench.sizes)).max();
    for round in 0..most.unwrap_or_default() {
        for (workload, took) in workloads.iter().zip(&mut took) {
            let has_time = |budget: Duration| began.elapsed() + *took <= budget;
            let fits = round == 0 || bench.sizes.budget.is_none_or(has_time);
            if round >= workload.rounds(&bench.sizes) || !fits {
                continue;
            }
            eprintln!(
                "{}, round {} after {:.0} s",
                workload.title(),
                round + 1,
                began.elapsed().as_secs_f64()
            );
            let started = Instant::now();
            interleave(bench, &**workload, systems, figures).await?;
            *took = started.elapsed();
        }
    }
    eprintln!("measured for {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Measures all systems in turn, so that whatever else the machine does meets them alike.
async fn interleave(
    bench: &Bench,
    workload: &dyn Workload,
    systems: &[Box<dyn System>],
    figures: &mut Figures,
) -> Result<()> {
    bench.place.checkpoint().await?;
    let measured = systems
        .iter()
        .filter(|system| workload.is_for_all() || system.name() == OURS);
    for system in measured {
        let name = system.name();
        let run = workload.run(bench, &**system);
        let run = tokio::time::timeout(bench.sizes.longest, run).await;
        let figure = match run.unwrap_or_else(|_| Err(anyhow!("it took too long"))) {
            Ok(figure) => figure,
            Err(why) => {
                let why = format!("{why:#}");
                eprintln!("  {name}: not measured: {why}");
                for metric in workload.metrics() {
                    figures.fail(name, metric, &why);
                }
                continue;
            }
        };
        let told = workload.metrics().iter().zip(&figure);
        let told: Vec<String> = told
            .map(|(metric, value)| format!("{} {value:.2}", metric.key))
            .collect();
        eprintln!("  {name}: {}", told.join(", "));
        for (metric, value) in workload.metrics().iter().zip(figure) {
            figures.add(name, metric, value);
        }
    }
    Ok(())
}
