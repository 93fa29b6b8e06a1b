//! `leadmill serve`: answer HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use domain::clock::Clock;

use super::Failure;
use crate::app::App;
use crate::config::Config;
use crate::stop::Stop;
use crate::web::view::Views;
use crate::{database, listen, serve};

/// How it is told to stop.
const SIGNALS: &str = "\
The database must be migrated. At SIGTERM or Ctrl-C, requests under way may finish within http.grace; a second signal \
stops at once.";

/// Arguments of `leadmill serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = SIGNALS)]
pub(super) struct Args {
    /// Address and port to listen on, instead of http.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: &Args, (config, views): (Arc<Config>, Views)) -> Result<(), Failure> {
    super::need_database(&config)?;
    let stop = Stop::on_signals().context("listening for signals")?;
    let pool =
        database::connect(&config.database, "serve", config.database.max_connections).await?;
    database::check_migrated(&pool).await?;
    let address = args.listen.unwrap_or(config.http.listen);
    let wake = queue::Wake::new(pool.clone());
    let app = App::new(config, views, pool, Clock::system(), wake, stop);

    let listener = listen::on(address).await.map_err(Failure::unavailable)?;
    serve::run(
        listener,
        serve::router(app.clone()),
        app.stop,
        app.config.http.grace.get(),
    )
    .await?;
    Ok(())
}
