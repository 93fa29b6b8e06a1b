//! `leadmill providers`: whom an organisation asks about its leads.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::command;
use domain::store::enrichment::{self, NewProvider};
use jobs::effects::enrichment::{ProviderConfig, preset_names};
use jobs::effects::sealed::SealError;
use serde_json::{Value, json};

use super::listing::{Format, moment, or_dash};
use super::orgs::{Subject, inside};
use super::{Failure, say};
use crate::config::Config;
use crate::work;

/// Arguments of `leadmill providers`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.global(true)), after_help = "\
An organisation without providers asks the one of enrichment.url. Presets: pdl, apollo, hunter, clearbit, generic.

Examples:
  echo '{\"api_key\": \"…\"}' | leadmill providers set acme pdl --secrets -
  leadmill providers set acme own --described-by own.json --secrets own-secrets.json --priority 10
  leadmill providers off acme pdl")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the providers of an organisation, in the order in which they are asked
    Ls(Subject),
    /// Ask this one too, or ask it in another way
    ///
    /// Its secrets are sealed by the first of enrichment.master_keys before they are kept, and never shown.
    Set(Set),
    /// Ask this one no more and forget its secrets
    Off(Off),
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    subject: Subject,
    /// What to call it; without --described-by the preset of that name
    key: String,
    /// File with how it is asked, in JSON: a whole description, or such as {"preset": "pdl", "base_url": "https://…"}
    #[arg(long = "described-by", value_name = "FILE")]
    description: Option<PathBuf>,
    /// File with its secrets by name, in JSON, such as {"api_key": "…"}; - is standard input
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// They are asked in this order, lowest first
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    priority: i32,
}

#[derive(Debug, clap::Args)]
struct Off {
    #[command(flatten)]
    subject: Subject,
    /// The provider, as `leadmill providers ls` has it
    key: String,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let (Command::Ls(subject)
    | Command::Set(Set { subject, .. })
    | Command::Off(Off { subject, .. })) = &args.command;
    let (mut tx, org, act) = inside(&config, subject).await?;
    let format = args.format;
    match &args.command {
        Command::Ls(_) => {
            let rows = enrichment::list(&mut tx, org.id).await;
            format.print(
                &rows.map_err(anyhow::Error::new)?,
                [
                    "provider",
                    "order",
                    "asked",
                    "sealed by",
                    "paused until",
                    "because",
                ],
                |row| {
                    [
                        row.key.clone(),
                        row.priority.to_string(),
                        if row.is_enabled { "yes" } else { "no" }.into(),
                        or_dash(row.sealed_by.clone()),
                        or_dash(row.paused_until.map(moment)),
                        or_dash(row.pause_reason.clone()),
                    ]
                },
                "It has no provider of its own; enrichment.url is asked, if it is set.",
            )
        }
        Command::Set(set) => {
            let description = set.description()?;
            let secrets = set.secrets(&description)?;
            let sealed = match secrets {
                Some(secrets) => {
                    let (.., keys) =
                        work::reach(&config).map_err(|mistakes| Failure::mistakes(&mistakes))?;
                    let sealed = keys.seal(org.id, &set.key, &secrets);
                    Some(sealed.map_err(not_sealed)?)
                }
                None => None,
            };
            let new = NewProvider {
                key: &set.key,
                priority: set.priority,
                config: &description,
                sealed: sealed
                    .as_ref()
                    .map(|sealed| (&*sealed.bytes, &*sealed.key_id)),
            };
            command::connect_provider(&mut tx, &act, &new).await?;
            tx.commit().await.map_err(anyhow::Error::new)?;
            if format.is_json() {
                return format
                    .value(&json!({"key": set.key, "priority": set.priority, "asked": true}));
            }
            say::line(format_args!("{} is asked about new leads.", set.key))
        }
        Command::Off(off) => {
            if !command::disconnect_provider(&mut tx, &act, &off.key).await? {
                return Err(Failure::usage(format!(
                    "KEY: {} has no provider {}; `leadmill providers ls {}` lists those it has",
                    org.slug, off.key, org.slug
                )));
            }
            tx.commit().await.map_err(anyhow::Error::new)?;
            if format.is_json() {
                return format.value(&json!({"key": off.key, "asked": false}));
            }
            say::line(format_args!("{} is not asked any more.", off.key))
        }
    }
}

impl Set {
    /// How it is asked, as it is kept.
    fn description(&self) -> Result<Value, Failure> {
        match &self.description {
            Some(path) => json_of(path, "--described-by"),
            None if preset_names().any(|name| name == self.key) => Ok(json!({"preset": self.key})),
            None => Err(Failure::usage(format!(
                "KEY: no preset is called {}; there are {}, or describe it by --described-by",
                self.key,
                preset_names().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// What opens it, once it is all that is needed.
    fn secrets(&self, description: &Value) -> Result<Option<Vec<u8>>, Failure> {
        let provider = ProviderConfig::parse(description)
            .map_err(|error| Failure::usage(format!("--described-by: {error}")))?;
        let given: BTreeMap<String, String> = match &self.secrets {
            Some(path) => serde_json::from_value(json_of(path, "--secrets")?).map_err(|_| {
                Failure::usage("--secrets: write an object of texts, such as {\"api_key\": \"…\"}")
            })?,
            None => BTreeMap::new(),
        };
        let missing = provider
            .needed_secrets()
            .find(|name| !given.contains_key(*name));
        if let Some(missing) = missing {
            return Err(Failure::usage(format!(
                "--secrets: {} needs {missing}",
                self.key
            )));
        }
        if given.is_empty() {
            return Ok(None);
        }
        Ok(Some(
            serde_json::to_vec(&given).map_err(anyhow::Error::new)?,
        ))
    }
}

/// The JSON in a file, or on standard input; what is wrong with it is told without any of it.
fn json_of(path: &Path, option: &str) -> Result<Value, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("{option}: {}: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!(
            "{option}: {}: no JSON at line {}, column {}",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}

fn not_sealed(error: SealError) -> Failure {
    match error {
        SealError::NoKey => Failure::config(
            "enrichment.master_keys: is not set, and secrets are kept only sealed; set LEADMILL_MASTER_KEYS to a name, a \
             colon and 32 random bytes in base64, such as k1:$(openssl rand -base64 32)",
        ),
        error => Failure::software(&anyhow::Error::new(error)),
    }
}
