//! Every mail that we write: its data as a struct, filled into the templates of its own folder.
//!
//! A message is kept in the mail ledger by its key and its data, and rendered when it goes. Each has a sample, so that one
//! check at start renders them all: a template that cannot be used never meets a reader.

mod lead_news;
mod samples;
mod team_news;
mod templates;
pub mod words;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use lead_news::{FactorLine, LeadAssigned, LeadCard, LeadQualified, LeadScored, LeadTurnedHot};
pub use team_news::{DueLead, FollowUpsDue, IntakeQuarantined, ProviderRefused, SignInLink};
pub use templates::TemplateError;

use templates::Templates;

/// A mail by its data.
pub trait Message: Serialize + DeserializeOwned {
    /// Its name in the ledger and its folder under `templates/mail`.
    const KEY: &'static str;
    /// Grows when its data changes.
    const VERSION: i32 = 1;

    /// What its preview and its check are rendered from.
    fn sample() -> Self;
}

/// What stands in every mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Frame {
    /// The org.
    pub org_name: String,
    /// The reader.
    pub reader_name: String,
    /// Where the reader says what to be told.
    pub news_url: String,
}

/// A mail ready to be put into an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What it is about.
    pub subject: String,
    /// For people who read text.
    pub text: String,
    /// For everybody else.
    pub html: String,
}

/// Why a message of the ledger cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// This program does not know the message.
    #[error("no message is called {0}")]
    UnknownKey(String),
    /// The data is that of another version.
    #[error("the data of {key} are not understood")]
    Data {
        /// The message.
        key: String,
        /// What is wrong.
        #[source]
        why: serde_json::Error,
    },
    /// A template cannot be filled with them.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// A message once its type is out of sight.
struct Kind {
    key: &'static str,
    sample: fn() -> Result<Value, serde_json::Error>,
    /// The data after a round trip through the message's type: what is missing or too much has been noticed by then.
    typed: fn(&Value) -> Result<Value, serde_json::Error>,
}

const fn kind<M: Message>() -> Kind {
    Kind {
        key: M::KEY,
        sample: || serde_json::to_value(M::sample()),
        typed: |data| serde_json::to_value(M::deserialize(data)?),
    }
}

/// Every message there is.
const KINDS: &[Kind] = &[
    kind::<LeadScored>(),
    kind::<LeadTurnedHot>(),
    kind::<LeadQualified>(),
    kind::<LeadAssigned>(),
    kind::<FollowUpsDue>(),
    kind::<ProviderRefused>(),
    kind::<IntakeQuarantined>(),
    kind::<SignInLink>(),
];

/// The messages with their templates; cheap to clone.
#[derive(Clone)]
pub struct Messages {
    templates: Arc<Templates>,
}

impl Messages {
    /// The names that files of a folder of templates may have to replace a part of a mail.
    pub fn files() -> impl Iterator<Item = String> {
        templates::files()
    }

    /// Reads all templates, those under `dir` instead of the built-in ones of the same name, and renders every sample.
    /// Tells everything that is wrong with them, each by file and line.
    pub fn load(dir: Option<&Path>) -> Result<Self, Vec<TemplateError>> {
        let messages = Self {
            templates: Arc::new(Templates::load(dir)?),
        };
        let mut errors = Vec::new();
        for key in Self::keys() {
            let error = match messages.render_sample(key) {
                Err(RenderError::Template(error)) => error,
                Err(error) => TemplateError::sample(key, &error),
                Ok(_) => continue,
            };
            // A fault of a template that all extend is one fault.
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            Ok(messages)
        } else {
            Err(errors)
        }
    }

    /// The keys of all messages.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.key)
    }

    /// The sample of the message `key`, as the ledger would keep it.
    pub fn sample(key: &str) -> Result<Value, RenderError> {
        (find(key)?.sample)().map_err(|why| data_error(key, why))
    }

    /// The message `key` filled with its sample.
    pub fn render_sample(&self, key: &str) -> Result<Rendered, RenderError> {
        self.render(key, &Self::sample(key)?)
    }

    /// The message `key` filled with what the ledger kept.
    pub fn render(&self, key: &str, data: &Value) -> Result<Rendered, RenderError> {
        let data = (find(key)?.typed)(data).map_err(|why| data_error(key, why))?;
        Ok(self.templates.render(key, &data)?)
    }
}

fn find(key: &str) -> Result<&'static Kind, RenderError> {
    let kind = KINDS.iter().find(|kind| kind.key == key);
    kind.ok_or_else(|| RenderError::UnknownKey(key.to_owned()))
}

fn data_error(key: &str, why: serde_json::Error) -> RenderError {
    RenderError::Data {
        key: key.to_owned(),
        why,
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(Self::keys()).finish()
    }
}

#[cfg(test)]
mod tests;
