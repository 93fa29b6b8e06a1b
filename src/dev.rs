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
use postgres::{Cluster, Options, Profile};
use serde_json::json;
use tokio::net::TcpListener;

use crate::app::App;
use crate::config::{Config, Secret};
use crate::stop::Stop;
use crate::web::layers;
use crate::web::session;
use crate::web::view::Views;
use crate::{database, serve, work};

/// The name of the private database.
const DATABASE: &str = "leadmill";
/// Most ports tried after one that is taken, if nobody asked for it.
const MORE_PORTS: u16 = 20;

/// How it is to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; none: the first free port from `http.listen` on.
    pub listen: Option<SocketAddr>,
    /// Where the data is.
    pub data: PathBuf,
    /// Print one line of JSON instead of a text for people.
    pub ready_json: bool,
}

/// Runs until `stop`.
pub async fn run(mut config: Config, settings: Settings, views: Views, stop: Stop) -> Result<()> {
    std::fs::create_dir_all(&settings.data)
        .with_context(|| format!("making the directory {}", settings.data.display()))?;
    let cluster = database_of(&mut config, &settings.data).await?;
    let listener = listen(settings.listen, config.http.listen).await?;
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
    };
    tell(&settings, &place)?;
    let grace = config.http.grace.get();
    let (served, _) = tokio::join!(
        serve::run(listener, router(app, sink.clone()), stop.clone(), grace),
        work::until_stopped(running, stop, grace),
    );
    pool.close().await;
    if let Some(cluster) = cluster {
        cluster.stop().await?;
    }
    served
}

/// Everything that `leadmill serve` answers, and what stands for the outside world.
fn router(app: App, sink: smtp::Sink) -> Router {
    let outside = mailbox::router(sink).merge(provider::router());
    let outside = layers::around(outside, &app.config.http).with_state(app.clone());
    serve::router(app).merge(outside)
}

/// The database of the settings, or else a private one.
async fn database_of(config: &mut Config, data: &Path) -> Result<Option<Cluster>> {
    if !config.database.url.is_empty() {
        return Ok(None);
    }
    let options = Options {
        keep_alive: true,
        ..Options::new(data.join("pg"), Profile::Durable)
    };
    let cluster = Cluster::start(options).await?;
    cluster.server().ensure_database(DATABASE).await?;
    config.database.url = Secret::new(cluster.url(DATABASE));
    Ok(Some(cluster))
}

/// Listens where it was asked to; by default on the next free port if the usual one is taken.
async fn listen(asked: Option<SocketAddr>, usual: SocketAddr) -> Result<TcpListener> {
    if let Some(address) = asked {
        let listener = TcpListener::bind(address).await;
        return listener.with_context(|| format!("cannot listen on {address}"));
    }
    let mut address = usual;
    for port in usual.port()..=usual.port().saturating_add(MORE_PORTS) {
        address.set_port(port);
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => continue,
            listener => return listener.with_context(|| format!("cannot listen on {address}")),
        }
    }
    anyhow::bail!("all ports from {usual} to {address} are taken; name one with --listen")
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
}

fn tell(settings: &Settings, place: &Place<'_>) -> Result<()> {
    let Place {
        base,
        as_owner,
        as_rep,
        sink,
        demo,
        database,
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
