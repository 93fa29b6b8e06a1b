//! `leadmill work`: run jobs.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;

use super::Failure;
use crate::config::Config;
use crate::stop::Stop;
use crate::{database, serve, work};

/// How it is told to stop.
const SIGNALS: &str = "\
The database must be migrated. At SIGTERM or Ctrl-C, nothing new is begun and running jobs may end within http.grace. \
What has not ended then, or at a second signal, is given back to run elsewhere, and the exit code is 69.";

/// Arguments of `leadmill work`.
#[derive(Debug, clap::Args)]
#[command(after_help = SIGNALS)]
pub(super) struct Args {
    /// Work only on the queues of this pool, one of worker.pools; may be given more than once [default: all]
    #[arg(long = "pool", value_name = "NAME")]
    pools: Vec<String>,
    /// Address and port of /healthz, /readyz and /metrics, instead of worker.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: &Args, config: Arc<Config>) -> Result<(), Failure> {
    let stop = Stop::on_signals().context("listening for signals")?;
    let pools = work::pools(&config, &args.pools).map_err(Failure::usage)?;
    let mut mistakes = work::queue_mistakes(&config, &args.pools);
    let effects = match work::effects(&config) {
        Ok(effects) if mistakes.is_empty() => effects,
        effects => {
            mistakes.extend(effects.err().unwrap_or_default());
            return Err(Failure::mistakes(&mistakes));
        }
    };
    let pool = database::connect(&config.database, "work", config.database.max_connections).await?;
    database::check_migrated(&pool).await?;
    let address = args.listen.unwrap_or(config.worker.listen);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::unavailable(format!("cannot listen on {address}: {error}")))?;

    let wake = queue::Wake::new(pool.clone());
    let running = work::start(&config, pool.clone(), wake, effects, pools).await?;
    let grace = config.http.grace.get();
    let watched = serve::health(pool, stop.clone()).merge(serve::metrics());
    let (served, in_time) = tokio::join!(
        serve::run(listener, watched, stop.clone(), grace),
        work::until_stopped(running, stop, grace),
    );
    served?;
    if in_time {
        Ok(())
    } else {
        Err(Failure::unavailable(
            "some jobs were given back before they had ended; they run again elsewhere",
        ))
    }
}
