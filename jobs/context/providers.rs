//! Whom a job may ask about leads of an org.

use std::collections::BTreeMap;

use anyhow::Context;
use domain::clock::Timestamp;
use domain::id::OrgId;
use domain::store::enrichment::{self, Provider as Row};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sqlx::PgConnection;

use super::Ctx;
use crate::effects::enrichment::{Provider, ProviderConfig};
use crate::effects::sealed::Sealed;

/// A provider, or why it cannot be asked.
pub(crate) struct Candidate {
    /// Its name.
    pub(crate) key: String,
    /// How to ask it.
    pub(crate) provider: anyhow::Result<Provider>,
    /// Not before then.
    pub(crate) paused_until: Option<Timestamp>,
    /// Not after so many credits a day.
    pub(crate) daily_credit_cap: Option<f64>,
}

impl Ctx {
    /// The providers of `org` in their order; without any, the house's.
    pub(crate) async fn candidates(
        &self,
        tx: &mut PgConnection,
        org: OrgId,
    ) -> sqlx::Result<Vec<Candidate>> {
        let rows = enrichment::providers(tx, org).await?;
        if !rows.is_empty() {
            let candidate = |row: Row| Candidate {
                provider: self.open(org, &row),
                key: row.key,
                paused_until: row.paused_until,
                daily_credit_cap: row.daily_credit_cap,
            };
            return Ok(rows.into_iter().map(candidate).collect());
        }
        let Some(house) = self.effects.enrich.house() else {
            return Ok(Vec::new());
        };
        Ok(vec![Candidate {
            key: house.key.clone(),
            provider: Ok(house.clone()),
            paused_until: enrichment::paused_until(tx, org, &house.key).await?,
            daily_credit_cap: None,
        }])
    }

    fn open(&self, org: OrgId, row: &Row) -> anyhow::Result<Provider> {
        let config = ProviderConfig::parse(&row.config).context("its configuration")?;
        let secrets = match (&row.credentials_enc, &row.credentials_key_id) {
            (Some(bytes), Some(key_id)) => {
                let sealed = Sealed {
                    key_id: key_id.clone(),
                    bytes: bytes.clone(),
                };
                let opened = self.effects.keys.open(org, &row.key, &sealed)?;
                secrets(opened.expose_secret()).context("its sealed secrets")?
            }
            _ => BTreeMap::new(),
        };
        if let Some(missing) = config
            .needed_secrets()
            .find(|name| !secrets.contains_key(*name))
        {
            anyhow::bail!("it has no {missing}");
        }
        Ok(Provider {
            key: row.key.clone(),
            config,
            secrets,
        })
    }
}

/// An object of secrets by name.
fn secrets(opened: &[u8]) -> anyhow::Result<BTreeMap<String, SecretString>> {
    let Value::Object(map) = serde_json::from_slice(opened)? else {
        anyhow::bail!("not an object of secrets by name");
    };
    let text = |value: Value| match value {
        Value::String(text) => Ok(SecretString::from(text)),
        _ => Err(anyhow::anyhow!("a secret that is no text")),
    };
    map.into_iter()
        .map(|(name, value)| Ok((name, text(value)?)))
        .collect()
}
