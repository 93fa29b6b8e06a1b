//! Who has news: one connection of the process listens, every open page hears of its own person.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::id::{OrgId, UserId};
use domain::store::bell::CHANNEL;
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tracing::debug;

use crate::stop::Stop;

/// So many rings may wait for a page that is slow; one that misses some looks.
const WAITING: usize = 256;
/// A silent connection is asked whether it is still one.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait after it was lost.
const PAUSE: Duration = Duration::from_secs(2);

/// Whose bell rang; nobody's: it may have been anybody's.
type Ring = Option<(OrgId, UserId)>;

/// The bells of this process; cheap to clone. It begins to listen when the first page does.
#[derive(Debug, Clone)]
pub struct Bells(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    stop: Stop,
    rings: broadcast::Sender<Ring>,
    listens: AtomicBool,
}

/// What a page hears.
#[derive(Debug)]
pub struct Heard {
    rings: broadcast::Receiver<Ring>,
    org: OrgId,
    user: UserId,
}

#[derive(Deserialize)]
struct Told {
    org: OrgId,
    user: UserId,
}

impl Bells {
    /// Bells of the database of `pool`, silent after `stop`.
    pub fn new(pool: PgPool, stop: Stop) -> Self {
        Self(Arc::new(Shared {
            pool,
            stop,
            rings: broadcast::Sender::new(WAITING),
            listens: AtomicBool::new(false),
        }))
    }

    /// Listens for one person's bell.
    pub fn listen(&self, org: OrgId, user: UserId) -> Heard {
        let heard = Heard {
            rings: self.0.rings.subscribe(),
            org,
            user,
        };
        if !self.0.listens.swap(true, Ordering::AcqRel) {
            tokio::spawn(listen(self.0.clone()));
        }
        heard
    }
}

impl Heard {
    /// Ends when the bell rang, or may have.
    pub async fn ring(&mut self) {
        loop {
            match self.rings.recv().await {
                Ok(Some(told)) if told != (self.org, self.user) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                // The process ends; whoever waits hears that elsewhere.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

async fn listen(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.stop.asked() => return,
            ended = hear(&shared) => if let Err(error) = ended {
                debug!("Bells are not heard for now: {error}");
            },
        }
        tokio::select! {
            () = shared.stop.asked() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn hear(shared: &Shared) -> sqlx::Result<()> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ANSWER)
        .connect_lazy_with(shared.pool.connect_options().as_ref().clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.eager_reconnect(false);
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await?;
    // Something may have been told before; nobody listening is no mistake.
    let _ = shared.rings.send(None);
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(told))) => {
                let told = serde_json::from_str::<Told>(told.payload()).ok();
                let _ = shared.rings.send(told.map(|told| (told.org, told.user)));
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
