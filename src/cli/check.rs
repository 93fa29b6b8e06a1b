//! `leadmill check`: name every mistake in the settings.

use super::Failure;
use crate::config::{self, Sources};

/// Arguments of `leadmill check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the settings in force, secrets masked
    #[arg(long)]
    show: bool,
}

pub(super) fn run(args: &Args, sources: &Sources) -> Result<(), Failure> {
    let config = config::load(sources).map_err(|mistakes| Failure::mistakes(&mistakes))?;
    if args.show {
        let text =
            toml::to_string(&config).map_err(|error| Failure::from(anyhow::Error::new(error)))?;
        print!("{text}");
    } else {
        println!("The settings are fine.");
    }
    Ok(())
}
