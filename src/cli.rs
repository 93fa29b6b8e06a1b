//! The command line: one binary, one subcommand a role or errand.

// It panics where nobody reads any more; `say` does not.
#![warn(clippy::print_stdout)]

mod batches;
mod bench;
#[cfg(feature = "chaos")]
mod chaos;
mod check;
mod completions;
mod dead;
mod dev;
mod enqueue;
mod failure;
mod forms;
mod jobs;
mod keys;
mod limits;
mod listing;
mod members;
mod migrate;
mod openapi;
mod orgs;
mod providers;
mod queues;
mod say;
mod schedules;
mod serve;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use postgres::Fetch;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::config::{self, Config, Mistake, Sources};
use crate::{database, prepare, telemetry};

pub use failure::Failure;

/// What the exit codes of [`Failure`] tell, for people who write scripts.
const EXIT_CODES: &str = "\
Exit codes:
   0  It went well
  64  The command makes no sense, or what it asks for is refused
  69  Something it needs is not there, such as the database; `work`: jobs were given back
  70  Anything else went wrong
  78  Settings or templates have mistakes; each is named";

/// A durable job-queue worker platform for lead generation, on Postgres.
#[derive(Debug, Parser)]
#[command(name = "leadmill", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Settings")]
struct Global {
    /// File with the settings [default: worker.toml, if it is there]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LEADMILL_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// Override one setting, such as http.listen=0.0.0.0:80; may be given more than once
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Address of the Postgres database [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

/// How a command that may need a private Postgres gets one.
#[derive(Debug, Default, Clone, Copy, clap::Args)]
struct FetchArgs {
    /// Never fetch a Postgres, even if none is installed [env: LEADMILL_PG_FETCH=never]
    #[arg(long)]
    no_fetch: bool,
}

/// Where a private Postgres comes from.
const POSTGRES: &str = "\
The programs of a private Postgres are looked for in LEADMILL_PG_BIN if that is set, and nowhere else then; else where this \
machine may have them. If there are none, they are fetched with apt-get or npm into a cache, after a line that says so.";

impl FetchArgs {
    fn fetch(self) -> Result<Fetch, Failure> {
        if self.no_fetch {
            Ok(Fetch::Never)
        } else {
            Fetch::from_env().map_err(Failure::usage)
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: everything in one process, with a demo organisation (the default)
    Dev(dev::Args),
    /// Answer HTTP: intake, API and console
    Serve(serve::Args),
    /// Run jobs, in as many processes as you like
    Work(work::Args),
    /// Make or update the tables in the database
    Migrate(migrate::Args),
    /// Look for mistakes in settings and templates and name them all
    Check(check::Args),
    /// Make organisations, which take leads from then on
    Orgs(orgs::Args),
    /// Take people into an organisation and hand out sign-in links
    Members(members::Args),
    /// Hand out keys to programs, and take them back
    Keys(keys::Args),
    /// Make a form that visitors of a site fill in
    Forms(forms::Args),
    /// Say whom an organisation asks about its leads
    Providers(providers::Args),
    /// Look at jobs, run them again, cancel them
    Jobs(jobs::Args),
    /// Look at dead letters by their cause, run them again, forget them
    Dead(dead::Args),
    /// Look at jobs that belong together, cancel them
    Batches(batches::Args),
    /// Put one job into its queue
    Enqueue(enqueue::Args),
    /// List the queues: what waits in each, for how long, and who works on it
    Queues(queues::Args),
    /// Pause, limit or slow down jobs while the workers run
    Limits(limits::Args),
    /// Look at what runs by the clock, pause it, run it now, make up for it
    Schedules(schedules::Args),
    /// Measure how fast it is, beside hand-written SQL on the same server
    Bench(bench::Args),
    /// Break everything that can break, and see that no promise is broken
    #[cfg(feature = "chaos")]
    #[command(hide = true)]
    Chaos(chaos::Args),
    /// Print the description of the REST API (OpenAPI, in JSON)
    Openapi(openapi::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    // Fails only if there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sources = cli.global.sources();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::new)?;
    let result = runtime.block_on(async {
        match cli
            .command
            .unwrap_or_else(|| Command::Dev(dev::Args::default()))
        {
            Command::Dev(args) => dev::run(args, prepared(prepare::everything(&sources))?).await,
            Command::Serve(args) => serve::run(&args, prepared(prepare::serve(&sources))?).await,
            Command::Work(args) => work::run(&args, prepared(prepare::work(&sources))?).await,
            Command::Migrate(args) => migrate::run(&args, settings_with_database(&sources)?).await,
            Command::Check(args) => check::run(&args, &sources).await,
            Command::Orgs(args) => orgs::run(args, settings_with_database(&sources)?).await,
            Command::Members(args) => members::run(args, settings_with_database(&sources)?).await,
            Command::Keys(args) => keys::run(args, settings_with_database(&sources)?).await,
            Command::Forms(args) => forms::run(args, settings_with_database(&sources)?).await,
            Command::Providers(args) => {
                providers::run(args, settings_with_database(&sources)?).await
            }
            Command::Jobs(args) => jobs::run(args, settings_with_database(&sources)?).await,
            Command::Dead(args) => dead::run(args, settings_with_database(&sources)?).await,
            Command::Batches(args) => batches::run(args, settings_with_database(&sources)?).await,
            Command::Enqueue(args) => enqueue::run(args, settings_with_database(&sources)?).await,
            Command::Queues(args) => queues::run(&args, settings_with_database(&sources)?).await,
            Command::Limits(args) => limits::run(args, settings_with_database(&sources)?).await,
            Command::Schedules(args) => {
                schedules::run(args, settings_with_database(&sources)?).await
            }
            Command::Bench(args) => bench::run(&args, settings(&sources)?).await,
            #[cfg(feature = "chaos")]
            Command::Chaos(args) => chaos::run(args, settings(&sources)?).await,
            Command::Openapi(args) => openapi::run(&args),
            Command::Completions(args) => completions::run(&args, &mut Cli::command()),
        }
    });
    // What still runs in the background has had its time to finish.
    runtime.shutdown_background();
    result
}

/// The settings, all mistakes named; from here on log lines are written.
fn settings(sources: &Sources) -> Result<Arc<Config>, Failure> {
    let config = config::load(sources).map(|config| (config, ()));
    prepared(config).map(|(config, ())| config)
}

/// The settings with the parts of a process that they give.
fn prepared<T>(parts: Result<(Config, T), Vec<Mistake>>) -> Result<(Arc<Config>, T), Failure> {
    let (config, parts) = parts.map_err(|mistakes| Failure::mistakes(&mistakes))?;
    telemetry::start(&config.log).map_err(Failure::config)?;
    Ok((Arc::new(config), parts))
}

/// The settings of a command that is of no use without a database.
fn settings_with_database(sources: &Sources) -> Result<Arc<Config>, Failure> {
    let config = settings(sources)?;
    need_database(&config)?;
    Ok(config)
}

/// The one connection of an errand.
async fn database(config: &Config) -> Result<PoolConnection<Postgres>, Failure> {
    let pool = database::connect(&config.database, "cli", 1).await?;
    database::check_migrated(&pool).await?;
    let db = pool.acquire().await.map_err(anyhow::Error::new)?;
    Ok(db)
}

fn need_database(config: &Config) -> Result<(), Failure> {
    if config.database.url.is_empty() {
        return Err(Failure::config(
            "database.url: is not set; set DATABASE_URL to something like postgres://user:password@host/database",
        ));
    }
    Ok(())
}

impl Global {
    fn sources(&self) -> Sources {
        let mut sources = Sources::of_process(self.config.clone());
        let set = self
            .set
            .iter()
            .map(|text| ("--set".to_owned(), text.clone()));
        sources.flags.extend(set);
        if let Some(url) = &self.database_url {
            sources
                .flags
                .push(("--database-url".into(), format!("database.url={url}")));
        }
        sources
    }
}
