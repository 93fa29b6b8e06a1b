//! `leadmill keys`: what programs open an organisation with.

use std::sync::Arc;

use domain::command;
use domain::key_scope::Scope;
use domain::normalise;
use domain::org::Org;
use domain::store::api_keys::{self, ListedKey, NewApiKey};
use domain::store::{Tx, members};
use serde_json::json;
use sqlx::PgConnection;

use super::listing::{Format, moment, or_dash};
use super::orgs::{Subject, inside, name};
use super::{Failure, say};
use crate::config::Config;
use crate::web::api_key::NewKey;

/// Arguments of `leadmill keys`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.global(true)), after_help = "\
Scopes: leads:read, leads:write, leads:delete, ops:read, ops:write, and admin, which is all of them.

Examples:
  leadmill keys create acme --name website --scope leads:read,leads:write
  leadmill keys create acme --name operations --scope ops:read --scope ops:write --as ada@acme.example
  leadmill keys revoke acme lk_live_Xy12Zw34")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the keys of an organisation by their first letters
    Ls(Subject),
    /// Make a key; it is printed once and kept nowhere
    Create(Create),
    /// Let a key open nothing any more
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    subject: Subject,
    /// What to call it
    #[arg(long, value_parser = name)]
    name: String,
    /// What it may do; may be given more than once
    #[arg(long, required = true, value_delimiter = ',')]
    scope: Vec<Scope>,
    /// Whose work it does, by their address: it sees what they see, the jobs of all organisations if they run the platform
    #[arg(long = "as", value_name = "EMAIL")]
    acts_as: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    #[command(flatten)]
    subject: Subject,
    /// The key, by its first letters or its id, as `leadmill keys ls` has them
    key: String,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let (Command::Ls(subject)
    | Command::Create(Create { subject, .. })
    | Command::Revoke(Revoke { subject, .. })) = &args.command;
    let (mut tx, org, act) = inside(&config, subject).await?;
    match &args.command {
        Command::Ls(_) => ls(&org, args.format, &mut tx).await,
        Command::Create(create) => {
            let key = NewKey::generate();
            let new = NewApiKey {
                name: &create.name,
                prefix: &key.prefix,
                secret_hash: &key.secret_hash,
                scopes: &create.scope,
                acts_as: match &create.acts_as {
                    Some(email) => Some(member(&mut tx, &org, email).await?),
                    None => None,
                },
            };
            let id = command::create_api_key(&mut tx, &act, &new).await?;
            committed(tx).await?;
            if args.format.is_json() {
                return args.format.value(&json!({
                    "id": id,
                    "org_id": org.id,
                    "name": create.name,
                    "prefix": key.prefix,
                    "scopes": create.scope,
                    "key": key.key,
                }));
            }
            say::line("The key, which nobody can show again:")?;
            say::line(format_args!("  {}", key.key))
        }
        Command::Revoke(revoke) => {
            let found = found(&mut tx, &org, &revoke.key).await?;
            let revoked = command::revoke_api_key(&mut tx, &act, found.id).await?;
            committed(tx).await?;
            if args.format.is_json() {
                return args
                    .format
                    .value(&json!({"id": found.id, "prefix": found.prefix, "revoked": revoked}));
            }
            let prefix = &found.prefix;
            if revoked {
                say::line(format_args!("{prefix} opens nothing any more."))
            } else {
                say::line(format_args!("{prefix} opened nothing already."))
            }
        }
    }
}

async fn ls(org: &Org, format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let rows = listed(db, org).await?;
    format.print(
        &rows,
        ["key", "name", "scopes", "as", "last used", "revoked"],
        |row| {
            [
                row.prefix.clone(),
                row.name.clone(),
                row.scopes.join(" "),
                or_dash(row.acts_as.clone()),
                or_dash(row.last_used_at.map(moment)),
                or_dash(row.revoked_at.map(moment)),
            ]
        },
        "There is no key yet; make one with `leadmill keys create`.",
    )
}

async fn listed(db: &mut PgConnection, org: &Org) -> Result<Vec<ListedKey>, Failure> {
    let rows = api_keys::list(db, org.id).await;
    Ok(rows.map_err(anyhow::Error::new)?)
}

async fn found(db: &mut PgConnection, org: &Org, text: &str) -> Result<ListedKey, Failure> {
    let keys = listed(db, org).await?;
    let found = keys
        .into_iter()
        .find(|key| key.prefix == text || key.id.to_string() == text);
    found.ok_or_else(|| {
        Failure::usage(format!(
            "KEY: {} has no key {text}; `leadmill keys ls {}` lists those it has",
            org.slug, org.slug
        ))
    })
}

async fn member(
    db: &mut PgConnection,
    org: &Org,
    email: &str,
) -> Result<domain::id::UserId, Failure> {
    let people = members::list(db, org.id).await;
    let people = people.map_err(anyhow::Error::new)?;
    let wanted = normalise::address(email);
    let found = people
        .iter()
        .find(|person| normalise::address(&person.email) == wanted);
    found.map(|person| person.user_id).ok_or_else(|| {
        Failure::usage(format!(
            "--as: {email} does not work in {}; `leadmill members ls {}` lists who does",
            org.slug, org.slug
        ))
    })
}

async fn committed(tx: Tx) -> Result<(), Failure> {
    Ok(tx.commit().await.map_err(anyhow::Error::new)?)
}
