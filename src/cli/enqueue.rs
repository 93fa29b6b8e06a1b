//! `leadmill enqueue`: one job, as if the program had left it itself. Workers find it when they look: within 2.25 seconds.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use queue::{CheckError, Enqueued};
use serde_json::{Value, json};

use super::listing::Format;
use super::{Failure, say};
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
    #[arg(long = "in", value_name = "TIME", value_parser = bounded)]
    after: Option<Span>,
    /// Lower goes first [default: the kind's own]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    priority: Option<i16>,
    #[command(flatten)]
    format: Format,
}

/// Who asks for more has written another unit than meant.
const LONGEST: Span = Span::hours(10 * 365 * 24);

fn bounded(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span > LONGEST {
        return Err("more than ten years".to_owned());
    }
    Ok(span)
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let payload: Value = serde_json::from_str(&args.payload)
        .map_err(|error| Failure::usage(format!("JSON: {error}")))?;
    let registry = jobs::registry();
    let mut job = registry
        .make(&args.kind, &payload)
        .map_err(|error| match error {
            CheckError::UnknownKind(kind) => {
                let names: Vec<_> = registry.names().collect();
                Failure::usage(format!(
                    "KIND: no job is called {kind}; there are {}",
                    names.join(", ")
                ))
            }
            error => Failure::usage(format!("JSON: {error}")),
        })?;
    if let Some(at) = args.at {
        job = job.at(at);
    }
    if let Some(after) = args.after {
        job = job.after(after.get());
    }
    if let Some(priority) = args.priority {
        job = job.priority(priority);
    }

    let mut db = super::database(&config).await?;
    let enqueued = job.enqueue(&mut db).await.map_err(anyhow::Error::new)?;
    let (id, new) = match enqueued {
        Enqueued::New(id) => (id, true),
        Enqueued::Exists(id) => (id, false),
    };
    if args.format.is_json() {
        return args.format.value(&json!({"id": id, "new": new}));
    }
    if new {
        say::line(format_args!("Enqueued job {id}."))
    } else {
        say::line(format_args!("Job {id} does the same and is there already."))
    }
}
