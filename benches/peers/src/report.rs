//! The figures as one markdown table, and as one line of JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::figures::Figures;
use crate::sizes::Sizes;
use crate::system::{RAW, System};
use crate::workload::{self, Unit};

/// What the line of JSON compares, apart from X, which is made of several figures.
const RATIOS: [&str; 9] = [
    "A1x8", "A1x64", "A2", "B1", "B2", "C_p50", "C_p99", "D", "R",
];

/// For people: a row for each figure, a column for each system, and how each is set up.
pub fn table(figures: &Figures, sizes: &Sizes, systems: &[Box<dyn System>]) -> String {
    let names: Vec<&str> = systems.iter().map(|system| system.name()).collect();
    let mut table = String::from("| | ");
    table.push_str(&names.join(" | "));
    table.push_str(" | ours : best peer | ours : raw |\n|---|");
    table.push_str(&"---:|".repeat(names.len() + 2));
    table.push('\n');
    for workload in workload::all(sizes) {
        for metric in workload.metrics() {
            let _ = write!(
                table,
                "| {}: {} ({}) |",
                workload.title(),
                metric.key,
                unit(metric.unit)
            );
            for name in &names {
                let figure = figures.of(name, metric.key);
                let figure =
                    figure.map_or_else(|| "–".to_owned(), |figure| written(figure, metric.unit));
                let _ = write!(table, " {figure} |");
            }
            let best = figures.ratio(metric, &names);
            let best = best.map_or_else(
                || "–".to_owned(),
                |(ratio, peer)| format!("{ratio:.2} ({peer})"),
            );
            let raw = figures.ahead(metric, RAW);
            let raw = raw.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            let _ = writeln!(table, " {best} | {raw} |");
        }
    }
    if let Some(ratio) = figures.snapshot_ratio(&names) {
        let _ = writeln!(
            table,
            "\nX, ours to the best peer that keeps up: {ratio:.2}"
        );
    }
    table.push('\n');
    for system in systems {
        let _ = writeln!(table, "* {}: {}", system.name(), system.options());
    }
    for (system, key, why) in figures.missing() {
        let _ = writeln!(
            table,
            "* {system} has no {key} and is left out there: {why}"
        );
    }
    table
}

/// For programs.
pub fn line(figures: &Figures, sizes: &Sizes, systems: &[Box<dyn System>]) -> Value {
    let names: Vec<&str> = systems.iter().map(|system| system.name()).collect();
    let mut ratios = Map::new();
    let mut peers: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({})))
        .collect();
    for workload in workload::all(sizes) {
        for metric in workload.metrics() {
            if RATIOS.contains(&metric.key) {
                let ratio = figures.ratio(metric, &names);
                ratios.insert(
                    metric.key.to_owned(),
                    rounded(ratio.map(|(ratio, _)| ratio)),
                );
            }
            for name in &names {
                peers[*name][metric.key] = rounded(figures.of(name, metric.key));
            }
        }
    }
    for (system, key, why) in figures.missing() {
        peers[system]["left out"][key] = json!(why);
    }
    ratios.insert("X".to_owned(), rounded(figures.snapshot_ratio(&names)));
    json!({ "ratios": ratios, "peers": peers })
}

fn rounded(figure: Option<f64>) -> Value {
    figure.map_or(Value::Null, |figure| {
        json!((figure * 1000.0).round() / 1000.0)
    })
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::JobsPerSecond => "jobs/s",
        Unit::Milliseconds => "ms",
        Unit::BytesPerJob => "B/job",
        Unit::DeadTuples => "dead tuples",
        Unit::PerSecond => "transactions/s",
    }
}

fn written(figure: f64, unit: Unit) -> String {
    match unit {
        Unit::Milliseconds | Unit::PerSecond => format!("{figure:.2}"),
        _ => thousands(figure),
    }
}

/// Whole, in groups of three digits.
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn digits_are_grouped_by_threes() {
        assert_eq!(thousands(7.4), "7");
        assert_eq!(thousands(999.6), "1,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
