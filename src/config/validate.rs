//! What must hold for settings beyond their type.

use std::collections::HashSet;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::{Config, Pool, Secret};

/// Longest length of time that makes sense: what is added to the time of today has to stay within the calendar.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// A rule that does not hold.
pub(super) struct Broken {
    /// Of which setting.
    pub(super) key: &'static str,
    /// Of which entry of it, if it is a list.
    pub(super) entry: Option<usize>,
    /// What is wrong and how to fix it.
    pub(super) problem: String,
}

/// Every rule that `config` breaks.
pub(super) fn broken_rules(config: &Config) -> Vec<Broken> {
    let rules = [texts(config), counts(config), spans(config)];
    let broken = rules.into_iter().flatten().filter(|(holds, ..)| !holds);
    let broken = broken.map(|(_, key, problem)| Broken {
        key,
        entry: None,
        problem,
    });
    broken.chain(pools(config)).collect()
}

/// Whether a rule holds, the key it is about, and what is wrong if it does not.
type Rule = (bool, &'static str, String);

fn texts(config: &Config) -> Vec<Rule> {
    let from = &config.mail.from;
    let (public_url, provider) = (&config.http.public_url, &config.enrichment.url);
    vec![
        (
            scheme_is(&config.database.url, &["postgres", "postgresql"]),
            "database.url",
            "is no Postgres address; write it as postgres://user:password@host:5432/database"
                .into(),
        ),
        (
            scheme_is(&config.mail.url, &["smtp", "smtps"]),
            "mail.url",
            "is no mail server address; write it as smtp://user:password@host:587".into(),
        ),
        (
            is_http(public_url),
            "http.public_url",
            format!("`{public_url}` is not a web address; write it as https://leads.example.com"),
        ),
        (
            provider.is_empty() || is_http(provider),
            "enrichment.url",
            format!(
                "`{provider}` is not a web address; write it as https://provider.example.com/people, \
                 or leave it empty to look nobody up"
            ),
        ),
        (
            from.contains('@') && !from.contains(['\r', '\n']),
            "mail.from",
            format!("`{from}` is not a sender; write it as Name <name@example.com>"),
        ),
        (
            EnvFilter::try_new(&config.log.filter).is_ok(),
            "log.filter",
            format!(
                "`{}` is not a filter; write it like info,leadmill=debug",
                config.log.filter
            ),
        ),
    ]
}

fn counts(config: &Config) -> Vec<Rule> {
    let intake = &config.intake;
    let at_least_one = |key, count| (count >= 1, key, "must be at least 1".to_owned());
    vec![
        (
            config.database.max_connections >= 4,
            "database.max_connections",
            "must be at least 4; write 20 if in doubt".into(),
        ),
        (
            config.http.body_limit >= 1024,
            "http.body_limit",
            "must be at least 1024 bytes".into(),
        ),
        (
            (1..=3650).contains(&config.queue.keep_days),
            "queue.keep_days",
            "must be from 1 to 3650".into(),
        ),
        at_least_one("intake.per_ip_per_minute", intake.per_ip_per_minute),
        at_least_one("intake.per_ip_burst", intake.per_ip_burst),
        at_least_one("intake.per_org_per_minute", intake.per_org_per_minute),
    ]
}

fn spans(config: &Config) -> Vec<Rule> {
    let (database, http, console) = (&config.database, &config.http, &config.console);
    let lasting = [
        ("database.acquire_timeout", database.acquire_timeout),
        ("database.statement_timeout", database.statement_timeout),
        ("http.body_deadline", http.body_deadline),
        ("http.request_timeout", http.request_timeout),
        ("console.session_idle", console.session_idle),
        ("console.session_lifetime", console.session_lifetime),
        ("mail.timeout", config.mail.timeout),
        ("mail.reply_timeout", config.mail.reply_timeout),
        ("enrichment.timeout", config.enrichment.timeout),
    ];
    let lease = (
        config.worker.lease.as_secs() >= 5,
        "worker.lease",
        "must be at least 5s, or a slow beat of a live worker looks like its death".to_owned(),
    );
    let empty = "must be longer than 0s; write a length of time such as 30s or 10m";
    let far = "must be at most ten years; write a length of time such as 30s or 12h";
    let may_be_none = [
        ("http.grace", http.grace),
        (
            "intake.double_click_window",
            config.intake.double_click_window,
        ),
        ("worker.lease", config.worker.lease),
    ];
    let every = lasting.into_iter().chain(may_be_none);
    let near = every.map(|(key, span)| (span.get() <= LONGEST, key, far.to_owned()));
    lasting
        .into_iter()
        .map(|(key, span)| (!span.is_zero(), key, empty.to_owned()))
        .chain([lease])
        .chain(near)
        .collect()
}

fn pools(config: &Config) -> Vec<Broken> {
    let all = &config.worker.pools;
    let broken = |entry, problem| Broken {
        key: "worker.pools",
        entry,
        problem,
    };
    if all.is_empty() {
        let problem = "there is no pool, so no job would ever run; add one".into();
        return vec![broken(None, problem)];
    }
    let mut found = Vec::new();
    for (entry, pool) in all.iter().enumerate() {
        let problems = pool_problems(pool, &all[..entry]).into_iter();
        found.extend(problems.map(|problem| broken(Some(entry), problem)));
    }
    found
}

/// What is wrong with a pool that stands after `before`.
fn pool_problems(pool: &Pool, before: &[Pool]) -> Vec<String> {
    let name = &pool.name;
    let mut problems = Vec::new();
    if name.is_empty() {
        problems.push("a pool has no name; give it one".into());
    }
    if before.iter().any(|other| other.name == *name) {
        problems.push(format!("two pools are named `{name}`; rename one"));
    }
    if pool.queues.is_empty() {
        problems.push(format!(
            "pool `{name}` has no queues; name those it takes jobs from"
        ));
    }
    let mut own = HashSet::new();
    for queue in &pool.queues {
        let other = before.iter().find(|other| other.queues.contains(queue));
        let other = other.map(|other| &other.name);
        if let Some(other) = other.or_else(|| (!own.insert(queue)).then_some(name)) {
            problems.push(format!(
                "queue `{queue}` is listed twice, in pool `{other}` and in pool `{name}`; leave it in one"
            ));
        }
    }
    if pool.concurrency == 0 {
        problems.push(format!(
            "pool `{name}` has concurrency 0; give it at least 1"
        ));
    }
    problems
}

fn scheme_is(secret: &Secret, schemes: &[&str]) -> bool {
    secret.is_empty()
        || url::Url::parse(secret.expose()).is_ok_and(|url| schemes.contains(&url.scheme()))
}

fn is_http(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
