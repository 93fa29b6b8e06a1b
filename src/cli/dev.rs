//! `leadmill dev`: everything in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use jobs::Effects;

use super::{Failure, FetchArgs, POSTGRES};
use crate::config::Config;
use crate::dev;
use crate::stop::Stop;
use crate::web::view::Views;

/// Which database it works on, and what stays.
const DATABASE: &str = "\
The database is a private Postgres in DIR, unless --database-url or DATABASE_URL names another: that one is migrated and \
given the demo organisation, and refused if it has any other. At SIGTERM or Ctrl-C everything stops and the data stays; remove DIR to start over.";

/// Arguments of `leadmill dev`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{DATABASE}\n\n{POSTGRES}"))]
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
    #[command(flatten)]
    fetch: FetchArgs,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            listen: None,
            data: PathBuf::from(".leadmill"),
            ready_json: false,
            fetch: FetchArgs::default(),
        }
    }
}

pub(super) async fn run(
    args: Args,
    (config, (_, views)): (Arc<Config>, (Effects, Views)),
) -> Result<(), Failure> {
    let fetch = args.fetch.fetch()?;
    let stop = Stop::on_signals().context("listening for signals")?;
    let anew = !args.data.exists();
    std::fs::create_dir_all(&args.data).map_err(|error| {
        let dir = args.data.display();
        Failure::unavailable(format!("--data: cannot make the directory {dir}: {error}"))
    })?;
    let settings = dev::Settings {
        listen: args.listen,
        data: args.data,
        ready_json: args.ready_json,
        anew,
        fetch,
    };
    let config = Arc::unwrap_or_clone(config);
    let ran = dev::run(config, settings, views, stop).await;
    ran.map_err(|error| match error.downcast::<dev::InUse>() {
        Ok(refused) => Failure::usage(refused),
        Err(error) => error.into(),
    })
}
