//! Every setting of a Leadmill process: what it means, its default, and what must hold for it.
//!
//! A setting is taken from `worker.toml`, then from `LEADMILL__SECTION__KEY` in the environment, then from
//! `--set section.key=value`; the later wins. [`load`] names every mistake at once, so that one run shows all there is to fix.

mod load;
mod secret;
mod span;
mod validate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use load::did_you_mean;
pub use load::{DEFAULT_FILE, Mistake, Read, SETTINGS, Sources, load, read};
pub use secret::Secret;
pub use span::Span;

/// All settings, one field a section of `worker.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the data lives.
    pub database: Database,
    /// The listener of `leadmill serve` and what it accepts.
    pub http: Http,
    /// How often the public may send leads.
    pub intake: Intake,
    /// The signed-in part of the web side.
    pub console: Console,
    /// What becomes of jobs that are finished.
    pub queue: Queue,
    /// The pools of `leadmill work`.
    pub worker: Worker,
    /// How mail leaves.
    pub mail: Mail,
    /// Who is asked about a lead's person and company.
    pub enrichment: Enrichment,
    /// Where pages and mails are read from.
    pub templates: Templates,
    /// What is written to the log.
    pub log: Log,
}

/// Section `[database]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// Address of the Postgres database, version 14 or newer. Also `DATABASE_URL`.
    pub url: Secret,
    /// Most connections that requests and jobs of one process share; the queue holds up to ten of its own besides.
    pub max_connections: u32,
    /// How long a request waits for a free connection.
    pub acquire_timeout: Span,
    /// How long one statement may run.
    pub statement_timeout: Span,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            max_connections: 20,
            acquire_timeout: Span::seconds(3),
            statement_timeout: Span::seconds(30),
        }
    }
}

/// Section `[http]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The address at which people and forms reach this service; links in mails start with it.
    pub public_url: String,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// How long a client may take to send its body.
    pub body_deadline: Span,
    /// How long a request may take altogether.
    pub request_timeout: Span,
    /// How many reverse proxies stand in front; as many entries of X-Forwarded-For are believed, from its end.
    pub trusted_proxies: usize,
    /// Answer /metrics on this listener; turn it off where the listener faces the internet.
    pub metrics: bool,
    /// How long running requests and jobs may take to finish after SIGTERM.
    pub grace: Span,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: "http://127.0.0.1:8080".into(),
            body_limit: 1024 * 1024,
            body_deadline: Span::seconds(15),
            request_timeout: Span::seconds(30),
            trusted_proxies: 0,
            metrics: true,
            grace: Span::seconds(25),
        }
    }
}

/// Section `[intake]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Intake {
    /// Leads one address may send per minute.
    pub per_ip_per_minute: u32,
    /// Leads one address may send at once before the rate counts.
    pub per_ip_burst: u32,
    /// Leads one organisation may be sent per minute.
    pub per_org_per_minute: u32,
    /// A form sent twice with the same answers within this time is one submission.
    pub double_click_window: Span,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            per_ip_per_minute: 10,
            per_ip_burst: 20,
            per_org_per_minute: 600,
            double_click_window: Span::minutes(10),
        }
    }
}

/// Section `[console]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// How long a session lasts without being used.
    pub session_idle: Span,
    /// How long a session lasts at most.
    pub session_lifetime: Span,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            session_idle: Span::hours(12),
            session_lifetime: Span::hours(24 * 14),
        }
    }
}

/// Section `[queue]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// For how many days finished jobs are kept, with their results, errors and log lines; dead letters too.
    pub keep_days: u16,
}

impl Default for Queue {
    fn default() -> Self {
        Self { keep_days: 14 }
    }
}

/// Section `[worker]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Address and port of /healthz, /readyz and /metrics of `leadmill work`.
    pub listen: SocketAddr,
    /// How long a job stays with a worker that no longer answers.
    pub lease: Span,
    /// Which queues are worked on together, and how many jobs at a time. Every queue of a job belongs to exactly one pool.
    pub pools: Vec<Pool>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            lease: Span::seconds(30),
            pools: vec![
                Pool::new("intake", &["intake"], 8),
                Pool::new("leads", &["enrich", "score", "notify"], 8),
                Pool::new("mail", &["mail"], 4),
                Pool::new("sweep", &["sweep"], 1),
            ],
        }
    }
}

/// One entry of `[[worker.pools]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Name for `leadmill work --pool NAME`.
    pub name: String,
    /// Queues it takes jobs from.
    pub queues: Vec<String>,
    /// How many jobs it runs at a time.
    pub concurrency: usize,
}

impl Pool {
    fn new(name: &str, queues: &[&str], concurrency: usize) -> Self {
        Self {
            name: name.into(),
            queues: queues.iter().map(|queue| (*queue).into()).collect(),
            concurrency,
        }
    }
}

/// Section `[mail]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// The server that takes our mail, `smtp://` or `smtps://`. Also `SMTP_URL`.
    pub url: Secret,
    /// Who the mail is from.
    pub from: String,
    /// How long the server may take for one step.
    pub timeout: Span,
    /// How long the server may take to answer a whole mail: too short makes mails of which nobody knows whether they went.
    pub reply_timeout: Span,
    /// What becomes of a mail that the server may or may not have: hold takes it for sent after a day, resend may send it twice.
    pub on_unknown: OnUnknown,
    /// The header by which the server recognises a mail that it already has; empty for most servers.
    pub idempotency_header: String,
    /// Ask the server to report what becomes of each mail.
    pub delivery_reports: bool,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            from: "Leadmill <leadmill@localhost>".into(),
            timeout: Span::seconds(30),
            reply_timeout: Span::minutes(10),
            on_unknown: OnUnknown::Hold,
            idempotency_header: String::new(),
            delivery_reports: false,
        }
    }
}

/// What becomes of a mail that the server may or may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// It waits for evidence, or for a person.
    Hold,
    /// It is sent again; without an idempotency header it may arrive twice.
    Resend,
}

/// Section `[enrichment]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Enrichment {
    /// Where to look people up; empty leaves leads as they came.
    pub url: String,
    /// The key sent with every look-up.
    pub api_key: Secret,
    /// How long one look-up may take.
    pub timeout: Span,
    /// Also call addresses inside this network, which a provider on the internet never has.
    pub allow_private: bool,
    /// What seals the keys of the orgs' own providers: name:32 bytes in base64, the newest first. Also `LEADMILL_MASTER_KEYS`.
    pub master_keys: Secret,
}

impl Default for Enrichment {
    fn default() -> Self {
        Self {
            url: String::new(),
            api_key: Secret::default(),
            timeout: Span::seconds(10),
            allow_private: false,
            master_keys: Secret::default(),
        }
    }
}

/// Section `[templates]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Templates {
    /// A folder whose files replace the built-in templates of the same path; empty uses the built-in ones.
    pub dir: PathBuf,
}

impl Templates {
    /// The folder, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        Some(self.dir.as_path()).filter(|dir| !dir.as_os_str().is_empty())
    }
}

/// Section `[log]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What to write, as in `RUST_LOG`, which wins.
    pub filter: String,
    /// How to write it.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".into(),
            format: LogFormat::Auto,
        }
    }
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
