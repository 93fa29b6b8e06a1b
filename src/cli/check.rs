//! `leadmill check`: name every mistake in the settings, and what else would keep a process from starting.

use super::Failure;
use crate::config::{self, Sources};
use crate::web::view::Views;
use crate::{database, work};

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
    let mut mistakes = work::effects(&config).err().unwrap_or_default();
    mistakes.extend(work::queue_mistakes(&config, &[]));
    mistakes.extend(
        Views::load(config.templates.folder())
            .err()
            .unwrap_or_default(),
    );
    if !mistakes.is_empty() {
        return Err(Failure::mistakes(&mistakes));
    }
    if args.show {
        let text = toml::to_string(&config).map_err(anyhow::Error::new)?;
        print!("{text}");
    } else {
        println!("The settings and templates are fine.");
        if config.mail.url.is_empty() {
            println!("No mail is sent: mail.url is not set.");
        }
    }
    if args.database {
        super::need_database(&config)?;
        let pool = database::connect(&config.database, "check", 1).await?;
        database::check_migrated(&pool).await?;
        println!("The database is there, new enough and migrated.");
    }
    Ok(())
}
