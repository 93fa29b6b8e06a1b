//! Hand a mail to a server, and know on which side of the final dot a failure fell.
//!
//! A server that has read the final dot may hold the message although its reply never came. So a hand-off is two steps.
//! [`Mailer::begin`] connects and names sender and recipient: whatever fails there, nothing was sent. [`Ready::hand_off`]
//! sends the message, and answers [`HandOff::Unknown`] only if the dot may have left and no reply came. In between the
//! caller writes down that the message is about to go.

mod connection;
mod conversation;
mod letter;
mod server;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::id::MessageId;
use lettre::message::Mailbox;
use secrecy::SecretString;
use tokio::time::Instant;

pub use conversation::Ready;
pub use letter::{Letter, one_line};
pub use server::ServerError;

use connection::Connection;
use server::Server;

/// Most connections kept open for the next mail.
const MOST_IDLE: usize = 4;
/// How long a connection may be idle; servers close theirs after minutes, we let go first.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// The server, `smtp://` or `smtps://`, with user and password; empty: mail waits.
    pub url: SecretString,
    /// Who the mail is from, as in a From header.
    pub from: String,
    /// How long the server may take for one step before the final dot.
    pub step_timeout: Duration,
    /// How long the server may take to answer the final dot: too short makes messages whose fate nobody knows.
    pub reply_timeout: Duration,
    /// The header by which the server recognises a message it already has, for servers that do.
    pub idempotency_header: Option<String>,
    /// What to do with a message whose fate nobody knows.
    pub on_unknown: OnUnknown,
    /// Ask the server to report what becomes of each message.
    pub delivery_reports: bool,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            from: "Leadmill <leadmill@localhost>".into(),
            step_timeout: Duration::from_secs(30),
            reply_timeout: Duration::from_secs(600),
            idempotency_header: None,
            on_unknown: OnUnknown::Hold,
            delivery_reports: false,
        }
    }
}

/// What to do with a message that the server may or may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnknown {
    /// Leave it for evidence, or for a person; after a day it is taken for sent.
    #[default]
    Hold,
    /// Send it again; without an idempotency header it may arrive twice.
    Resend,
}

/// What came of a hand-off.
#[derive(Debug)]
pub enum HandOff {
    /// The server has it.
    Sent {
        /// Its reply code.
        code: u16,
        /// Its reply.
        reply: String,
    },
    /// The server asks to try again later; it has not got it.
    Deferred {
        /// Its reply code.
        code: u16,
        /// Its reply.
        reply: String,
    },
    /// The server will not take it.
    Rejected {
        /// Its reply code.
        code: u16,
        /// Its reply.
        reply: String,
    },
    /// No server can be given it, for this reason.
    Impossible(String),
    /// It failed on our side of the final dot: nobody has it, and it may be tried again.
    NotDelivered(anyhow::Error),
    /// The final dot may have left and no reply came.
    Unknown(anyhow::Error),
}

/// Why the settings of mail cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server's address.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The sender.
    #[error("{0} is not a name with an address like Leadmill <leadmill@example.com>")]
    From(String),
    /// The header's name.
    #[error("{0} is not the name of a header")]
    Header(String),
}

impl MailError {
    /// The setting that it is about.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Server(_) => "mail.url",
            Self::From(_) => "mail.from",
            Self::Header(_) => "mail.idempotency_header",
        }
    }
}

/// Hands mails to one server; cheap to clone, all clones share the connections.
#[derive(Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
}

struct Inner {
    server: Option<Server>,
    from: Mailbox,
    settings: MailSettings,
    idle: Mutex<VecDeque<(Connection, Instant)>>,
}

impl Mailer {
    /// A mailer under these settings, or everything that is wrong with them; nothing is connected yet.
    pub fn new(settings: MailSettings) -> Result<Self, Vec<MailError>> {
        let mut wrong = Vec::new();
        let server = Server::parse(&settings.url).map_err(|error| wrong.push(error.into()));
        let from = settings.from.parse::<Mailbox>();
        let from = from.map_err(|_| wrong.push(MailError::From(settings.from.clone())));
        if let Some(header) = &settings.idempotency_header
            && !letter::is_header_name(header)
        {
            wrong.push(MailError::Header(header.clone()));
        }
        match (server, from) {
            (Ok(server), Ok(from)) if wrong.is_empty() => Ok(Self {
                inner: Arc::new(Inner {
                    server,
                    from,
                    settings,
                    idle: Mutex::default(),
                }),
            }),
            _ => Err(wrong),
        }
    }

    /// Whether there is a server to hand anything to.
    pub fn has_server(&self) -> bool {
        self.inner.server.is_some()
    }

    /// The Message-ID of `message`: the same on every attempt, and known before the first.
    pub fn message_id(&self, message: MessageId) -> String {
        format!("<{message}@{}>", self.inner.from.email.domain())
    }

    /// What to do with a message that the server may or may not have: a server that recognises it can be sent it again.
    pub fn on_unknown(&self) -> OnUnknown {
        let settings = &self.inner.settings;
        if settings.idempotency_header.is_some() {
            OnUnknown::Resend
        } else {
            settings.on_unknown
        }
    }

    /// The longest that one hand-off takes.
    pub fn longest(&self) -> Duration {
        // Greeting, hello, encryption, hello, sign-in, sender, recipient, data, body; twice for a connection gone stale.
        self.inner.settings.step_timeout * 18 + self.inner.settings.reply_timeout
    }
}

impl Inner {
    /// A connection used before that is likely to be still there.
    fn reuse(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((connection, since)) = idle.pop_back() {
            if since.elapsed() < LONGEST_IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next mail.
    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < LONGEST_IDLE);
        if idle.len() < MOST_IDLE {
            idle.push_back((connection, Instant::now()));
        }
    }
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer")
            .field("server", &self.inner.server)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
