//! How soon an idle worker begins a job.

use std::time::{Duration, Instant};

use anyhow::Context;
use queue::Wake;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::noop::{Noop, Watcher, worker};
use super::progress::Progress;
use super::{Figure, Place, raw};

/// How long to wait between two jobs; all workers are idle by then.
const PAUSE: Duration = Duration::from_millis(20);

/// Enqueues `jobs` one after the other, each when the one before has long been done, and measures from its commit to its
/// begin: told within the process, and told by the database as another process would be.
pub async fn latency(place: &Place, jobs: usize) -> anyhow::Result<Vec<Figure>> {
    let pool = &place.pool;
    let raw = Spread::of(raw::pickups(pool, jobs, PAUSE).await?)?;
    let wake = Wake::new(pool.clone());
    let here = Spread::of(pickups(pool, jobs, wake.clone(), &wake).await?)?;
    let (theirs, other) = (Wake::new(pool.clone()), Wake::new(pool.clone()));
    let across = Spread::of(pickups(pool, jobs, theirs, &other).await?)?;
    Ok(vec![
        Figure::new("latency_p50", here.p50, raw.p50, "ms"),
        Figure::new("latency_p99", here.p99, raw.p99, "ms"),
        Figure::new("latency_across_p50", across.p50, raw.p50, "ms"),
        Figure::new("latency_across_p99", across.p99, raw.p99, "ms"),
    ])
}

async fn pickups(
    pool: &PgPool,
    jobs: usize,
    workers: Wake,
    producers: &Wake,
) -> anyhow::Result<Vec<Duration>> {
    let (began, mut begins) = mpsc::unbounded_channel();
    let watcher = Watcher {
        began: Some(began),
        ..Watcher::default()
    };
    let running = worker(pool, watcher, workers).await?;
    let mut db = pool.acquire().await?;
    // The first one finds everything cold.
    queue::enqueue(&mut db, &Noop::new(0)).await?;
    begins.recv().await.context("the worker ended")?;
    let mut pickups = Vec::with_capacity(jobs);
    let progress = Progress::begin("jobs begun", jobs);
    for number in 0..jobs {
        tokio::time::sleep(PAUSE).await;
        queue::enqueue(&mut db, &Noop::new(number)).await?;
        let committed = Instant::now();
        producers.notify();
        let began = begins.recv().await.context("the worker ended")?;
        pickups.push(began.saturating_duration_since(committed));
        progress.more(1);
    }
    running.stop(Duration::from_secs(5)).await;
    Ok(pickups)
}

/// In milliseconds.
struct Spread {
    p50: f64,
    p99: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> anyhow::Result<Self> {
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get(times.len() * percent / 100);
            time.map(|time| time.as_secs_f64() * 1000.0)
        };
        Ok(Self {
            p50: at(50).context("nothing was measured")?,
            p99: at(99).context("nothing was measured")?,
        })
    }
}
