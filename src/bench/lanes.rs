//! What limits of lanes cost, and what one lane's flood does to the others.

use std::time::{Duration, Instant};

use anyhow::Context;
use queue::Wake;
use queue::admin::{Limits, Scope, change_rule};
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::drain::work_off;
use super::enqueue::BULK;
use super::latency::Spread;
use super::noop::{Noop, QUEUE, Watcher, lane_id, worker};
use super::progress::Progress;
use super::{Figure, Place};

/// Lanes of the backlog.
const LANES: usize = 1000;
/// How long the quiet lanes wait between two jobs.
const PAUSE: Duration = Duration::from_millis(10);
/// The lane that has nine jobs of ten.
const FLOOD: usize = LANES;

/// Works off `jobs` jobs of a thousand lanes, each of which may run two at a time, beside the same without the limit.
///
/// Then enqueues one job of ten of as many in quiet lanes while those of one flooded lane wait, lanes taking turns, and
/// measures until they begin, beside the same without the flood.
pub async fn lanes(place: &Place, jobs: usize) -> anyhow::Result<Vec<Figure>> {
    let free = backlog_of_lanes(place, jobs).await?;
    rule(&place.pool, |limits| limits.lane_running = Some(2)).await?;
    let limited = backlog_of_lanes(place, jobs).await;
    rule(&place.pool, |limits| *limits = Limits::default()).await?;

    let quiet = (jobs / 10).min(1000);
    rule(&place.pool, |limits| limits.turns = true).await?;
    let alone = pickups(place, 0, quiet).await;
    let beside_flood = pickups(place, jobs - jobs / 10, quiet).await;
    rule(&place.pool, |limits| *limits = Limits::default()).await?;
    Ok(vec![
        Figure::per_second("lanes", limited?, free),
        Figure::new("skew_p95", beside_flood?.p95, alone?.p95, "ms"),
    ])
}

async fn rule(pool: &PgPool, change: impl FnOnce(&mut Limits) + Send) -> anyhow::Result<()> {
    let mut db = pool.acquire().await?;
    change_rule(&mut db, Scope::Queue, QUEUE, change).await?;
    Ok(())
}

/// Jobs a second.
async fn backlog_of_lanes(place: &Place, jobs: usize) -> anyhow::Result<f64> {
    place.clear().await?;
    fill(
        &place.pool,
        (0..jobs).map(|number| (number, number % LANES)),
    )
    .await?;
    work_off(&place.pool, jobs).await
}

async fn fill(
    pool: &PgPool,
    jobs: impl ExactSizeIterator<Item = (usize, usize)>,
) -> anyhow::Result<()> {
    let mut db = pool.acquire().await?;
    let jobs: Vec<Noop> = jobs
        .map(|(number, lane)| Noop::in_lane(number, lane))
        .collect();
    for bulk in jobs.chunks(BULK) {
        queue::enqueue_many(&mut db, bulk).await?;
    }
    Ok(())
}

/// From the commit of each of `quiet` jobs to its begin, with `flood` jobs of one other lane in the way.
async fn pickups(place: &Place, flood: usize, quiet: usize) -> anyhow::Result<Spread> {
    place.clear().await?;
    let pool = &place.pool;
    fill(pool, (0..flood).map(|number| (number, FLOOD))).await?;
    sqlx::raw_sql("VACUUM (ANALYZE) queue.job")
        .execute(pool)
        .await?;
    let (began, mut begins) = mpsc::unbounded_channel();
    let watcher = Watcher {
        // What the flood runs takes as long as work does, so that it outlives the measurement.
        takes: Duration::from_millis(2),
        began: Some(began),
        untold: Some(lane_id(FLOOD)),
        ..Watcher::default()
    };
    let wake = Wake::new(pool.clone());
    let running = worker(pool, watcher, wake.clone()).await?;
    let mut db = pool.acquire().await?;
    let mut times = Vec::with_capacity(quiet);
    let progress = Progress::begin("jobs of quiet lanes begun", quiet);
    for number in 0..quiet {
        tokio::time::sleep(PAUSE).await;
        queue::enqueue(&mut db, &Noop::in_lane(number, number % 100)).await?;
        let committed = Instant::now();
        wake.notify();
        let began = begins.recv().await.context("the worker ended")?;
        times.push(began.saturating_duration_since(committed));
        progress.more(1);
    }
    running.stop(Duration::from_secs(5)).await;
    Spread::of(times)
}
