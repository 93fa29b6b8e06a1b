//! How fast a backlog is worked off.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use queue::Wake;

use super::enqueue::{BULK, payloads};
use super::noop::{Noop, QUEUE, Watcher, worker};
use super::progress::Progress;
use super::{Figure, Place, raw};

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(2);

/// Works off `jobs` jobs that do nothing, from the moment at which a worker may claim until all outcomes are written.
pub async fn drain(place: &Place, jobs: usize) -> anyhow::Result<Vec<Figure>> {
    let pool = &place.pool;
    let numbers: Vec<usize> = (0..jobs).collect();
    let mut db = pool.acquire().await?;
    let progress = Progress::begin("a backlog for SQL by hand", jobs);
    for bulk in numbers.chunks(BULK) {
        raw::insert(&mut db, &payloads(bulk)?).await?;
        progress.more(bulk.len());
    }
    drop(progress);
    sqlx::raw_sql("VACUUM (ANALYZE) bench_raw.job")
        .execute(&mut *db)
        .await?;
    let raw = raw::drain(pool).await?;

    place.clear().await?;
    for bulk in numbers.chunks(BULK) {
        let bulk: Vec<Noop> = bulk.iter().copied().map(Noop::new).collect();
        queue::enqueue_many(&mut db, &bulk).await?;
    }
    let progress = Progress::begin("jobs done", jobs);
    sqlx::raw_sql("VACUUM (ANALYZE) queue.job")
        .execute(&mut *db)
        .await?;
    let watcher = Watcher::default();
    let running = worker(pool, watcher.clone(), Wake::new(pool.clone())).await?;
    // Nothing is claimed before the process is known to the database.
    while running.node().is_none() {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    let began = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let runs = watcher.runs.load(Ordering::Relaxed);
        progress.at(runs);
        if runs < jobs {
            continue;
        }
        let left = "SELECT EXISTS (SELECT FROM queue.job WHERE queue = $1)";
        let left: bool = sqlx::query_scalar(left)
            .bind(QUEUE)
            .fetch_one(&mut *db)
            .await?;
        if !left {
            break;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 jobs")]
    let ours = jobs as f64 / began.elapsed().as_secs_f64();
    running.stop(Duration::from_secs(5)).await;
    Ok(vec![Figure::per_second("drain", ours, raw)])
}
