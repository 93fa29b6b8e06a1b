//! Say that this process lives, from a thread of its own: no job can keep it from being said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::store::node::{self, About};

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// The lease of this process, renewed until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The node that this process is, while its lease is thought to hold.
    pub(crate) node: watch::Receiver<Option<i64>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    /// Registers a node and renews its lease three times in `lease`.
    pub(crate) fn start(
        options: Arc<PgConnectOptions>,
        about: About,
        lease: Duration,
    ) -> std::io::Result<Self> {
        let (tell, node) = watch::channel(None);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || {
                let keeper = Keeper {
                    options,
                    about,
                    lease,
                    tell,
                };
                let keep = || runtime.block_on(keeper.run(&stopped));
                while catch_unwind(AssertUnwindSafe(keep)).is_err() {
                    error!("What keeps the lease of this process panicked and is started again");
                    std::thread::sleep(PAUSE);
                }
            })?;
        Ok(Self {
            node,
            stop,
            thread: Some(thread),
        })
    }

    /// Ends the lease, as far as the database can be told.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; a panic in it has been told by then.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Keeper {
    options: Arc<PgConnectOptions>,
    about: About,
    lease: Duration,
    tell: watch::Sender<Option<i64>>,
}

impl Keeper {
    async fn run(&self, stop: &CancellationToken) {
        let mut db = None;
        while !stop.is_cancelled() {
            let beat = tokio::time::timeout(self.lease / 3, self.beat(&mut db));
            let beat = tokio::select! {
                beat = beat => beat,
                () = stop.cancelled() => {
                    // It was left in the middle of a question.
                    db = None;
                    break;
                }
            };
            let wait = match beat {
                Ok(Ok(())) => self.lease / 3,
                Ok(Err(error)) => {
                    warn!("Cannot renew the lease of this process for now: {error}");
                    db = None;
                    PAUSE
                }
                Err(_) => {
                    warn!("Cannot renew the lease of this process for now: no answer");
                    db = None;
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait.min(self.lease / 3)) => {}
            }
        }
        let resign = tokio::time::timeout(Duration::from_secs(2), self.resign(&mut db));
        if !matches!(resign.await, Ok(Ok(()))) {
            warn!("The lease of this process could not be ended and runs out by itself");
        }
    }

    async fn beat(&self, db: &mut Option<PgConnection>) -> sqlx::Result<()> {
        let db = match db {
            Some(db) => db,
            None => db.insert(self.options.connect().await?),
        };
        let node = *self.tell.borrow();
        if let Some(node) = node {
            if node::renew(db, node, self.lease).await? {
                return Ok(());
            }
            warn!("The lease of this process ran out; jobs that it runs may run elsewhere too");
            self.tell.send_replace(None);
        }
        let node = node::register(db, &self.about, self.lease).await?;
        info!(node, "This process works as node {node}");
        self.tell.send_replace(Some(node));
        Ok(())
    }

    async fn resign(&self, db: &mut Option<PgConnection>) -> sqlx::Result<()> {
        let node = *self.tell.borrow();
        let Some(node) = node else {
            return Ok(());
        };
        let mut db = match db.take() {
            Some(db) => db,
            None => self.options.connect().await?,
        };
        node::resign(&mut db, node).await?;
        db.close().await
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The first beat takes up to a third of the lease, which is a day.
    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_database_that_does_not_answer() {
        // It takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let options = PgConnectOptions::new_without_pgpass();
        let options = options.host("127.0.0.1").port(port);
        let about = About {
            host: "here".into(),
            pid: 1,
            version: "1".into(),
            queues: Vec::new(),
            kinds: Vec::new(),
            schedules: Vec::new(),
        };
        let day = Duration::from_secs(24 * 3600);
        let lease = Lease::start(Arc::new(options), about, day).unwrap();
        let accepted = tokio::task::spawn_blocking(move || silent.accept());
        let (_line, _) = accepted.await.unwrap().unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), lease.end());
        assert!(ended.await.is_ok());
    }
}
