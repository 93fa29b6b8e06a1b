//! `leadmill check`: name every mistake in the settings, and what else would keep a process from starting.

use super::Failure;
use crate::config::{self, Sources};
use crate::database;

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
    let config = config::load(sources).map_err(|mistakes| Failure::mistakes(&mistakes))?;
    if args.show {
        let text = toml::to_string(&config).map_err(anyhow::Error::new)?;
        print!("{text}");
    } else {
        println!("The settings are fine.");
    }
    if args.database {
        super::need_database(&config)?;
        let pool = database::connect(&config.database, "check", 1).await?;
        database::check_migrated(&pool).await?;
        println!("The database is there, new enough and migrated.");
    }
    Ok(())
}
