//! Wait for the database, and not for ever: a connection that went half-open says nothing, and nobody tells.

use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

/// How long a connection that is given back may take to say that it is well.
const WELL: Duration = Duration::from_secs(5);

/// Asks on a connection of `pool`; after `limit` the answer is given up, and the connection with it.
pub(crate) async fn ask<T>(
    pool: &PgPool,
    limit: Duration,
    question: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> sqlx::Result<T> {
    on(pool, async |db| within(limit, question(db)).await).await
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
        let silence = format!("no answer for {} s", limit.as_secs());
        let silence = io::Error::new(io::ErrorKind::TimedOut, silence);
        Err(sqlx::Error::Io(silence).into())
    })
}

/// Gives a connection back. The pool asks it whether it is well and would wait for ever, with one connection fewer.
fn give_back(mut db: PoolConnection<Postgres>) {
    let given_back = db.return_to_pool();
    tokio::spawn(tokio::time::timeout(WELL, given_back));
}
