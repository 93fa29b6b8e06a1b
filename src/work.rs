//! `leadmill work`: the pools of this process, and what their jobs reach out with.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use domain::clock::Clock;
use domain::store::Db;
use jobs::effects::enrichment::{Enricher, EnrichmentSettings};
use jobs::effects::mail::{MailSettings, Mailer, OnUnknown};
use jobs::effects::messages::Messages;
use jobs::effects::sealed::MasterKeys;
use jobs::{Ctx, Effects, Links};
use queue::{Running, Wake, Worker};
use secrecy::SecretString;
use sqlx::PgPool;
use tracing::{info, warn};

use crate::config::{self, Config, Mistake, SETTINGS};
use crate::stop::Stop;

/// How long giving jobs back may take once there is no time left; longer than it takes if the database answers.
const GIVING_BACK: Duration = Duration::from_secs(15);

/// What jobs reach out with, as the settings say; every mistake in settings and mails at once.
pub fn effects(config: &Config) -> Result<Effects, Vec<Mistake>> {
    let messages = Messages::load(config.templates.folder()).map_err(|errors| {
        let of_template = |error: jobs::effects::messages::TemplateError| {
            let place = match error.line {
                Some(line) => format!("{}:{line}", error.file),
                None => error.file,
            };
            Mistake::new(place, "", error.what)
        };
        errors.into_iter().map(of_template).collect::<Vec<_>>()
    });
    match (messages, reach(config)) {
        (Ok(messages), Ok((mail, enrich, keys))) => Ok(Effects {
            mail,
            messages,
            enrich,
            keys,
            links: Links::new(&config.http.public_url),
        }),
        (messages, reach) => {
            let of_mails = messages.err().unwrap_or_default();
            Err([of_mails, reach.err().unwrap_or_default()].concat())
        }
    }
}

/// What the settings say of those outside; every mistake in them at once.
pub fn reach(config: &Config) -> Result<(Mailer, Enricher, MasterKeys), Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut wrong = |key: &str, why: String| mistakes.push(Mistake::new(SETTINGS, key, why));
    let mail = Mailer::new(mail_settings(config)).map_err(|errors| {
        for error in errors {
            wrong(error.key(), error.to_string());
        }
    });
    let enrich = Enricher::new(&enrichment_settings(config))
        .map_err(|error| wrong("enrichment.url", format!("{error:#}")));
    let keys = MasterKeys::parse(&secret(&config.enrichment.master_keys))
        .map_err(|error| wrong("enrichment.master_keys", error.to_string()));
    match (mail, enrich, keys) {
        (Ok(mail), Ok(enrich), Ok(keys)) => Ok((mail, enrich, keys)),
        _ => Err(mistakes),
    }
}

/// What is wrong with the pools, measured by the queues that jobs wait in: a queue that no job has is a misspelt one, and jobs
/// in a queue that no pool serves would wait for ever. A process that works in some pools only, those of `names`, is warned
/// of the latter and starts: other processes may have other settings.
pub fn queue_mistakes(config: &Config, names: &[String]) -> Vec<Mistake> {
    let known = jobs::registry().queues();
    let list = known.iter().copied().collect::<Vec<_>>().join(", ");
    let pools = &config.worker.pools;
    let named: Vec<_> = pools
        .iter()
        .flat_map(|pool| pool.queues.iter().map(|queue| (&pool.name, &**queue)))
        .collect();
    let unknown = named.iter().filter(|(_, queue)| !known.contains(queue));
    let mut problems: Vec<_> = unknown
        .map(|(pool, queue)| {
            format!(
                "pool `{pool}` names the queue `{queue}`, which no job has; the queues are {list}"
            )
        })
        .collect();
    let unserved = known
        .iter()
        .filter(|queue| named.iter().all(|(_, named)| named != *queue));
    for queue in unserved {
        let problem = format!(
            "no pool serves the queue `{queue}`, so its jobs would never run; add it to the queues of a pool"
        );
        if names.is_empty() {
            problems.push(problem);
        } else {
            warn!("worker.pools: {problem}");
        }
    }
    problems
        .into_iter()
        .map(|problem| Mistake::new(SETTINGS, "worker.pools", problem))
        .collect()
}

