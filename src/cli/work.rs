//! `leadmill work`: run jobs.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use jobs::Effects;

use super::Failure;
use crate::config::{self, Config};
use crate::stop::Stop;
use crate::{database, listen, serve, work};

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
    /// Address and port of /healthz, /readyz and /metrics, instead of worker.listen; without either, the first free port from 8081 on
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(
    args: &Args,
    (config, effects): (Arc<Config>, Effects),
) -> Result<(), Failure> {
    super::need_database(&config)?;
    let stop = Stop::on_signals().context("listening for signals")?;
    let pools = work::pools(&config, &args.pools).map_err(Failure::usage)?;
    let mistakes = work::queue_mistakes(&config, &args.pools);
    if !mistakes.is_empty() {
        return Err(Failure::mistakes(&mistakes));
    }
    let pool = database::connect(&config.database, "work", config.database.max_connections).await?;
    database::check_migrated(&pool).await?;
    // Other processes of this host work beside it, each with an address of its own; one that was asked for is meant.
    let usual = config.worker.listen == config::Worker::default().listen;
    let listener = match args.listen {
        Some(address) => listen::on(address).await,
        None if usual => listen::near(config.worker.listen).await,
        None => listen::on(config.worker.listen).await,
    };
    let listener = listener.map_err(Failure::unavailable)?;

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
