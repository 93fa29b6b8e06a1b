//! What a process tells about itself: log lines and metrics.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
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

/// The filter, and of the library under our workers only what is wrong with them, unless the filter says otherwise or lets even
/// less through: the start and end of its parts are told by our own lines.
fn of_interest(filter: &str) -> String {
    let says_otherwise = [queue::UNDERNEATH, "debug", "trace"]
        .iter()
        .any(|word| filter.contains(word));
    // What holds for whatever is not named.
    let parts = filter.split(',').rev();
    let rest = parts
        .filter_map(|part| part.trim().parse::<LevelFilter>().ok())
        .next();
    let is_stricter = rest.is_none_or(|rest| rest < LevelFilter::WARN);
    if says_otherwise || is_stricter {
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

#[cfg(test)]
mod tests {
    use super::of_interest;

    #[test]
    fn a_filter_is_never_made_to_let_more_through() {
        let own = format!("info,{}=info", queue::UNDERNEATH);
        for kept in [
            "",
            "off",
            "error",
            "ERROR",
            "error,leadmill=info",
            "leadmill=info",
            "debug",
            &own,
        ] {
            assert_eq!(of_interest(kept), kept);
        }
        for cut in ["info", "warn", "WARN", "leadmill=warn, info"] {
            let less = format!("{cut},{}=warn", queue::UNDERNEATH);
            assert_eq!(of_interest(cut), less);
        }
    }
}
