//! Who has news: one connection of the process listens, every open page hears of its own person.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::id::{OrgId, UserId};
use domain::store::bell::CHANNEL;
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

/// Whose bell rang; nobody's: it may have been anybody's.
type Ring = Option<(OrgId, UserId)>;

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
}

#[derive(Deserialize)]
struct Told {
    org: OrgId,
    user: UserId,
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

    /// Listens for one person's bell.
    pub fn listen(&self, org: OrgId, user: UserId) -> Heard {
        let heard = Heard {
            rings: self.0.ear.rings.subscribe(),
            org,
            user,
        };
        self.0.listens.get_or_init(|| {
            let ear = self.0.ear.clone();
            queue::supervise("bells", move || listen(ear.clone()))
        });
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
    let _ = ear.rings.send(None);
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(told))) => {
                let told = serde_json::from_str::<Told>(told.payload()).ok();
                let _ = ear.rings.send(told.map(|told| (told.org, told.user)));
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
