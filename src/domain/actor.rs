//! Who does something, when, and where: what every command is told first.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{ApiKeyId, OrgId, UserId},
};

/// On whose behalf a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Actor {
    /// A signed-in person.
    User(UserId),
    /// A program with a key, possibly doing a person's work.
    ApiKey(ApiKeyId, Option<UserId>),
    /// A job of the queue.
    Job(i64),
    /// Anybody: a public form or hook.
    Public,
    /// The platform itself: set-up and command line.
    Platform,
}

impl Actor {
    /// The word in the audit log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::ApiKey(..) => "api_key",
            Self::Job(_) => "job",
            Self::Public => "public",
            Self::Platform => "platform",
        }
    }

    /// The person whose deed it is, for histories and timelines.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(*user),
            Self::ApiKey(_, user) => *user,
            _ => None,
        }
    }

    /// The id in the audit log.
    pub fn id(&self) -> Option<uuid::Uuid> {
        match self {
            Self::User(user) => Some(user.uuid()),
            Self::ApiKey(key, _) => Some(key.uuid()),
            _ => None,
        }
    }
}

/// The circumstances of a command.
#[derive(Debug, Clone)]
pub struct Act {
    /// The org acted in; the transaction is already scoped to it.
    pub org: OrgId,
    /// Who acts.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// The HTTP request behind it, for the audit log.
    pub request: Option<Request>,
}

/// Where a command came from, when it came by HTTP.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its id in the logs.
    pub id: Option<String>,
    /// The address it came from.
    pub ip: Option<String>,
    /// The client that sent it.
    pub user_agent: Option<String>,
}

impl Act {
    /// `actor` acts in `org` at `at`.
    pub fn new(org: OrgId, actor: Actor, at: Timestamp) -> Self {
        Self {
            org,
            actor,
            at,
            request: None,
        }
    }

    /// The same, remembering the request behind it.
    pub fn with_request(mut self, request: Request) -> Self {
        self.request = Some(request);
        self
    }
}
