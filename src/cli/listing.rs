//! Lists for people as tables, and for scripts as JSON.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::{Failure, say};

/// What every listing can be asked for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Format {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Format {
    /// Prints `rows` as JSON, or as a table under `heads`; `nothing` says that there are none.
    pub(super) fn print<T: Serialize, const N: usize>(
        self,
        rows: &[T],
        heads: [&str; N],
        cells: impl Fn(&T) -> [String; N],
        nothing: &str,
    ) -> Result<(), Failure> {
        if self.json {
            return self.value(&rows);
        }
        if rows.is_empty() {
            return say::line(nothing);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(heads.map(str::to_uppercase));
        for row in rows {
            table.add_row(cells(row));
        }
        for line in table.lines() {
            say::line(line.trim_end())?;
        }
        Ok(())
    }
}

impl Format {
    /// Whether JSON was asked for.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints one value as JSON.
    pub(super) fn value<T: Serialize>(self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
        say::line(text)
    }
}

/// What is to be called off.
#[derive(Debug, clap::Args)]
pub(super) struct Cancel {
    /// Its id
    pub(super) id: i64,
    /// Why, for whoever looks at it later
    #[arg(long, default_value = "from the command line")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) format: Format,
}

/// What is known of one thing, in the order in which people ask.
#[derive(Debug, Default)]
pub(super) struct Facts(Vec<(&'static str, String)>);

impl Facts {
    /// Also that `name` is `value`.
    pub(super) fn add(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    /// The same, if it is known.
    pub(super) fn add_known(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Prints a line for each.
    pub(super) fn print(&self) -> Result<(), Failure> {
        for (name, value) in &self.0 {
            say::line(format_args!("{name:<12}{value}"))?;
        }
        Ok(())
    }
}

/// A value that may be missing.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// An instant, to the second.
pub(super) fn moment(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}
