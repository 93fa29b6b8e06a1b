//! `leadmill forms`: where visitors of a site send what they typed.

use std::sync::Arc;

use domain::command;
use domain::form::CONTACT;
use domain::session::new_token;
use domain::store::forms::{self, NewForm};
use serde_json::json;

use super::listing::{Format, moment, or_dash};
use super::orgs::{Subject, inside, name};
use super::{Failure, say};
use crate::config::Config;

/// Arguments of `leadmill forms`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("json", |json| json.global(true)), after_help = "\
Examples:
  leadmill forms create acme --name Contact
  leadmill forms create acme --name 'Old site' --open")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the forms of an organisation and the addresses they are sent to
    Ls(Subject),
    /// Make a form and print where a site posts it to
    ///
    /// It asks for first and last name, e-mail, company and a message.
    Create(Create),
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    subject: Subject,
    /// What to call it
    #[arg(long, value_parser = name)]
    name: String,
    /// Its heading, as visitors read it [default: its name]
    #[arg(long, value_parser = name)]
    title: Option<String>,
    /// Ask nothing and take whatever is sent, of a form that stands on a site already
    #[arg(long)]
    open: bool,
}

pub(super) async fn run(args: Args, config: Arc<Config>) -> Result<(), Failure> {
    let (Command::Ls(subject) | Command::Create(Create { subject, .. })) = &args.command;
    let (mut tx, org, act) = inside(&config, subject).await?;
    let base = config.http.public_url.trim_end_matches('/');
    let address = |token: &str| format!("{base}/f/{token}");
    match &args.command {
        Command::Ls(_) => {
            let rows = forms::list(&mut tx, org.id).await;
            let rows = rows.map_err(anyhow::Error::new)?;
            args.format.print(
                &rows,
                ["name", "status", "questions", "address", "since"],
                |row| {
                    [
                        row.name.clone(),
                        row.status.clone(),
                        row.questions.to_string(),
                        or_dash(row.tokens.first().map(|token| address(token))),
                        moment(row.created_at),
                    ]
                },
                "There is no form yet; make one with `leadmill forms create`.",
            )
        }
        Command::Create(create) => {
            let token = new_token();
            let new = NewForm {
                name: &create.name,
                title: create.title.as_deref().unwrap_or(&create.name),
                token: &token,
                questions: if create.open { &[] } else { &CONTACT },
            };
            let id = command::create_form(&mut tx, &act, &new).await?;
            tx.commit().await.map_err(anyhow::Error::new)?;
            let url = address(&token);
            if args.format.is_json() {
                return args.format.value(
                    &json!({"id": id, "org_id": org.id, "name": create.name, "token": token, "url": url}),
                );
            }
            say::line(format_args!("Made the form. It posts to {url}"))
        }
    }
}
