//! `leadmill members`: who works in an organisation.

use std::sync::Arc;

use domain::clock::Clock;
use domain::command::{self, NewMember};
use domain::member::Role;
use domain::normalise::is_email;
use domain::store::scope::{enter_org, enter_platform};
use domain::store::{Tx, members};
use jobs::Links;
use serde_json::json;

use super::listing::{Format, moment};
use super::orgs::{Subject, name, named, platform};
use super::{Failure, say};
use crate::config::Config;

/// Arguments of `leadmill members`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.global(true)), after_help = "\
Examples:
  leadmill members add acme ada@acme.example --name 'Ada Byron' --role owner --platform-admin
  leadmill members ls acme")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List who works in an organisation
    Ls(Subject),
    /// Take somebody in and print a link that signs them in once
    ///
    /// Who is in already gets this name and role. The link is good for 15 minutes. Later ones come by mail, from the sign-in
    /// page. Members take turns at new leads.
    Add(Add),
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    subject: Subject,
    /// Their address, by which they sign in
    #[arg(value_parser = email)]
    email: String,
    /// Their name
    #[arg(long, value_parser = name)]
    name: String,
    /// What they may do: viewer, member, admin or owner, each more than the one before
    #[arg(long)]
    role: Role,
    /// Also let them run the platform: they see the jobs of all organisations
    #[arg(long)]
    platform_admin: bool,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let tx = platform(&config).await?;
    match args.command {
        Command::Ls(subject) => ls(&subject.org, args.format, tx).await,
        Command::Add(add) => take_in(&add, args.format, tx, &config).await,
    }
}

async fn ls(org: &str, format: Format, mut tx: Tx) -> Result<(), Failure> {
    let (org, _) = named(&mut tx, org).await?;
    let listed = async {
        enter_org(&mut tx, org.id).await?;
        members::list(&mut tx, org.id).await
    };
    let rows = listed.await.map_err(anyhow::Error::new)?;
    format.print(
        &rows,
        ["name", "email", "role", "id", "since"],
        |row| {
            [
                row.name.clone(),
                row.email.clone(),
                row.role.to_string(),
                row.user_id.to_string(),
                moment(row.created_at),
            ]
        },
        "Nobody works there yet; take somebody in with `leadmill members add`.",
    )
}

async fn take_in(args: &Add, format: Format, mut tx: Tx, config: &Config) -> Result<(), Failure> {
    let (org, act) = named(&mut tx, &args.subject.org).await?;
    let person = NewMember {
        email: &args.email,
        name: &args.name,
        role: args.role,
        platform_admin: args.platform_admin,
    };
    let user = command::admit(&mut tx, &act, &person).await?;
    let linked = async {
        enter_platform(&mut tx).await?;
        let token = command::new_sign_in_link(&mut tx, user, Clock::system().now()).await?;
        tx.commit().await?;
        Ok(token)
    };
    let token: String = linked
        .await
        .map_err(|error: sqlx::Error| anyhow::Error::new(error))?;
    let link = Links::new(&config.http.public_url).sign_in(&token);
    if format.is_json() {
        return format.value(&json!({
            "user_id": user,
            "org_id": org.id,
            "email": args.email,
            "role": args.role,
            "sign_in_link": link,
        }));
    }
    say::line(format_args!(
        "{} is in {} as {}.",
        args.email, org.slug, args.role
    ))?;
    say::line("To sign in, once within 15 minutes:")?;
    say::line(format_args!("  {link}"))
}

fn email(text: &str) -> Result<String, String> {
    if is_email(text) {
        Ok(text.to_owned())
    } else {
        Err("write an e-mail address, such as ada@example.com".to_owned())
    }
}
