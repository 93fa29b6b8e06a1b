//! Hear the wake-ups of other processes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tracing::{debug, info, warn};

use crate::Wake;
use crate::patience::Broken;
use crate::store::CHANNEL;

/// How long a connection may be silent before it is asked whether it is still one.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait after it was lost.
const PAUSE: Duration = Duration::from_secs(1);

/// Hears wake-ups, on a connection of its own, for ever. While it is deaf, the process finds its work by looking.
pub(crate) async fn listen(pool: PgPool, wake: Wake, broken: Arc<Broken>) {
    let mut deaf = false;
    loop {
        match broken.unless(hear(&pool, &wake, &mut deaf)).await {
            Err(error) if deaf => debug!("Wake-ups are still not heard: {error}"),
            Err(error) => {
                warn!("Wake-ups are not heard for now, jobs are found by looking: {error}");
                deaf = true;
            }
            Ok(never) => match never {},
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(pool: &PgPool, wake: &Wake, deaf: &mut bool) -> sqlx::Result<Infallible> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ANSWER)
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.eager_reconnect(false);
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await?;
    if std::mem::take(deaf) {
        info!("Wake-ups are heard again");
    }
    // Something may have been said before.
    wake.notify_local();
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(heard))) if heard.payload() == wake.sender() => {}
            Ok(Ok(Some(_))) => wake.notify_local(),
            Ok(Ok(None)) => return Err(sqlx::Error::WorkerCrashed),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let alive = sqlx::query("SELECT 1").execute(&mut listener);
                let alive = tokio::time::timeout(ANSWER, alive).await;
                alive.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
            }
        }
    }
}
