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
        } else if is_loopback(&config.http.public_url) {
            say::line(format_args!(
                "Links in mails lead to {}, which is this machine alone; set http.public_url to the address that people use.",
                config.http.public_url
            ))?;
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

/// Whether a web address is one that only this machine reaches.
fn is_loopback(url: &str) -> bool {
    let url = url::Url::parse(url);
    match url.as_ref().ok().and_then(url::Url::host) {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
