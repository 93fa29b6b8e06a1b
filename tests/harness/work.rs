//! Jobs run here and now, with a mail server and a provider of the test's own outside.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jobs::effects::enrichment::{Enricher, EnrichmentSettings};
use jobs::effects::mail::{MailSettings, Mailer};
use jobs::effects::messages::Messages;
use jobs::effects::sealed::MasterKeys;
use jobs::{Ctx, Effects, Links};
use leadmill::dev::smtp::Sink;
use queue::{Drained, Wake};
use tokio::sync::OnceCell;

use super::World;

/// What this world's jobs reach out to.
#[derive(Debug, Default)]
pub(super) struct Outside {
    mail: OnceCell<Sink>,
    provider: Mutex<String>,
}

impl World {
    /// The server that takes this world's mail.
    pub async fn mailbox(&self) -> &Sink {
        let listen = async || Sink::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        self.outside.mail.get_or_init(listen).await
    }

    /// From now on leads are looked up at `url`.
    pub fn look_up_at(&self, url: &str) {
        let provider = self.outside.provider.lock();
        url.clone_into(&mut provider.unwrap_or_else(PoisonError::into_inner));
    }

    /// What this world's jobs run with.
    pub async fn ctx(&self) -> Ctx {
        let provider = self.outside.provider.lock();
        let provider = provider.unwrap_or_else(PoisonError::into_inner).clone();
        let mail = MailSettings {
            url: self.mailbox().await.url().into(),
            from: "Leadmill <leadmill@example.test>".into(),
            step_timeout: Duration::from_secs(5),
            ..MailSettings::default()
        };
        let enrichment = EnrichmentSettings {
            url: provider,
            timeout: Duration::from_secs(2),
            allow_private: true,
            ..EnrichmentSettings::default()
        };
        let effects = Effects {
            mail: Mailer::new(mail).unwrap(),
            messages: Messages::load(None).unwrap(),
            enrich: Enricher::new(&enrichment).unwrap(),
            keys: MasterKeys::default(),
            links: Links::new("https://leadmill.example.test"),
        };
        let wake = Wake::new(self.pool.clone());
        Ctx::new(self.db.clone(), self.clock.clone(), wake, effects)
    }

    /// Runs every job that is due, and those that follow from it, until none is.
    pub async fn work(&self) -> Drained {
        let ctx = self.ctx().await;
        let drained = queue::drain(&self.pool, &jobs::registry(), &ctx).await;
        drained.unwrap()
    }
}
