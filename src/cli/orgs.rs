//! `leadmill orgs`: the customers of an installation; the other commands about one find it here.

use std::str::FromStr;
use std::sync::Arc;

use chrono_tz::Tz;
use domain::actor::{Act, Actor};
use domain::clock::Clock;
use domain::command::{self, CommandError};
use domain::org::{Org, Profile, Visibility, is_slug};
use domain::status::Status;
use domain::store::orgs::{self, NewOrg};
use domain::store::scope::enter_org;
use domain::store::{Db, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::listing::{Format, moment};
use super::{Failure, say};
use crate::config::Config;
use crate::database;

/// Arguments of `leadmill orgs`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.global(true)), after_help = "\
Examples:
  leadmill orgs create acme --name 'Acme Ltd' --time-zone Europe/Berlin --currency EUR
  leadmill members add acme ada@acme.example --name 'Ada Byron' --role owner")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the organisations (the default)
    Ls,
    /// Make one, with pipeline, sources, scoring and turns, ready to take leads
    Create(Create),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its short name: small letters, digits and hyphens
    #[arg(value_parser = slug)]
    slug: String,
    /// Its name as people read it
    #[arg(long, value_parser = name)]
    name: String,
    /// Its time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: Tz,
    /// Currency of deal values that name none, such as EUR
    #[arg(long, value_name = "CODE", default_value = "USD", value_parser = currency)]
    currency: String,
    /// Which statuses its leads have: unified, agency, k12, outreach or pipeline
    #[arg(long, default_value = "unified")]
    profile: Profile,
    /// Which leads plain members see: org (all), space or own
    #[arg(long, value_name = "LEADS", default_value = "org")]
    members_see: Visibility,
    /// When a lead is given to whose turn it is: scored, status:STATUS or never
    #[arg(long, value_name = "WHEN", default_value = "scored", value_parser = assign_when)]
    assign: String,
}

/// Whose matter it is.
#[derive(Debug, clap::Args)]
pub(super) struct Subject {
    /// The organisation, by its short name or its id
    pub(super) org: String,
}

/// What is never given to anybody by itself.
const NEVER: &str = "never";

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let mut tx = platform(&config).await?;
    match args.command.unwrap_or(Command::Ls) {
        Command::Ls => ls(args.format, &mut tx).await,
        Command::Create(create) => make(&create, args.format, tx, &config).await,
    }
}

async fn ls(format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let rows = orgs::list(db).await.map_err(anyhow::Error::new)?;
    format.print(
        &rows,
        ["slug", "id", "name", "status", "zone", "since"],
        |row| {
            [
                row.slug.clone(),
                row.id.to_string(),
                row.name.clone(),
                row.status.to_string(),
                row.time_zone.clone(),
                moment(row.created_at),
            ]
        },
        "There is no organisation yet; make one with `leadmill orgs create`.",
    )
}

async fn make(args: &Create, format: Format, mut tx: Tx, config: &Config) -> Result<(), Failure> {
    let new = NewOrg {
        profile: args.profile,
        visibility: args.members_see,
        time_zone: args.time_zone.name().to_owned(),
        currency: args.currency.clone(),
        ..NewOrg::named(&args.slug, &args.name)
    };
    let act = Act::new(new.id, Actor::Platform, Clock::system().now());
    command::create_org(&mut tx, &act, &new).await?;
    if args.assign != NEVER {
        command::assign_by_itself(&mut tx, &act, std::slice::from_ref(&args.assign)).await?;
    }
    let made = orgs::find(&mut tx, new.id).await;
    let made = made.map_err(anyhow::Error::new)?.ok_or_else(|| {
        Failure::software(&anyhow::anyhow!(
            "the organisation was not to be found again"
        ))
    })?;
    tx.commit().await.map_err(anyhow::Error::new)?;
    if format.is_json() {
        return format.value(&made);
    }
    let (slug, id) = (&made.slug, made.id);
    let url = config.http.public_url.trim_end_matches('/');
    say::line(format_args!("Made the organisation {slug}, {id}."))?;
    say::line(format_args!(
        "Programs send leads to {url}/api/trpc/crm.leads.capture with \"orgId\": \"{id}\"."
    ))
}

/// A transaction of the platform, on a database that has all migrations.
pub(super) async fn platform(config: &Config) -> Result<Tx, Failure> {
    let pool = database::connect(&config.database, "cli", 1).await?;
    database::check_migrated(&pool).await?;
    let tx = Db::new(pool).platform().await.map_err(anyhow::Error::new)?;
    Ok(tx)
}

/// A transaction of the org that is meant, and the circumstances of acting in it.
pub(super) async fn inside(config: &Config, subject: &Subject) -> Result<(Tx, Org, Act), Failure> {
    let mut tx = platform(config).await?;
    let (org, act) = named(&mut tx, &subject.org).await?;
    enter_org(&mut tx, org.id)
        .await
        .map_err(anyhow::Error::new)?;
    Ok((tx, org, act))
}

/// The org that somebody means by its short name or its id, and the circumstances of acting in it; asked as the platform.
pub(super) async fn named(db: &mut PgConnection, text: &str) -> Result<(Org, Act), Failure> {
    let found = match Uuid::from_str(text) {
        Ok(id) => orgs::find(db, id.into()).await,
        Err(_) => orgs::find_by_slug(db, text).await,
    };
    if let Some(org) = found.map_err(anyhow::Error::new)? {
        let act = Act::new(org.id, Actor::Platform, Clock::system().now());
        return Ok((org, act));
    }
    let all = orgs::list(db).await.map_err(anyhow::Error::new)?;
    let slugs: Vec<&str> = all.iter().map(|org| &*org.slug).collect();
    let there = if slugs.is_empty() {
        "there is none yet, `leadmill orgs create` makes one".to_owned()
    } else {
        format!("there are {}", slugs.join(", "))
    };
    Err(Failure::usage(format!(
        "ORG: no organisation is called {text}; {there}"
    )))
}

/// What people call a thing.
pub(super) fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 200 || name.contains(char::is_control) {
        return Err("write one line of 1 to 200 letters".to_owned());
    }
    Ok(name.to_owned())
}

fn slug(text: &str) -> Result<String, String> {
    if is_slug(text) {
        Ok(text.to_owned())
    } else {
        Err("write small letters, digits and hyphens, 63 at most, such as acme-2".to_owned())
    }
}

fn currency(text: &str) -> Result<String, String> {
    let is_code = text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic());
    is_code
        .then(|| text.to_ascii_uppercase())
        .ok_or_else(|| "write the three letters of ISO 4217, such as EUR".to_owned())
}

fn assign_when(text: &str) -> Result<String, String> {
    if let Some(status) = text.strip_prefix("status:") {
        status
            .parse::<Status>()
            .map_err(|error| error.to_string())?;
    } else if text != "scored" && text != NEVER {
        return Err("write scored, status:STATUS or never".to_owned());
    }
    Ok(text.to_owned())
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Database(error) => anyhow::Error::new(error).into(),
            CommandError::Invalid { field: "slug", why } => {
                Self::usage(format!("SLUG: {why}; choose another"))
            }
            error => Self::usage(error),
        }
    }
}
