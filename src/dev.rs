//! `leadmill dev`: everything in one process on a private database, with a mail server and a provider that stay on this
//! machine, and a demo org whose leads come in by the door that all leads come in by.

pub mod mailbox;
pub mod provider;
pub mod seed;
pub mod smtp;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use domain::clock::Clock;
use domain::store::{Db, orgs};
use postgres::{Cluster, Fetch, Options, Profile};
use serde_json::json;
use sqlx::PgPool;

use crate::app::App;
use crate::config::{Config, Secret};
use crate::stop::Stop;
use crate::web::layers;
use crate::web::session;
use crate::web::view::Views;
use crate::{database, listen, serve, work};

/// The name of the private database.
const DATABASE: &str = "leadmill";

/// How it is to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; none: the first free port from `http.listen` on.
    pub listen: Option<SocketAddr>,
    /// Where the data is.
    pub data: PathBuf,
    /// Print one line of JSON instead of a text for people.
    pub ready_json: bool,
    /// The directory of the data was made by this run: what was kept in its name before is not wanted any more.
    pub anew: bool,
    /// Whether a Postgres may be fetched.
    pub fetch: Fetch,
}

/// A database that was named is in use.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database has the organisation `{0}`, and `leadmill dev` is for one that has none but the demo: it would migrate it, make \
     the demo's owner run the platform, and keep every mail to itself. Run `leadmill serve` and `leadmill work` there; or name an \
     empty database, or none, by DATABASE_URL, --database-url or database.url, and a private one is made"
)]
pub struct InUse(String);

/// Runs until `stop`.
pub async fn run(mut config: Config, settings: Settings, views: Views, stop: Stop) -> Result<()> {
    let listener = match settings.listen {
        Some(address) => listen::on(address).await?,
        None => listen::near(config.http.listen).await?,
    };
    let cluster = database_of(&mut config, &settings).await?;
    let address = listener.local_addr()?;
    let sink = smtp::Sink::listen(([127, 0, 0, 1], 0).into())
        .await
        .context("starting the mail sink")?;
    let base = format!("http://{address}");
    config.http.public_url.clone_from(&base);
    if config.mail.url.is_empty() {
        config.mail.url = Secret::new(sink.url());
    }
    if config.enrichment.url.is_empty() {
        config.enrichment.url = format!("{base}{}", provider::PATH);
        config.enrichment.allow_private = true;
    }

    let pool = database::connect(&config.database, "dev", config.database.max_connections).await?;
    if cluster.is_none() {
        only_the_demo(&pool).await?;
    }
    database::migrate(&pool).await?;
    let effects = work::effects(&config).map_err(|mistakes| {
        let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })?;
    let pools = work::pools(&config, &[])?;
    let wake = queue::Wake::new(pool.clone());
    let running = work::start(&config, pool.clone(), wake.clone(), effects, pools).await?;
    let config = Arc::new(config);
    let app = App::new(
        config.clone(),
        views,
        pool.clone(),
        Clock::system(),
        wake,
        stop.clone(),
    );
    let demo = seed::ensure(&app, &settings.data).await?;

    let link = async |email| session::sign_in_link(&app.db, app.clock.now(), &base, email).await;
    let (owner, rep) = (link(seed::OWNER).await?, link(seed::REP).await?);

    let place = Place {
        as_owner: owner.as_deref().unwrap_or(&base),
        as_rep: rep.as_deref().unwrap_or(&base),
        base: &base,
        sink: &sink,
        demo: &demo,
        database: config.database.url.expose(),
        data: cluster.as_ref().map(Cluster::dir),
    };
    match tell(&settings, &place) {
        // Whoever read it has seen enough, and it runs on.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        told => told?,
    }
    let grace = config.http.grace.get();
    // Jobs that still run ask the provider, which is behind the same door: it is closed when they have ended.
    let doors = stop.later();
    let served = async {
        let served = serve::run(listener, router(app, sink.clone()), doors.clone(), grace).await;
        stop.ask();
        served
    };
    let worked = async {
        work::until_stopped(running, stop.clone(), grace).await;
        doors.ask();
    };
    let (served, ()) = tokio::join!(served, worked);
    pool.close().await;
    if let Some(cluster) = cluster {
        cluster.stop().await?;
    }
    served
}

