//! What a process tells about itself: log lines and metrics.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use crate::config::{Log, LogFormat};

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Sends log lines to standard error in the shape that `log` asks for, and starts counting.
pub fn start(log: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(of_interest(&log.filter)).with_context(|| {
        format!(
            "log.filter: `{}` is not a filter such as info,leadmill=debug",
            log.filter
        )
    })?;
    let json = match log.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let lines = if json {
        // The innermost span is told with its fields; the list of all of them says the same again.
        lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed()
    } else {
        lines.boxed()
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .context("starting the log")?;
    count();
    Ok(())
}

/// The filter, and of the library under our workers only what is wrong with them, unless the filter says otherwise: the
/// start and end of its parts are told by our own lines.
fn of_interest(filter: &str) -> String {
    let says_otherwise = [queue::UNDERNEATH, "debug", "trace"]
        .iter()
        .any(|word| filter.contains(word));
    if says_otherwise || filter.trim().is_empty() {
        filter.to_owned()
    } else {
        format!("{filter},{}=warn", queue::UNDERNEATH)
    }
}

/// Starts counting; a second call changes nothing.
pub fn count() {
    METRICS.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("Metrics are counted elsewhere in this process, /metrics stays empty");
        }
        handle
    });
}

/// All counters in the text format of Prometheus.
pub fn metrics() -> String {
    METRICS
        .get()
        .map(|handle| {
            handle.run_upkeep();
            handle.render()
        })
        .unwrap_or_default()
}
