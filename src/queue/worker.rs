//! A process that works: its pools, and all that keeps them fed, honest and told.

mod stop;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::cancel::Cancels;
use crate::desk::Desk;
use crate::exchange::{self, AT_ONCE, Exchanger, Purpose, Strange};
use crate::lease::Lease;
use crate::listen::listen;
use crate::maintenance::Maintenance;
use crate::outlook::Outlook;
use crate::patience::Broken;
use crate::rescue::Rescue;
use crate::schedule::{Schedule, ScheduleError, Ticker};
use crate::store::node::About;
use crate::supervise::{Task, supervise};
use crate::watch::Watch;
use crate::{Registry, Wake, backend, execute};

pub use stop::{Running, StopNow, StopReport};

/// For how long a process that says nothing is not yet taken for dead.
const LEASE: Duration = Duration::from_secs(30);
/// A running job hears within this time that it is to stop, and what nobody told of is found within little more than twice
/// of it.
const LOOK: Duration = Duration::from_secs(1);
/// So soon after a wake-up the queues are looked at: what was enqueued may wait for a time that is near, or a job is to stop.
/// Not at once, for then the look would be in the way of the claim.
const AFTER_A_WAKE: Duration = Duration::from_millis(100);
/// For how many days finished jobs are kept.
const KEEP_DAYS: u16 = 14;
/// One for each of what looks at the queues, takes back, fires schedules and keeps the tables in order. A process has four more
/// for its exchanges, one to listen on and one for its lease; what its jobs use is not counted.
const CONNECTIONS: u32 = 4;
/// Two for each exchange of outcomes: one that was given back is asked whether it is well while the next exchange is made.
/// Claims for what comes in between have their share of them.
const EXCHANGING: u32 = 2 * AT_ONCE;

/// Some queues and how many of their jobs may run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The queues that it serves; no other pool of the process does.
    pub queues: Vec<String>,
    /// How many jobs may run at once.
    pub concurrency: usize,
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A pool may run nothing.
    #[error("pool {0}: it has no queues, or none of its jobs may run")]
    Idle(String),
    /// Two pools serve a queue.
    #[error("queue {0}: two pools serve it")]
    Shared(String),
    /// A schedule makes no sense.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The thread for the lease could not be started.
    #[error("could not start a thread")]
    Thread(#[from] std::io::Error),
}

/// Makes workers; see [`Worker::builder`].
#[derive(Debug)]
pub struct Worker;

/// What a worker is to be.
#[derive(Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Builder<Ctx> {
    pool: PgPool,
    registry: Registry<Ctx>,
    ctx: Ctx,
    pools: Vec<Pool>,
    schedules: Vec<Schedule>,
    lease: Duration,
    look: Duration,
    keep_days: u16,
    wake: Option<Wake>,
    version: String,
}

