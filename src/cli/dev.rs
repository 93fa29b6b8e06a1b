//! `leadmill dev`: everything in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::Failure;
use crate::config::Config;
use crate::stop::Stop;
use crate::web::view::Views;
use crate::{dev, work};

/// Which database it works on, and what stays.
const DATABASE: &str = "\
The database is a private Postgres in DIR, unless --database-url or DATABASE_URL names another: that one is migrated and \
given the demo organisation. At SIGTERM or Ctrl-C everything stops and the data stays; remove DIR to start over.";

/// Arguments of `leadmill dev`.
#[derive(Debug, clap::Args)]
#[command(after_help = DATABASE)]
pub(super) struct Args {
    /// Address and port to listen on; port 0 takes a free one [default: the first free one from 127.0.0.1:8080 on]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where the private database and the keys of the demo organisation are kept
    #[arg(long, value_name = "DIR", default_value = ".leadmill")]
    data: PathBuf,
    /// Print, for scripts, one line of JSON once everything is ready: url, org_id, form_token, api_key, database_url, smtp, mailbox_url
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
    // All mistakes are told, and before a database is looked for or fetched.
    let mut mistakes = work::effects(&config).err().unwrap_or_default();
    mistakes.extend(work::queue_mistakes(&config, &[]));
    let views = match Views::load(config.templates.folder()) {
        Ok(views) if mistakes.is_empty() => views,
        views => {
            mistakes.extend(views.err().unwrap_or_default());
            return Err(Failure::mistakes(&mistakes));
        }
    };
    let settings = dev::Settings {
        listen: args.listen,
        data: args.data,
        ready_json: args.ready_json,
    };
    let config = Arc::unwrap_or_clone(config);
    Ok(dev::run(config, settings, views, stop).await?)
}
