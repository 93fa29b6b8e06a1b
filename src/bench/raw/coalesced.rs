//! The limit of single enqueues that share commits: callers, a channel, and one statement for whoever waits.

use std::sync::Arc;

use anyhow::Context;
use futures::future::try_join_all;
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::insert;

/// Statements at once.
const AT_ONCE: usize = 2;
/// Most rows of one.
const MOST: usize = 500;

type Waiting = (String, oneshot::Sender<()>);

/// Has each of these shares inserted one by one, by callers that wait for the commit.
pub(in crate::bench) async fn single(
    pool: &PgPool,
    shares: Vec<Vec<String>>,
) -> anyhow::Result<()> {
    let (hand, waiting) = mpsc::channel::<Waiting>(MOST * AT_ONCE);
    let waiting = Arc::new(Mutex::new(waiting));
    let writers = (0..AT_ONCE).map(|_| tokio::spawn(write(pool.clone(), waiting.clone())));
    let writers: Vec<_> = writers.collect();
    let callers = shares.into_iter().map(|share| {
        let hand = hand.clone();
        tokio::spawn(async move {
            for payload in share {
                let (answer, answered) = oneshot::channel();
                hand.send((payload, answer)).await?;
                answered.await.context("not inserted")?;
            }
            anyhow::Ok(())
        })
    });
    let callers: Vec<_> = callers.collect();
    drop(hand);
    for ended in try_join_all(callers).await? {
        ended?;
    }
    for ended in try_join_all(writers).await? {
        ended?;
    }
    Ok(())
}

async fn write(pool: PgPool, waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>) -> anyhow::Result<()> {
    let mut db = pool.acquire().await?;
    loop {
        let mut taken = Vec::new();
        waiting.lock().await.recv_many(&mut taken, MOST).await;
        if taken.is_empty() {
            return Ok(());
        }
        let (payloads, answers): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
        insert(&mut db, &payloads).await?;
        for answer in answers {
            // The caller waits for it.
            let _ = answer.send(());
        }
    }
}