impl Worker {
    /// A worker that runs what `registry` knows with `ctx`, on the database of `pool`: of that it takes the address, its
    /// connections are its own.
    pub fn builder<Ctx: Clone + Send + Sync + 'static>(
        pool: PgPool,
        registry: Registry<Ctx>,
        ctx: Ctx,
    ) -> Builder<Ctx> {
        Builder {
            pool,
            registry,
            ctx,
            pools: Vec::new(),
            schedules: Vec::new(),
            lease: LEASE,
            look: LOOK,
            keep_days: KEEP_DAYS,
            wake: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl<Ctx: Clone + Send + Sync + 'static> Builder<Ctx> {
    /// Serves these pools.
    pub fn pools(mut self, pools: Vec<Pool>) -> Self {
        self.pools = pools;
        self
    }

    /// Fires these schedules.
    pub fn schedules(mut self, schedules: Vec<Schedule>) -> Self {
        self.schedules = schedules;
        self
    }

    /// Is taken for dead after saying nothing for so long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Looks at its queues at least this often while jobs run, and less than half as often while none does. It claims at
    /// once and looks a moment later whenever it is told of something; looking all the same is for what it could not hear.
    pub fn look(mut self, look: Duration) -> Self {
        self.look = look;
        self
    }

    /// Keeps finished jobs for so many days.
    pub fn keep_days(mut self, days: u16) -> Self {
        self.keep_days = days;
        self
    }

    /// Is woken by this, which other parts of the process have too.
    pub fn wake(mut self, wake: Wake) -> Self {
        self.wake = Some(wake);
        self
    }

    /// The program's version, for people to see.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Starts working. A database that does not answer is waited for.
    pub async fn start(self) -> Result<Running, StartError> {
        let desk = Arc::new(desk(&self.pools)?);
        Ticker::new(self.schedules.clone())?;
        execute::describe();
        let (kinds, versions) = self.registry.understood();
        let about = About {
            host: host(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            version: self.version,
            queues: desk.queues().iter().map(ToString::to_string).collect(),
            kinds: kinds.clone(),
            schedules: self
                .schedules
                .iter()
                .map(|schedule| schedule.name().to_owned())
                .collect(),
        };
        let parts = Parts {
            desk,
            exchanging: exchanging(&self.pool),
            own: connections(&self.pool),
            broken: Arc::default(),
            wake: self.wake.unwrap_or_else(|| Wake::new(self.pool.clone())),
            lease: Lease::start(self.pool.connect_options(), about, self.lease)?,
            outlook: Arc::default(),
            strange: Arc::default(),
            cancels: Arc::default(),
            stop: CancellationToken::new(),
            now: CancellationToken::new(),
        };
        let rescue = Rescue {
            pool: parts.own.clone(),
            wake: parts.wake.clone(),
            desk: parts.desk.clone(),
            node: parts.lease.node.clone(),
            every: self.lease / 3,
            kinds,
            versions,
        };
        let maintenance = Maintenance {
            keep_days: self.keep_days,
        };
        let purposes = (0..AT_ONCE).map(|_| Purpose::All);
        let exchanges = purposes.chain([Purpose::News]);
        let exchanges = exchanges.map(|purpose| parts.exchange(purpose)).collect();
        let others = vec![
            parts.hear(),
            parts.ring(),
            parts.watch(self.look),
            supervise("rescue", move || rescue.clone().run()),
        ];
        let keepers = vec![
            parts.schedules(self.schedules),
            parts.maintenance(maintenance),
        ];
        let registry = Arc::new(self.registry);
        let pools = (0..parts.desk.pools.len())
            .map(|number| parts.pool(number, registry.clone(), self.ctx.clone()))
            .collect();
        Ok(Running {
            parts,
            exchanges,
            others,
            keepers,
            pools,
        })
    }
}

/// What the tasks of a worker share.
#[derive(Debug)]
struct Parts {
    desk: Arc<Desk>,
    /// Connections that nobody takes from the exchanges.
    exchanging: PgPool,
    own: PgPool,
    broken: Arc<Broken>,
    wake: Wake,
    lease: Lease,
    outlook: Arc<Outlook>,
    strange: Arc<Strange>,
    cancels: Arc<Cancels>,
    /// No new work.
    stop: CancellationToken,
    /// No more of the old.
    now: CancellationToken,
}

impl Parts {
    /// Writes outcomes and claims jobs.
    fn exchange(&self, purpose: Purpose) -> Task {
        let exchanger = Exchanger {
            purpose,
            desk: self.desk.clone(),
            pool: self.exchanging.clone(),
            broken: self.broken.clone(),
            node: self.lease.node.clone(),
            outlook: self.outlook.clone(),
            strange: self.strange.clone(),
        };
        supervise("exchange", move || exchanger.clone().run())
    }

    /// Hears the wake-ups of other processes.
    fn hear(&self) -> Task {
        let (pool, wake, broken) = (self.own.clone(), self.wake.clone(), self.broken.clone());
        supervise("listen", move || {
            listen(pool.clone(), wake.clone(), broken.clone())
        })
    }

    /// Passes wake-ups on, and that claims have become possible.
    fn ring(&self) -> Task {
        let (desk, outlook) = (self.desk.clone(), self.outlook.clone());
        let (wake, node) = (self.wake.clone(), self.lease.node.clone());
        supervise("ring", move || {
            let (desk, outlook) = (desk.clone(), outlook.clone());
            let (mut woken, mut node) = (wake.woken(), node.clone());
            async move {
                loop {
                    tokio::select! {
                        told = woken.changed() => if told.is_err() { return },
                        told = node.changed() => if told.is_err() { return },
                    }
                    desk.wake_all();
                    outlook.due_in(AFTER_A_WAKE);
                }
            }
        })
    }

    /// Looks at the queues.
    fn watch(&self, longest: Duration) -> Task {
        let watch = Watch {
            desk: self.desk.clone(),
            pool: self.own.clone(),
            exchanging: self.exchanging.clone(),
            broken: self.broken.clone(),
            outlook: self.outlook.clone(),
            node: self.lease.node.clone(),
            cancels: self.cancels.clone(),
            longest,
        };
        supervise("watch", move || watch.clone().run())
    }

    /// Fires what recurs.
    fn schedules(&self, schedules: Vec<Schedule>) -> Task {
        let (pool, stop) = (self.own.clone(), self.stop.clone());
        supervise("schedules", move || {
            let (pool, stop) = (pool.clone(), stop.clone());
            let ticker = Ticker::new(schedules.clone());
            async move {
                if let Ok(ticker) = ticker {
                    ticker.run(pool, stop).await;
                }
            }
        })
    }

    /// Keeps the tables in order.
    fn maintenance(&self, maintenance: Maintenance) -> Task {
        let (pool, stop) = (self.own.clone(), self.stop.clone());
        supervise("maintenance", move || {
            maintenance.clone().run(pool.clone(), stop.clone())
        })
    }

    /// Runs the jobs of one pool.
    fn pool<Ctx: Clone + Send + Sync + 'static>(
        &self,
        number: usize,
        registry: Arc<Registry<Ctx>>,
        ctx: Ctx,
    ) -> Task {
        let bench = backend::Bench {
            desk: self.desk.clone(),
            pool: number,
            registry,
            ctx,
            strange: self.strange.clone(),
            cancels: self.cancels.clone(),
        };
        let (stop, now) = (self.stop.clone(), self.now.clone());
        supervise("pool", move || {
            backend::work(bench.clone(), stop.clone(), now.clone())
        })
    }
}

fn desk(pools: &[Pool]) -> Result<Desk, StartError> {
    let mut seen = HashSet::new();
    let mut checked = Vec::new();
    for pool in pools {
        if pool.queues.is_empty() || pool.concurrency == 0 {
            return Err(StartError::Idle(pool.name.clone()));
        }
        if let Some(twice) = pool.queues.iter().find(|queue| !seen.insert(*queue)) {
            return Err(StartError::Shared(twice.clone()));
        }
        let queues = pool.queues.iter().map(|queue| Arc::from(&**queue));
        checked.push((pool.name.clone(), queues.collect(), pool.concurrency));
    }
    Ok(Desk::new(checked))
}

/// Connections for what looks at the queue, so that jobs that hold many cannot keep it from doing so.
fn connections(pool: &PgPool) -> PgPool {
    own(CONNECTIONS)
        .after_connect(|db, _| Box::pin(set_up(db)))
        .connect_lazy_with(pool.connect_options().as_ref().clone())
}

/// Connections for the exchanges, all open from the start. They wait for no lock for more than a second: what is written with
/// it waits too.
fn exchanging(pool: &PgPool) -> PgPool {
    own(EXCHANGING)
        .min_connections(EXCHANGING)
        .after_connect(|db, _| {
            Box::pin(async move {
                set_up(db).await?;
                sqlx::raw_sql("SET lock_timeout = '1s'")
                    .execute(&mut *db)
                    .await?;
                if let Err(error) = exchange::prepare(db).await {
                    debug!("Exchanges are planned when they are made: {error}");
                }
                Ok(())
            })
        })
        .connect_lazy_with(pool.connect_options().as_ref().clone())
}

/// Up to `most` connections for the queue alone.
fn own(most: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
}

/// Each reads along indexes only: a plan made while a table was small must not outlive that.
async fn set_up(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off;
        SET plan_cache_mode = force_generic_plan;
        SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'",
    )
    .execute(db)
    .await?;
    Ok(())
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}
