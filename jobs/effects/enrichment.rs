//! Ask an outside provider what it knows about a lead.
//!
//! A provider is described by data, not by code: how the question is put, what each answer means, where the facts are in
//! it. Providers agree on nothing, one's "not found" is another's "still looking", so no status has a meaning of its own.

mod answer;
mod config;
mod egress;
mod facts;
mod path;
mod presets;
mod question;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use domain::clock::Timestamp;
use domain::normalise;
use reqwest::Client;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

pub use answer::{Answer, Reply};
pub use config::{ConfigError, ProviderConfig};
pub use egress::is_public;
pub use facts::{TARGETS, Told};
pub use presets::preset_names;
pub use question::{About, Question, Unasked};

/// The largest answer that is read.
const LARGEST: usize = 1 << 20;

/// How providers are asked.
#[derive(Debug, Clone)]
pub struct EnrichmentSettings {
    /// The provider of every org that has none of its own; empty: none.
    pub url: String,
    /// Its key.
    pub api_key: SecretString,
    /// How long one look-up may take.
    pub timeout: Duration,
    /// Also ask inside this network, and without encryption: for the fake of `leadmill dev` and of tests.
    pub allow_private: bool,
}

impl Default for EnrichmentSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            api_key: SecretString::default(),
            timeout: Duration::from_secs(10),
            allow_private: false,
        }
    }
}

/// Someone who can be asked.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name.
    pub key: String,
    /// How it is asked.
    pub config: ProviderConfig,
    /// What opens it, by name.
    pub secrets: BTreeMap<String, SecretString>,
}

/// Asks providers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Enricher {
    client: Client,
    house: Option<Provider>,
    allow_private: bool,
}

impl Enricher {
    /// An enricher under these settings; nothing is connected yet.
    pub fn new(settings: &EnrichmentSettings) -> anyhow::Result<Self> {
        // The first in the process wins; all of us bring the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("leadmill/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout)
            .redirect(Policy::none())
            .no_proxy()
            .https_only(!settings.allow_private);
        let client = if settings.allow_private {
            client
        } else {
            client.dns_resolver(std::sync::Arc::new(egress::PublicOnly))
        };
        let house = if settings.url.is_empty() {
            None
        } else {
            let config = ProviderConfig::generic(&settings.url)?;
            Some(Provider {
                key: "house".into(),
                config,
                secrets: BTreeMap::from([("api_key".into(), settings.api_key.clone())]),
            })
        };
        Ok(Self {
            client: client.build().context("could not prepare look-ups")?,
            house,
            allow_private: settings.allow_private,
        })
    }

    /// The provider of orgs that have none of their own.
    pub fn house(&self) -> Option<&Provider> {
        self.house.as_ref()
    }

    /// Puts a question, once; what time it is decides until when a provider that wants rest is left alone.
    pub async fn ask(&self, provider: &Provider, question: &Question, now: Timestamp) -> Reply {
        let reply = match self.fetch(provider, question).await {
            Ok(fetched) => fetched,
            Err(failure) => return Reply::failed(failure),
        };
        provider.config.read(reply, now)
    }

    async fn fetch(&self, provider: &Provider, question: &Question) -> Result<Fetched, Failure> {
        let request = question.with_secrets(&provider.secrets);
        if !self.allow_private {
            egress::check(&request.url)?;
        }
        let mut builder = self.client.request(request.method, request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value.expose_secret());
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let mut response = builder.send().await.map_err(Failure::from_request)?;

        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Failure::from_request)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Failure::for_good("the answer is larger than 1 MB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched {
            status,
            headers,
            body: serde_json::from_slice(&body).ok().map(normalise::json),
        })
    }
}

/// What a provider sent.
pub(crate) struct Fetched {
    status: u16,
    headers: reqwest::header::HeaderMap,
    /// None: no JSON.
    body: Option<Value>,
}

/// Why nothing was heard from a provider.
#[derive(Debug)]
pub(crate) struct Failure {
    why: String,
    retryable: bool,
}

impl Failure {
    fn for_good(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            retryable: false,
        }
    }

    /// What reqwest says, without the address: it may hold a secret or somebody's mail address.
    fn from_request(error: reqwest::Error) -> Self {
        let retryable = !error.is_builder();
        let error = anyhow::Error::from(error.without_url());
        Self {
            why: format!("{error:#}"),
            retryable,
        }
    }
}

#[cfg(test)]
mod tests;
