//! The limit: hand-written statements on bare tables, those of the product's own bench, with no queue around them.

use std::ops::Range;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use tokio::sync::{Semaphore, watch};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement};
use tokio_util::sync::CancellationToken;

use super::{Kept, Producer, RAW, System, count};
use crate::payload::Payload;
use crate::seen::Seen;
use crate::worker::Signals;

const PREPARE: &str = include_str!("../../../../src/bench/raw/prepare.sql");
const INSERT: &str = include_str!("../../../../src/bench/raw/insert.sql");
const CLAIM: &str = include_str!("../../../../src/bench/raw/claim.sql");
const COMPLETE: &str = include_str!("../../../../src/bench/raw/complete.sql");
const ONE: &str = "INSERT INTO bench_raw.job (queue, kind, payload) VALUES ('bench', 'bench_noop', $1::text::jsonb)";
const CHANNEL: &str = "bench_raw";
const TELL: &str = "SELECT pg_notify('bench_raw', '')";

/// Jobs of one exchange.
const BATCH: i64 = 500;
/// Exchanges at once.
const AT_ONCE: usize = 2;
/// How often it is looked for jobs that nobody told of.
const POLL: Duration = Duration::from_secs(1);
/// Between two notifications.
const APART: Duration = Duration::from_millis(10);

/// The limit.
pub struct Raw;

#[async_trait]
impl System for Raw {
    fn name(&self) -> &'static str {
        RAW
    }

    fn options(&self) -> &'static str {
        "one row an INSERT, bulks by UNNEST, completion into history and claim of 500 pipelined in one transaction on 2 connections"
    }

    async fn migrate(&self, url: &str) -> Result<()> {
        connect(url, None).await?.batch_execute(PREPARE).await?;
        Ok(())
    }

    async fn producer(&self, url: &str, connections: u32) -> Result<Box<dyn Producer>> {
        let inserters = (0..connections).map(|_| Inserter::new(url));
        let (bell, rung) = watch::channel(());
        tokio::spawn(tell(connect(url, None).await?, rung));
        Ok(Box::new(Enqueuer {
            idle: Mutex::new(try_join_all(inserters).await?),
            free: Semaphore::new(connections as usize),
            looker: connect(url, None).await?,
            bell,
        }))
    }

    async fn work(&self, url: &str, seen: Seen, mut signals: Signals) -> Result<()> {
        let (told, woken) = watch::channel(());
        let listener = connect(url, Some(told)).await?;
        listener.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        let stop = CancellationToken::new();
        let clients = try_join_all((0..AT_ONCE).map(|_| connect(url, None))).await?;
        signals.go().await?;
        let exchanges = clients.into_iter().map(|client| {
            tokio::spawn(exchange(client, seen.clone(), woken.clone(), stop.clone()))
        });
        let exchanges: Vec<_> = exchanges.collect();
        signals.stop().await;
        stop.cancel();
        for exchange in exchanges {
            exchange.await??;
        }
        Ok(())
    }

    fn kept(&self) -> Kept {
        Kept::Copied(
            "INSERT INTO bench_raw.history
            SELECT history.* FROM bench_raw.history, generate_series(1, $1)",
        )
    }
}

/// Completes what was claimed before and claims, over and over, each in one round trip.
async fn exchange(
    client: Client,
    seen: Seen,
    mut woken: watch::Receiver<()>,
    stop: CancellationToken,
) -> Result<()> {
    let (complete, claim) = (
        client.prepare(COMPLETE).await?,
        client.prepare(CLAIM).await?,
    );
    let mut held: Vec<i64> = Vec::new();
    loop {
        // After this nothing is claimed, and what is held is written down.
        let most = if stop.is_cancelled() { 0 } else { BATCH };
        woken.borrow_and_update();
        let claimed = if held.is_empty() {
            client.query(&claim, &[&most]).await?
        } else {
            let (_, _, claimed, ()) = tokio::try_join!(
                async { Ok(client.batch_execute("BEGIN").await?) },
                async { Ok(client.execute(&complete, &[&held]).await?) },
                async { Ok(client.query(&claim, &[&most]).await?) },
                async { anyhow::Ok(client.batch_execute("COMMIT").await?) },
            )?;
            claimed
        };
        held.clear();
        for row in claimed {
            let payload: Payload = serde_json::from_str(row.get(2))?;
            seen.job(payload.number);
            held.push(row.get(0));
        }
        if !held.is_empty() {
            continue;
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            changed = woken.changed() => changed.context("the listener ended")?,
            () = tokio::time::sleep(POLL) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// A connection; what is notified on it is passed to `told`.
async fn connect(url: &str, told: Option<watch::Sender<()>>) -> Result<Client> {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        let messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        let mut messages = pin!(messages);
        while let Some(message) = messages.next().await {
            match (message, &told) {
                (Ok(AsyncMessage::Notification(_)), Some(told)) => drop(told.send(())),
                (Ok(_), _) => {}
                (Err(error), _) => {
                    eprintln!("raw SQL: a connection ended: {error}");
                    return;
                }
            }
        }
    });
    Ok(client)
}

/// A connection with its statements.
struct Inserter {
    client: Client,
    one: Statement,
    many: Statement,
}

impl Inserter {
    async fn new(url: &str) -> Result<Self> {
        let client = connect(url, None).await?;
        Ok(Self {
            one: client.prepare(ONE).await?,
            many: client.prepare(INSERT).await?,
            client,
        })
    }
}

/// Tells workers after the commits it is told of, apart from them.
async fn tell(client: Client, mut rung: watch::Receiver<()>) -> Result<()> {
    let tell = client.prepare(TELL).await?;
    while rung.changed().await.is_ok() {
        client.execute(&tell, &[]).await?;
        tokio::time::sleep(APART).await;
    }
    Ok(())
}

struct Enqueuer {
    idle: Mutex<Vec<Inserter>>,
    free: Semaphore,
    looker: Client,
    bell: watch::Sender<()>,
}

impl Enqueuer {
    async fn insert(
        &self,
        statement: fn(&Inserter) -> &Statement,
        payload: &(dyn ToSql + Sync),
    ) -> Result<()> {
        let _free = self.free.acquire().await?;
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let inserter = idle().pop().context("a permit is a connection")?;
        let done = inserter
            .client
            .execute(statement(&inserter), &[payload])
            .await;
        idle().push(inserter);
        done?;
        self.bell.send_replace(());
        Ok(())
    }

    async fn ask(&self, statement: &str) -> Result<u64> {
        count(self.looker.query_one(statement, &[]).await?.try_get(0)?)
    }
}

#[async_trait]
impl Producer for Enqueuer {
    async fn one(&self, number: u64) -> Result<()> {
        let payload = serde_json::to_string(&Payload::new(number))?;
        self.insert(|inserter| &inserter.one, &payload).await
    }

    async fn many(&self, numbers: Range<u64>) -> Result<()> {
        let payloads = numbers
            .map(|number| serde_json::to_string(&Payload::new(number)))
            .collect::<serde_json::Result<Vec<String>>>()?;
        self.insert(|inserter| &inserter.many, &payloads).await
    }

    async fn unfinished(&self) -> Result<u64> {
        self.ask("SELECT count(*) FROM bench_raw.job").await
    }

    async fn finished(&self) -> Result<Option<u64>> {
        self.ask("SELECT count(*) FROM bench_raw.history")
            .await
            .map(Some)
    }

    async fn is_drained(&self) -> Result<bool> {
        let drained = "SELECT NOT EXISTS (SELECT FROM bench_raw.job)";
        Ok(self.looker.query_one(drained, &[]).await?.try_get(0)?)
    }
}
