//! What must hold for settings beyond their type.

use std::collections::HashSet;

use super::{Config, Secret};

/// Every rule that `config` breaks: the key, what is wrong and how to mend it.
pub(super) fn broken_rules(config: &Config) -> Vec<(&'static str, String)> {
    let mut broken = Vec::new();
    let mut need = |holds: bool, key: &'static str, problem: String| {
        if !holds {
            broken.push((key, problem));
        }
    };

    need(
        scheme_is(&config.database.url, &["postgres", "postgresql"]),
        "database.url",
        "is no Postgres address; write it as postgres://user:password@host:5432/database".into(),
    );
    need(
        scheme_is(&config.mail.url, &["smtp", "smtps"]),
        "mail.url",
        "is no mail server address; write it as smtp://user:password@host:587".into(),
    );
    need(
        config.database.max_connections >= 4,
        "database.max_connections",
        "must be at least 4".into(),
    );
    need(
        is_http(&config.http.public_url),
        "http.public_url",
        format!(
            "`{}` is no web address; write it as https://leads.example.com",
            config.http.public_url
        ),
    );
    need(
        config.http.body_limit >= 1024,
        "http.body_limit",
        "must be at least 1024 bytes".into(),
    );
    need(
        config.enrichment.url.is_empty() || is_http(&config.enrichment.url),
        "enrichment.url",
        format!("`{}` is no web address", config.enrichment.url),
    );
    need(
        config.mail.from.contains('@') && !config.mail.from.contains(['\r', '\n']),
        "mail.from",
        format!(
            "`{}` is no sender; write it as Name <name@example.com>",
            config.mail.from
        ),
    );
    need(
        (1..=3650).contains(&config.queue.keep_days),
        "queue.keep_days",
        "must be from 1 to 3650".into(),
    );
    for (key, count) in [
        ("intake.per_ip_per_minute", config.intake.per_ip_per_minute),
        ("intake.per_ip_burst", config.intake.per_ip_burst),
        (
            "intake.per_org_per_minute",
            config.intake.per_org_per_minute,
        ),
    ] {
        need(count >= 1, key, "must be at least 1".into());
    }
    for (key, span) in [
        ("database.acquire_timeout", config.database.acquire_timeout),
        (
            "database.statement_timeout",
            config.database.statement_timeout,
        ),
        ("http.body_deadline", config.http.body_deadline),
        ("http.request_timeout", config.http.request_timeout),
        ("console.session_idle", config.console.session_idle),
        ("console.session_lifetime", config.console.session_lifetime),
        ("mail.timeout", config.mail.timeout),
        ("mail.reply_timeout", config.mail.reply_timeout),
        ("enrichment.timeout", config.enrichment.timeout),
    ] {
        need(!span.is_zero(), key, "must be longer than nothing".into());
    }
    need(
        config.worker.lease.as_secs() >= 5,
        "worker.lease",
        "must be at least 5s, or a slow beat of a live worker looks like its death".into(),
    );
    for problem in pool_problems(config) {
        need(false, "worker.pools", problem);
    }
    broken
}

fn pool_problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = HashSet::new();
    for pool in &config.worker.pools {
        let name = &pool.name;
        if name.is_empty() {
            problems.push("a pool has no name; give it one".into());
        }
        if !names.insert(name) {
            problems.push(format!("two pools are named `{name}`; rename one"));
        }
        if pool.queues.is_empty() {
            problems.push(format!(
                "pool `{name}` has no queues; name those it takes jobs from"
            ));
        }
        if pool.concurrency == 0 {
            problems.push(format!(
                "pool `{name}` has concurrency 0; give it at least 1"
            ));
        }
    }
    if config.worker.pools.is_empty() {
        problems.push("there is no pool, so no job would ever run; add one".into());
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
