//! `leadmill queues`: how the queues stand.

use std::sync::Arc;

use queue::admin;

use super::Failure;
use super::listing::{Format, or_dash};
use crate::config::Config;

/// Arguments of `leadmill queues`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(args: &Args, config: Arc<Config>) -> Result<(), Failure> {
    let mut db = super::database(&config).await?;
    let rows = admin::queues(&mut db).await.map_err(anyhow::Error::new)?;
    args.format.print(
        &rows,
        [
            "queue",
            "ready",
            "oldest",
            "scheduled",
            "running",
            "parked",
            "held",
            "limit",
            "workers",
            "paused",
        ],
        |row| {
            [
                row.name.clone(),
                row.ready.to_string(),
                or_dash(
                    row.oldest_ready_seconds
                        .map(|seconds| format!("{seconds:.1}s")),
                ),
                row.scheduled.to_string(),
                row.running.to_string(),
                row.parked.to_string(),
                row.held.to_string(),
                or_dash(row.max_running),
                row.nodes.to_string(),
                if row.paused { "yes" } else { "no" }.into(),
            ]
        },
        "There is no queue yet; the first job or worker makes one.",
    )
}
