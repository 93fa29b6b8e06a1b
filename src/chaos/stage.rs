//! Where the chaos happens: a primary, perhaps a standby, our way to them, and the observer's folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use postgres::{Cluster, Options, Profile};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::checker::{Evidence, Verdict, judge};
use super::fleet::Shipyard;
use super::journal::{self, Journal};
use super::producer::Producer;
use super::proxy::Proxy;
use super::{clock, probe, store};
use crate::database;

/// The database of the chaos.
const DATABASE: &str = "chaos";
/// How many producers there are.
const PRODUCERS: u32 = 3;
/// How often it is looked whether everything is done.
const LOOK: Duration = Duration::from_millis(100);

/// Everything but the workers.
#[derive(Debug)]
pub(super) struct Stage {
    /// The observer's folder.
    pub(super) dir: PathBuf,
    pub(super) journal: Arc<Journal>,
    pub(super) proxy: Proxy,
    pub(super) primary: Cluster,
    pub(super) standby: Option<Cluster>,
    pub(super) yard: Shipyard,
    pub(super) producer: Producer,
    lease: Duration,
    _probe: probe::Probe,
}

/// Producers at work.
#[derive(Debug)]
pub(super) struct Producing {
    stop: CancellationToken,
    tasks: Vec<AbortOnDropHandle<anyhow::Result<()>>>,
}

impl Stage {
    /// A stage with an empty database on a cluster of its own, in `place` or in a folder for temporary files.
    pub(super) async fn set(lease: Duration, place: Option<&Path>) -> anyhow::Result<Self> {
        static STAGES: AtomicU32 = AtomicU32::new(0);
        let stage = STAGES.fetch_add(1, Ordering::Relaxed);
        let name = format!("leadmill-chaos-{}-{stage}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir)?;
        let options = match place {
            Some(place) => Options {
                settings: settings(&[("max_wal_size", "48MB"), ("min_wal_size", "32MB")]),
                ..Options::new(place.join("pg"), Profile::Durable)
            },
            None => options(),
        };
        let primary = Cluster::start(options).await?;
        primary.server().create_database(DATABASE).await?;
        let pool = PgPoolOptions::new().connect_lazy(&primary.url(DATABASE))?;
        database::migrate(&pool).await?;
        queue::maintenance::Maintenance { keep_days: 14 }
            .once(&pool)
            .await?;
        store::prepare(&mut *pool.acquire().await?).await?;
        pool.close().await;

        let proxy = Proxy::to(primary.socket()).await?;
        let journal = Arc::new(Journal::open(&dir, 0, 0)?);
        let url = proxy.url(DATABASE);
        let yard = Shipyard {
            dir: dir.clone(),
            url: url.clone(),
            lease,
            journal: journal.clone(),
            next: Arc::new(AtomicU32::new(1)),
            clockwork: clock::library(),
        };
        let producer = Producer {
            url,
            journal: journal.clone(),
            next: Arc::new(AtomicU64::new(1)),
        };
        Ok(Self {
            _probe: probe::Probe::start(journal.clone(), lease / 3),
            dir,
            journal,
            proxy,
            primary,
            standby: None,
            yard,
            producer,
            lease,
        })
    }

    /// Lets a standby follow, for which every commit waits.
    pub(super) async fn add_standby(&mut self) -> anyhow::Result<()> {
        let standby = self.primary.standby(options()).await;
        self.standby = Some(standby.context("making a standby")?);
        self.primary.require_standby().await?;
        Ok(())
    }

    /// A session of the database's owner, past the proxy.
    pub(super) async fn superuser(&self) -> anyhow::Result<PgConnection> {
        let url = self.primary.superuser_url(DATABASE)?;
        Ok(PgConnection::connect(&url).await?)
    }

    /// Begins to enqueue everyday work, one every `pace`.
    pub(super) fn produce(&self, pace: Duration) -> Producing {
        let stop = CancellationToken::new();
        let one = || {
            let producer = self.producer.clone();
            AbortOnDropHandle::new(tokio::spawn(producer.run(pace * PRODUCERS, stop.clone())))
        };
        let tasks = (0..PRODUCERS).map(|_| one()).collect();
        Producing { stop, tasks }
    }

    /// Waits until no job is left, at most for `patience`; says how long it took.
    pub(super) async fn settle(&self, patience: Duration) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut db = self.superuser().await?;
        while store::count_left(&mut db).await? > 0 && began.elapsed() < patience {
            tokio::time::sleep(LOOK).await;
        }
        db.close().await?;
        Ok(began.elapsed())
    }

    /// Waits until the schedule of every minute fires, at most for `patience`; says whether it did.
    pub(super) async fn has_ticked(&self, patience: Duration) -> anyhow::Result<bool> {
        let began = Instant::now();
        let mut db = self.superuser().await?;
        let before = store::count_ticks(&mut db).await?;
        let mut has_ticked = false;
        while !has_ticked && began.elapsed() < patience {
            tokio::time::sleep(LOOK).await;
            has_ticked = store::count_ticks(&mut db).await? > before;
        }
        db.close().await?;
        Ok(has_ticked)
    }

    /// Judges everything that has happened here.
    pub(super) async fn judge(&self) -> anyhow::Result<Verdict> {
        let mut db = self.superuser().await?;
        let evidence = Evidence {
            lease: self.lease,
            lines: journal::read(&self.dir)?,
            finished: store::finished(&mut db).await?,
            left: store::left(&mut db).await?,
            effects: store::effects(&mut db).await?.into_iter().collect(),
        };
        let by_wrong_clocks = store::count_by_wrong_clocks(&mut db).await?;
        let uneven = store::uneven_ticks(&mut db).await?;
        let mut verdict = judge(&evidence);
        verdict.counts.by_wrong_clocks = usize::try_from(by_wrong_clocks)?;
        let uneven = uneven.into_iter();
        verdict
            .other
            .extend(uneven.map(|tick| format!("the schedule of every minute: {tick}")));
        db.close().await?;
        Ok(verdict)
    }

    /// Takes it down; the observer's folder stays where there is something to look at.
    pub(super) async fn strike(self, keep: bool) -> anyhow::Result<()> {
        self.primary.stop().await?;
        if let Some(standby) = self.standby {
            standby.stop().await?;
        }
        if keep {
            eprintln!("the observer's journals are in {}", self.dir.display());
        } else {
            std::fs::remove_dir_all(&self.dir)?;
        }
        Ok(())
    }
}

impl Producing {
    /// Ends when each has had its last answer.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// A cluster that keeps what it commits, here and on its standby if it has one.
fn options() -> Options {
    Options {
        settings: settings(&[("wal_keep_size", "512MB")]),
        ..Options::temporary(&std::env::temp_dir(), Profile::Durable)
    }
}

fn settings(own: &[(&str, &str)]) -> Vec<(String, String)> {
    let common = [
        ("synchronous_commit", "remote_apply"),
        ("hot_standby", "on"),
    ];
    let all = common.iter().chain(own);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
