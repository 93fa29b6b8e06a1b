//! `leadmill check`: name every mistake in the settings, and what else would keep a process from starting.

use super::{Failure, say};
use crate::config::Sources;
use crate::{database, prepare};

/// Arguments of `leadmill check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the settings in force, secrets masked
    #[arg(long)]
    show: bool,
    /// Also ask the database: is it there, new enough, migrated
    #[arg(long)]
    database: bool,
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<(), Failure> {
    let (config, _) =
        prepare::everything(sources).map_err(|mistakes| Failure::mistakes(&mistakes))?;
    if args.show {
        let text = toml::to_string(&config).map_err(anyhow::Error::new)?;
        say::text(text)?;
    } else {
        say::line("The settings and templates are fine.")?;
        if config.mail.url.is_empty() {
            say::line("No mail is sent: mail.url is not set.")?;
        }
    }
    if args.database {
        super::need_database(&config)?;
        let pool = database::connect(&config.database, "check", 1).await?;
        database::check_migrated(&pool).await?;
        say::line("The database is there, new enough and migrated.")?;
    }
    Ok(())
}
