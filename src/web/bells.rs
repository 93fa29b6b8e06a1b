//! Who has news, and which lead was changed: one connection of the process listens, every open page hears of its own person
//! and its own lead.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::id::{LeadId, OrgId, UserId};
use domain::store::bell::{self, CHANNEL};
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tracing::{debug, info, warn};

use crate::stop::Stop;

/// Most rings that wait for a slow page; one that misses some looks.
const WAITING: usize = 256;
/// How long a connection may be silent before it is asked whether it is still one.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait after it was lost.
const PAUSE: Duration = Duration::from_secs(2);

/// What was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Ring {
    /// Somebody has news.
    News { org: OrgId, user: UserId },
    /// A lead was changed; without its id, it may have been any of the org.
    Lead { org: OrgId, lead: Option<LeadId> },
    /// It may have been anything.
    #[serde(skip)]
    Unheard,
}

/// What there may be for a page to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rang {
    /// Its person has news.
    News,
    /// Its lead was changed.
    Lead,
    /// Perhaps the one, perhaps the other.
    Either,
}

/// The bells of this process; cheap to clone. It begins to listen when the first page does.
#[derive(Debug, Clone)]
pub struct Bells(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ear: Ear,
    /// What listens; it ends with the bells.
    listens: OnceLock<queue::Task>,
}

/// What listening takes.
#[derive(Debug, Clone)]
struct Ear {
    pool: PgPool,
    stop: Stop,
    rings: broadcast::Sender<Ring>,
}

/// What a page hears.
#[derive(Debug)]
pub struct Heard {
    rings: broadcast::Receiver<Ring>,
    org: OrgId,
    user: UserId,
    lead: Option<LeadId>,
}

impl Bells {
    /// Bells of the database of `pool`, silent after `stop`.
    pub fn new(pool: PgPool, stop: Stop) -> Self {
        let ear = Ear {
            pool,
            stop,
            rings: broadcast::Sender::new(WAITING),
        };
        Self(Arc::new(Shared {
            ear,
            listens: OnceLock::new(),
        }))
    }

    /// Listens for one person's bell, and for changes of the lead that their page is about.
    pub fn listen(&self, org: OrgId, user: UserId, lead: Option<LeadId>) -> Heard {
        let heard = Heard {
            rings: self.0.ear.rings.subscribe(),
            org,
            user,
            lead,
        };
        self.0.listens.get_or_init(|| {
            let ear = self.0.ear.clone();
            queue::supervise("bells", move || listen(ear.clone()))
        });
        heard
    }

    /// Lets open pages of `user` know that there is news for them, or less of it, in whichever process they are; for after the
    /// commit. A page that does not hear it looks by itself.
    pub async fn news(&self, org: OrgId, user: UserId) {
        let told = async {
            let mut db = self.0.ear.pool.acquire().await?;
            bell::ring(&mut db, org, &[user]).await
        };
        if let Err(error) = told.await {
            debug!("Open pages of a person were not told of their news: {error}");
        }
    }

    /// Lets open pages of `lead` know that it was changed, in whichever process they are; for after the commit. A page that
    /// does not hear it looks by itself.
    pub async fn lead_changed(&self, org: OrgId, lead: LeadId) {
        let told = async {
            let mut db = self.0.ear.pool.acquire().await?;
            bell::lead_changed(&mut db, org, lead).await
        };
        if let Err(error) = told.await {
            debug!("Open pages of a lead were not told of its change: {error}");
        }
    }
}

impl Heard {
    /// Ends when there is something for this page, or may be.
    pub async fn ring(&mut self) -> Rang {
        loop {
            match self.rings.recv().await {
                Ok(ring) => {
                    if let Some(rang) = self.about(ring) {
                        return rang;
                    }
                }
                Err(RecvError::Lagged(_)) => return Rang::Either,
                // The process ends; whoever waits hears that elsewhere.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn about(&self, ring: Ring) -> Option<Rang> {
        match ring {
            Ring::News { org, user } => {
                ((org, user) == (self.org, self.user)).then_some(Rang::News)
            }
            Ring::Lead { org, .. } if org != self.org || self.lead.is_none() => None,
            Ring::Lead { lead: None, .. } => Some(Rang::Either),
            Ring::Lead { lead, .. } => (lead == self.lead).then_some(Rang::Lead),
            Ring::Unheard => Some(Rang::Either),
        }
    }
}

async fn listen(ear: Ear) {
    let mut deaf = false;
    loop {
        let ended = tokio::select! {
            () = ear.stop.asked() => return,
            ended = hear(&ear, &mut deaf) => ended,
        };
        match ended {
            Err(error) if deaf => debug!("Bells are still not heard: {error}"),
            Err(error) => {
                warn!("Bells are not heard for now, open pages look by themselves: {error}");
                deaf = true;
            }
            Ok(never) => match never {},
        }
        tokio::select! {
            () = ear.stop.asked() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn hear(ear: &Ear, deaf: &mut bool) -> sqlx::Result<Infallible> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ANSWER)
        .connect_lazy_with(ear.pool.connect_options().as_ref().clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.eager_reconnect(false);
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await?;
    if std::mem::take(deaf) {
        info!("Bells are heard again");
    }
    // Something may have been told before; nobody listening is no mistake.
    let _ = ear.rings.send(Ring::Unheard);
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(told))) => {
                let ring = serde_json::from_str(told.payload());
                let _ = ear.rings.send(ring.unwrap_or(Ring::Unheard));
            }
            Ok(Ok(None)) => return Err(sqlx::Error::WorkerCrashed),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let alive = tokio::time::timeout(ANSWER, listener.listen(CHANNEL)).await;
                alive.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
            }
        }
    }
}
