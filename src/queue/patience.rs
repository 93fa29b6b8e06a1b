//! Wait for the database, and not for ever: a connection that went half-open says nothing, and nobody tells.

use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::Notify;

/// How long a connection that is given back may take to say that it is well.
const WELL: Duration = Duration::from_secs(5);

/// A way to the database that several go by: who finds it broken tells all that wait for an answer, and whose patience would
/// end in turn.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    told: Notify,
}

impl Broken {
    /// Nobody answers; `pool` is not asked in vain.
    pub(crate) fn tell(&self, pool: &PgPool) {
        forget_idle(pool);
        self.told.notify_waiters();
    }

    /// What `answer` gives, or that the way broke meanwhile.
    pub(crate) async fn unless<T>(
        &self,
        answer: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        tokio::select! {
            answer = answer => answer,
            () = self.told.notified() => Err(silence("others found the way to it broken")),
        }
    }
}

/// Asks on a connection of `pool`; after `limit` the answer is given up, and the connection with it.
pub(crate) async fn ask<T>(
    pool: &PgPool,
    limit: Duration,
    question: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> sqlx::Result<T> {
    let answer = on(pool, async |db| within(limit, question(db)).await).await;
    if answer.as_ref().is_err_and(is_of_the_way) {
        forget_idle(pool);
    }
    answer
}

/// Asks on a connection of `pool` something that has limits of its own; where it fails the connection is given up.
pub(crate) async fn on<T, E: From<sqlx::Error>>(
    pool: &PgPool,
    question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let mut db = pool.acquire().await?;
    let answer = question(&mut db).await;
    match answer {
        Ok(_) => give_back(db),
        // Whatever is wrong with it (stalled, read-only since a failover), a new one is no worse.
        Err(_) => drop(db.detach()),
    }
    answer
}

/// What `answer` gives within `limit`.
pub(crate) async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let answer = tokio::time::timeout(limit, answer).await;
    answer.unwrap_or_else(|_| {
        let told = format!("no answer for {} s", limit.as_secs());
        Err(silence(&told).into())
    })
}

fn silence(told: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, told))
}

/// Whether it is the way to the server that broke.
pub(crate) fn is_of_the_way(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))
}

/// Closes what no one uses: what broke one connection is likely to have broken all, and each would be waited for in turn.
fn forget_idle(pool: &PgPool) {
    while let Some(idle) = pool.try_acquire() {
        drop(idle.detach());
    }
}

/// Gives a connection back. The pool asks it whether it is well and would wait for ever, with one connection fewer.
fn give_back(mut db: PoolConnection<Postgres>) {
    let given_back = db.return_to_pool();
    tokio::spawn(tokio::time::timeout(WELL, given_back));
}
