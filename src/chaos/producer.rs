//! Whoever enqueues: each asks, and is told or not told that it was done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use queue::Enqueued;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use super::jobs::{Garble, Harm, MixedNew, MixedOld, Novel, Poison, Work};
use super::journal::{Journal, Order, Seen};

/// How long an answer may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait after none came.
const PAUSE: Duration = Duration::from_millis(100);
/// How many keys there are: so few that they are in use most of the time, however fast jobs are done.
const KEYS: u64 = 2;

/// Enqueues and tells the observer.
#[derive(Debug, Clone)]
pub(super) struct Producer {
    pub(super) url: String,
    pub(super) journal: Arc<Journal>,
    pub(super) next: Arc<AtomicU64>,
}

/// What is to be enqueued.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ware {
    /// Work of so many milliseconds.
    Work(u64),
    /// Work under one of a few keys.
    Keyed,
    /// Of a kind in two versions.
    Mixed,
    /// Of a kind that only new programs know.
    Novel,
    /// Harmful.
    Poison(Harm),
    /// Not to be decoded.
    Garble,
}

/// A connection that may be gone.
type Line = Option<PgConnection>;

impl Producer {
    /// Enqueues everyday work every `pace` until `stop`.
    pub(super) async fn run(self, pace: Duration, stop: CancellationToken) -> anyhow::Result<()> {
        let mut line = None;
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            ticks.tick().await;
            let ware = match rand::random::<u8>() % 16 {
                0 | 1 => Ware::Keyed,
                2 => Ware::Mixed,
                3 => Ware::Novel,
                // As long as some attempts still run when a worker that stood still goes on.
                4 | 5 => Ware::Work(1_500 + u64::from(rand::random::<u8>()) * 8),
                _ => Ware::Work(u64::from(rand::random::<u8>()) * 2),
            };
            self.offer(&mut line, ware).await?;
        }
        Ok(())
    }

    /// Enqueues one; `false` if it is not known whether it was.
    pub(super) async fn offer(&self, line: &mut Line, ware: Ware) -> anyhow::Result<bool> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let key = matches!(ware, Ware::Keyed).then(|| format!("key {}", number % KEYS));
        let order = Order {
            version: if matches!(ware, Ware::Mixed) && number.is_multiple_of(2) {
                2
            } else {
                1
            },
            key: key.clone(),
            poison: matches!(ware, Ware::Poison(_) | Ware::Garble),
        };
        let version = order.version;
        self.journal.saw(Seen::Asked { number, order })?;
        let answer =
            tokio::time::timeout(PATIENCE, self.send(line, number, ware, version, key)).await;
        match answer {
            Ok(Ok(Enqueued::New(job))) => {
                let job = job.0;
                self.journal.saw(Seen::Accepted { number, job })?;
                Ok(true)
            }
            Ok(Ok(Enqueued::Exists(_))) => {
                self.journal.saw(Seen::Folded { number })?;
                Ok(true)
            }
            Ok(Err(_)) | Err(_) => {
                *line = None;
                tokio::time::sleep(PAUSE).await;
                Ok(false)
            }
        }
    }

    async fn send(
        &self,
        line: &mut Line,
        number: u64,
        ware: Ware,
        version: u16,
        key: Option<String>,
    ) -> anyhow::Result<Enqueued> {
        let db = match line {
            Some(db) => db,
            None => line.insert(PgConnection::connect(&self.url).await?),
        };
        let mut tx = db.begin().await?;
        let millis = match ware {
            Ware::Work(millis) => millis,
            _ => 200,
        };
        let enqueued = match ware {
            Ware::Work(_) | Ware::Keyed => {
                queue::enqueue(
                    &mut tx,
                    &Work {
                        number,
                        millis,
                        key,
                    },
                )
                .await?
            }
            Ware::Mixed if version == 2 => {
                queue::enqueue(
                    &mut tx,
                    &MixedNew {
                        number,
                        millis,
                        key,
                    },
                )
                .await?
            }
            Ware::Mixed => {
                queue::enqueue(
                    &mut tx,
                    &MixedOld {
                        number,
                        millis,
                        key,
                    },
                )
                .await?
            }
            Ware::Novel => {
                queue::enqueue(
                    &mut tx,
                    &Novel {
                        number,
                        millis,
                        key,
                    },
                )
                .await?
            }
            Ware::Poison(harm) => queue::enqueue(&mut tx, &Poison { number, harm }).await?,
            Ware::Garble => {
                let when = "soon".to_owned();
                queue::enqueue(&mut tx, &Garble { number, when }).await?
            }
        };
        tx.commit().await?;
        Ok(enqueued)
    }
}
