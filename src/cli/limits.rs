//! `leadmill limits`: what may run, how much of it at once, and how fast.

use std::str::FromStr;
use std::sync::Arc;

use queue::admin::{self, Limits, LimitsChange, Rate, Rule, RuleError, Scope};
use serde_json::json;
use sqlx::PgConnection;

use super::listing::{Format, or_dash};
use super::{Failure, say};
use crate::config::Config;

/// Arguments of `leadmill limits`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Workers obey at once, or within 2.25 seconds if the word did not reach them. What runs goes on. A SCOPE is queue, kind, lane (an organisation, by its id) or key.

Examples:
  leadmill limits pause kind send_mail
  leadmill limits set queue mail --running 20 --rate 100/min
  leadmill limits set queue enrich --each-lane 2 --turns
  leadmill limits clear queue mail")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List what is paused, limited or slowed down
    Ls(Ls),
    /// Change limits; what is not named stays as it is
    Set(Set),
    /// Let nothing start until it is resumed
    Pause(Subject),
    /// Let it start again; its other limits stay
    Resume(Subject),
    /// Take away every limit
    Clear(Subject),
}

#[derive(Debug, clap::Args)]
struct Ls {
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Subject {
    /// What NAME is the name of: queue, kind, lane or key
    scope: Scope,
    /// A queue, a kind of job, the id of an organisation, or a limit key
    name: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    subject: Subject,
    /// Most jobs that run at once in all processes together, or `none`
    #[arg(long, value_name = "N")]
    running: Option<Limit<u32>>,
    /// Of a queue: most jobs of each lane that run at once, or `none`
    #[arg(long, value_name = "N")]
    each_lane: Option<Limit<u32>>,
    /// Of a queue: most jobs of each limit key that run at once, or `none`
    #[arg(long, value_name = "N")]
    each_key: Option<Limit<u32>>,
    /// Of a queue: lanes take turns, however many jobs one of them has (`--turns false` ends it)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    turns: Option<bool>,
    /// Most jobs that start within a time, such as 10/s, 100/min, 5000/h or 20000/d, or `none`
    #[arg(long)]
    rate: Option<Limit<Rate>>,
    /// How many may start at once after a quiet time, or `none`: as many as the rate allows in a tenth of a second
    #[arg(long, value_name = "N")]
    burst: Option<Limit<u32>>,
}

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy)]
struct Limit<T>(Option<T>);

impl<T: FromStr<Err: ToString>> FromStr for Limit<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        let limit = text.parse().map_err(|why: T::Err| why.to_string())?;
        Ok(Self(Some(limit)))
    }
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let mut db = super::database(&config).await?;
    match args.command {
        Command::Ls(args) => ls(args.format, &mut db).await,
        Command::Set(set) => {
            let new = set.change();
            change(&set.subject, &mut db, |limits| new.apply(limits)).await
        }
        Command::Pause(subject) => {
            change(&subject, &mut db, |limits| {
                LimitsChange::PAUSE.apply(limits)
            })
            .await
        }
        Command::Resume(subject) => {
            change(&subject, &mut db, |limits| {
                LimitsChange::RESUME.apply(limits)
            })
            .await
        }
        Command::Clear(subject) => {
            change(&subject, &mut db, |limits| *limits = Limits::default()).await
        }
    }
}

impl Set {
    fn change(&self) -> LimitsChange {
        LimitsChange {
            paused: None,
            max_running: self.running.map(|limit| limit.0),
            lane_running: self.each_lane.map(|limit| limit.0),
            key_running: self.each_key.map(|limit| limit.0),
            turns: self.turns,
            rate: self.rate.map(|limit| limit.0),
            burst: self.burst.map(|limit| limit.0),
        }
    }
}

async fn ls(format: Format, db: &mut PgConnection) -> Result<(), Failure> {
    let rules = admin::rules(db).await.map_err(anyhow::Error::new)?;
    format.print(
        &rules,
        [
            "scope",
            "name",
            "paused",
            "running",
            "each lane",
            "each key",
            "turns",
            "rate",
            "burst",
        ],
        |rule: &Rule| {
            let limits = &rule.limits;
            let yes_no = |is: bool| if is { "yes" } else { "no" };
            [
                rule.scope.to_string(),
                rule.name.clone(),
                yes_no(limits.paused).into(),
                or_dash(limits.max_running),
                or_dash(limits.lane_running),
                or_dash(limits.key_running),
                yes_no(limits.turns).into(),
                or_dash(limits.rate),
                or_dash(limits.burst),
            ]
        },
        "Nothing is paused, limited or slowed down.",
    )
}

async fn change(
    subject: &Subject,
    db: &mut PgConnection,
    change: impl FnOnce(&mut Limits) + Send,
) -> Result<(), Failure> {
    let (scope, name) = (subject.scope, &*subject.name);
    let limits = match admin::change_rule(db, scope, name, change).await {
        Ok(limits) => limits,
        Err(RuleError::Limits(why)) => return Err(Failure::usage(why)),
        Err(RuleError::Database(error)) => return Err(anyhow::Error::new(error).into()),
    };
    if subject.format.is_json() {
        return subject
            .format
            .value(&json!({ "scope": scope, "name": name, "limits": limits }));
    }
    say::line(format_args!("{scope} {name}: {}", described(&limits)))?;
    Ok(())
}

/// Limits in words.
fn described(limits: &Limits) -> String {
    let mut parts = Vec::new();
    if limits.paused {
        parts.push("paused".to_owned());
    }
    if let Some(most) = limits.max_running {
        parts.push(format!("at most {most} at once"));
    }
    if let Some(most) = limits.lane_running {
        parts.push(format!("at most {most} of each lane at once"));
    }
    if let Some(most) = limits.key_running {
        parts.push(format!("at most {most} of each key at once"));
    }
    if limits.turns || limits.lane_running.is_some() {
        parts.push("lanes take turns".to_owned());
    }
    if let Some(rate) = limits.rate {
        parts.push(format!("at most {rate}"));
    }
    if parts.is_empty() {
        parts.push("not limited".to_owned());
    }
    parts.join(", ")
}
