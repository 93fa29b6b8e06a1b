//! `leadmill dev`: everything in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::Failure;
use crate::config::Config;
use crate::dev;
use crate::stop::Stop;
use crate::web::view::Views;

/// Arguments of `leadmill dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port to listen on; port 0 takes a free one [default: the first free one from 127.0.0.1:8080 on]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where the database and what belongs to it are kept
    #[arg(long, value_name = "DIR", default_value = ".leadmill")]
    data: PathBuf,
    /// Print one line of JSON when everything is ready, for scripts
    #[arg(long)]
    ready_json: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            listen: None,
            data: PathBuf::from(".leadmill"),
            ready_json: false,
        }
    }
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let stop = Stop::on_signals().context("listening for signals")?;
    let views =
        Views::load(config.templates.folder()).map_err(|mistakes| Failure::mistakes(&mistakes))?;
    let settings = dev::Settings {
        listen: args.listen,
        data: args.data,
        ready_json: args.ready_json,
    };
    let config = Arc::unwrap_or_clone(config);
    Ok(dev::run(config, settings, views, stop).await?)
}