/// Everything that `leadmill serve` answers, and what stands for the outside world.
fn router(app: App, sink: smtp::Sink) -> Router {
    let outside = mailbox::router(sink).merge(provider::router());
    let outside = layers::around(outside, &app.config.http, &app.views).with_state(app.clone());
    serve::router(app).merge(outside)
}

/// The database of the settings, or else a private one.
async fn database_of(config: &mut Config, settings: &Settings) -> Result<Option<Cluster>> {
    if !config.database.url.is_empty() {
        return Ok(None);
    }
    let options = Options {
        keep_alive: true,
        fetch: settings.fetch,
        anew: settings.anew,
        ..Options::new(settings.data.join("pg"), Profile::Durable)
    };
    let cluster = Cluster::start(options).await?;
    cluster.server().ensure_database(DATABASE).await?;
    config.database.url = Secret::new(cluster.url(DATABASE));
    Ok(Some(cluster))
}

/// Lets a database alone that has orgs which are not ours.
async fn only_the_demo(pool: &PgPool) -> Result<()> {
    if !database::knows_orgs(pool).await? {
        return Ok(());
    }
    let mut tx = Db::new(pool.clone()).platform().await?;
    match orgs::find_other(&mut tx, seed::SLUG).await? {
        None => Ok(()),
        Some(other) => Err(InUse(other).into()),
    }
}

/// What there is to reach.
struct Place<'a> {
    base: &'a str,
    /// Signs the demo org's owner in, once.
    as_owner: &'a str,
    /// Signs a rep of it in, once.
    as_rep: &'a str,
    sink: &'a smtp::Sink,
    demo: &'a seed::Demo,
    database: &'a str,
    /// Where the private database is, if there is one.
    data: Option<&'a Path>,
}

fn tell(settings: &Settings, place: &Place<'_>) -> std::io::Result<()> {
    let Place {
        base,
        as_owner,
        as_rep,
        sink,
        demo,
        database,
        data,
    } = place;
    let mut out = std::io::stdout().lock();
    if settings.ready_json {
        let ready = json!({
            "url": base,
            "org_id": demo.org,
            "form_token": demo.form_token,
            "api_key": demo.api_key,
            "database_url": database,
            "smtp": sink.address().to_string(),
            "mailbox_url": format!("{base}{}", mailbox::PATH),
        });
        // What signs people in is for the person at the terminal, not for what reads the line.
        eprintln!("As the rep Mira: {as_rep}\nAs the owner: {as_owner}");
        writeln!(out, "{ready}")?;
    } else {
        let org = demo.org;
        let key = &demo.api_key;
        // A database that was named may have a password in its address, and a terminal has onlookers.
        let database = match data {
            Some(dir) => format!("{database}\n  kept in             {}", dir.display()),
            None => Secret::new(*database).redacted(),
        };
        writeln!(
            out,
            "
Leadmill runs at {base}

Open it, signed in (each link is good once, for 15 minutes)
  as the rep Mira, who gets leads, mails and the bell:
    {as_rep}
  as the owner, who also sees the jobs behind it:
    {as_owner}

Send a lead:
  curl -X POST {base}/api/trpc/crm.leads.capture -H 'Content-Type: application/json' \\
    -d '{{\"orgId\":\"{org}\",\"firstName\":\"Jane\",\"lastName\":\"Smith\",\"email\":\"jane@example.com\",\"source\":\"website\"}}'

See it, scored:
  curl {base}/api/v1/leads -H 'Authorization: Bearer {key}'

The mail to its rep:  {base}{}
The database:         {database}

Ctrl-C stops everything.",
            mailbox::PATH
        )?;
    }
    out.flush()?;
    Ok(())
}
