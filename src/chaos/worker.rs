//! A worker under test: a process that works as `leadmill work` does, on jobs that tell the observer what they do.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use queue::schedule::Schedule;
use queue::{Pool, Worker};

use super::jobs::{self, Ctx, Minute};
use super::journal::{Build, Journal};
use super::store;
use crate::stop::Stop;
use crate::work;

/// How many jobs of each pool run at once: enough that two workers can do what is enqueued, so that what waits does not
/// wait for room.
const AT_ONCE: usize = 32;
/// How long what runs may take to end at a deploy.
const GRACE: Duration = Duration::from_millis(300);

/// What a worker under test is told.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Its number; no other start of a worker has it.
    pub number: u32,
    /// Where the observer's journals are.
    pub journals: PathBuf,
    /// The way to the database.
    pub url: String,
    /// Its lease.
    pub lease: Duration,
    /// Which program it is.
    pub build: Build,
    /// Whether it takes poison too.
    pub poison: bool,
    /// By how many seconds its clock is wrong.
    pub wrong_by: i64,
    /// How many MiB it may take beyond what it has at the start.
    pub memory: Option<u64>,
}

/// Works until it is told to stop, or until whoever started it is gone.
pub async fn work(orders: Orders) -> anyhow::Result<()> {
    let stop = Stop::on_signals().context("listening for signals")?;
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(|| {
            // It is held open and never written to.
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(1);
        })?;
    if let Some(memory) = orders.memory {
        limit_memory(memory)?;
    }
    let pool = store::pool(&orders.url)?;
    let ctx = Ctx {
        pool: pool.clone(),
        journal: Arc::new(Journal::open(
            &orders.journals,
            orders.number,
            orders.wrong_by,
        )?),
        build: orders.build,
    };
    let mut pools = vec![of(jobs::QUEUE)];
    if orders.poison {
        pools.push(of(jobs::POISON_QUEUE));
    }
    let minute = Schedule::new("chaos_minute", |due| Minute { due }).every(1);
    let minute = minute.catch_up(queue::schedule::CatchUp::All(60));
    let running = Worker::builder(pool, jobs::registry(orders.build), ctx)
        .pools(pools)
        .schedules(vec![minute])
        .lease(orders.lease)
        .version(format!("chaos {}", orders.number))
        .start()
        .await?;
    work::until_stopped(running, stop, GRACE).await;
    Ok(())
}

fn of(queue: &str) -> Pool {
    Pool {
        name: queue.to_owned(),
        queues: vec![queue.to_owned()],
        concurrency: AT_ONCE,
    }
}

/// Lets this process have no more than `mib` beyond what it has now.
fn limit_memory(mib: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let status = std::fs::read_to_string(Path::new("/proc/self/status"))?;
    let size = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:"))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .context("reading the size of this process")?;
    let limit = Some(size * 1024 + (mib << 20));
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::As, limit).context("limiting the memory of this process")
}