/// The pools of these names, or all of them.
pub fn pools(config: &Config, names: &[String]) -> Result<Vec<queue::Pool>> {
    let all = &config.worker.pools;
    for name in names {
        if all.iter().all(|pool| pool.name != *name) {
            let known: Vec<_> = all.iter().map(|pool| pool.name.as_str()).collect();
            bail!(
                "there is no pool {name}; worker.toml has {}",
                known.join(", ")
            );
        }
    }
    let chosen = all
        .iter()
        .filter(|pool| names.is_empty() || names.contains(&pool.name));
    let pools = chosen.map(|pool| queue::Pool {
        name: pool.name.clone(),
        queues: pool.queues.clone(),
        concurrency: pool.concurrency,
    });
    Ok(pools.collect())
}

/// Starts to work on the queues of `pools`.
pub async fn start(
    config: &Config,
    pool: PgPool,
    wake: Wake,
    effects: Effects,
    pools: Vec<queue::Pool>,
) -> Result<Running> {
    if !effects.mail.has_server() {
        warn!("mail.url is not set: mails are written down and wait until there is a server");
    }
    if effects.enrich.house().is_none() {
        info!(
            "enrichment.url is not set: only orgs with a provider of their own have leads enriched"
        );
    }
    let names: Vec<_> = pools.iter().map(|pool| pool.name.clone()).collect();
    let ctx = Ctx::new(
        Db::new(pool.clone()),
        Clock::system(),
        wake.clone(),
        effects,
    );
    let running = Worker::builder(pool, jobs::registry(), ctx)
        .pools(pools)
        .schedules(jobs::schedules())
        .lease(config.worker.lease.get())
        .keep_days(config.queue.keep_days)
        .wake(wake)
        .start()
        .await
        .context("starting to work")?;
    info!("Working in the pools {}", names.join(", "));
    Ok(running)
}

/// Works until the process is to stop, then gives what runs `grace` to end; `false` if something had to be given back.
pub async fn until_stopped(running: Running, stop: Stop, grace: Duration) -> bool {
    stop.asked().await;
    let stopper = running.stopper();
    let mut stopped = pin!(running.stop(grace));
    let report = tokio::select! {
        report = &mut stopped => Some(report),
        () = stop.out_of_time(grace) => {
            stopper.stop();
            // A job that never yields cannot be given back by us; its lease runs out without us.
            tokio::time::timeout(GIVING_BACK, stopped).await.ok()
        }
    };
    report.is_some_and(|report| report.in_time && report.unwritten == 0)
}

fn mail_settings(config: &Config) -> MailSettings {
    let mail = &config.mail;
    MailSettings {
        url: secret(&mail.url),
        from: mail.from.clone(),
        step_timeout: mail.timeout.get(),
        reply_timeout: mail.reply_timeout.get(),
        idempotency_header: Some(mail.idempotency_header.clone()).filter(|name| !name.is_empty()),
        on_unknown: match mail.on_unknown {
            config::OnUnknown::Hold => OnUnknown::Hold,
            config::OnUnknown::Resend => OnUnknown::Resend,
        },
        delivery_reports: mail.delivery_reports,
    }
}

fn enrichment_settings(config: &Config) -> EnrichmentSettings {
    let enrichment = &config.enrichment;
    EnrichmentSettings {
        url: enrichment.url.clone(),
        api_key: secret(&enrichment.api_key),
        timeout: enrichment.timeout.get(),
        allow_private: enrichment.allow_private,
    }
}

fn secret(secret: &crate::config::Secret) -> SecretString {
    SecretString::from(secret.expose().to_owned())
}
