//! `leadmill schedules`: what runs by the clock.

use std::sync::Arc;

use queue::schedule;

use super::Failure;
use super::listing::{Format, moment, or_dash};
use crate::config::Config;

/// Arguments of `leadmill schedules`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(args: &Args, config: Arc<Config>) -> Result<(), Failure> {
    let mut db = super::database(&config).await?;
    let rows = schedule::list(&mut db).await.map_err(anyhow::Error::new)?;
    args.format.print(
        &rows,
        [
            "name", "runs", "zone", "last due", "next due", "missed", "paused",
        ],
        |row| {
            [
                row.name.clone(),
                row.described.clone(),
                row.zone.clone(),
                or_dash(row.last_due.map(moment)),
                or_dash(row.next_due.map(moment)),
                row.missed.to_string(),
                if row.paused { "yes" } else { "no" }.into(),
            ]
        },
        "No schedule is known yet; a worker makes its own known when it starts.",
    )
}
