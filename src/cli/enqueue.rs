//! `leadmill enqueue`: one job, as if the program had left it itself. Workers find it when they look: within 2.25 seconds.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use queue::CheckError;
use serde_json::Value;

use super::listing::Format;
use super::{Failure, say};
use crate::commands::ops::{self, Enqueued, Order};
use crate::config::{Config, Span};

/// Arguments of `leadmill enqueue`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The job's kind, such as score_lead; an unknown one is answered with those there are
    kind: String,
    /// Its payload, such as '{"org": "…", "lead": "…", "trigger": "manual"}'
    #[arg(value_name = "JSON")]
    payload: String,
    /// Not before this instant, such as 2030-12-31T08:00:00Z
    #[arg(long, value_name = "INSTANT", conflicts_with = "after")]
    at: Option<DateTime<Utc>>,
    /// How long to wait before it may run, such as 30s, 10m or 12h; ten years at most
    #[arg(long = "in", value_name = "TIME", value_parser = ops::bounded)]
    after: Option<Span>,
    /// Lower goes first [default: the kind's own]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    priority: Option<i16>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let payload: Value = serde_json::from_str(&args.payload)
        .map_err(|error| Failure::usage(format!("JSON: {error}")))?;
    let order = Order {
        kind: args.kind,
        payload,
        at: args.at,
        after: args.after,
        priority: args.priority,
    };
    let job = order.job().map_err(|error| match error {
        CheckError::UnknownKind(kind) => {
            Failure::usage(format!("KIND: {}", ops::unknown_kind(&kind)))
        }
        error => Failure::usage(format!("JSON: {error}")),
    })?;

    let mut db = super::database(&config).await?;
    let enqueued = job.enqueue(&mut db).await.map_err(|error| {
        if ops::is_of_the_job(&error) {
            Failure::usage(format!("JSON: {error}"))
        } else {
            anyhow::Error::new(error).into()
        }
    })?;
    let enqueued = Enqueued::from(enqueued);
    if args.format.is_json() {
        return args.format.value(&enqueued);
    }
    let id = enqueued.id;
    if enqueued.new {
        say::line(format_args!("Enqueued job {id}."))
    } else {
        say::line(format_args!("Job {id} does the same and is there already."))
    }
}
