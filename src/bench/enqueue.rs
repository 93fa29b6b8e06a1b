//! How fast jobs are enqueued.

use std::future::Future;
use std::time::Instant;

use futures::future::try_join_all;
use sqlx::Connection;

use super::noop::Noop;
use super::progress::Progress;
use super::{Figure, Place, raw};

/// Jobs of one bulk.
pub(super) const BULK: usize = 1000;
/// Producers that enqueue one job a transaction.
const PRODUCERS: usize = 8;

/// Enqueues `jobs` in bulks of a thousand, and a tenth of that one by one from eight producers.
pub async fn enqueue(place: &Place, jobs: usize) -> anyhow::Result<Vec<Figure>> {
    let numbers: Vec<usize> = (0..jobs).collect();
    let pool = &place.pool;
    let raw_bulk = rate(jobs, async {
        let mut db = pool.acquire().await?;
        for bulk in numbers.chunks(BULK) {
            let payloads = payloads(bulk)?;
            let mut tx = db.begin().await?;
            raw::insert(&mut tx, &payloads).await?;
            tx.commit().await?;
        }
        Ok(())
    })
    .await?;
    let progress = Progress::begin("jobs enqueued in bulk", jobs);
    let our_bulk = rate(jobs, async {
        let mut db = pool.acquire().await?;
        for bulk in numbers.chunks(BULK) {
            let bulk: Vec<Noop> = bulk.iter().copied().map(Noop::new).collect();
            let mut tx = db.begin().await?;
            queue::enqueue_many(&mut tx, &bulk).await?;
            tx.commit().await?;
            progress.more(bulk.len());
        }
        Ok(())
    })
    .await?;

    drop(progress);

    let singles = jobs / 10;
    let shares: Vec<&[usize]> = numbers[..singles]
        .chunks(singles.div_ceil(PRODUCERS).max(1))
        .collect();
    let raw_single = rate(
        singles,
        all(shares.iter().map(async |share| {
            let mut db = pool.acquire().await?;
            for number in *share {
                raw::insert(&mut db, &payloads(&[*number])?).await?;
            }
            Ok(())
        })),
    )
    .await?;
    let progress = Progress::begin("jobs enqueued one by one", singles);
    let our_single = rate(
        singles,
        all(shares.iter().map(async |share| {
            let mut db = pool.acquire().await?;
            for number in *share {
                queue::enqueue(&mut db, &Noop::new(*number)).await?;
                progress.more(1);
            }
            Ok(())
        })),
    )
    .await?;
    Ok(vec![
        Figure::per_second("enqueue_bulk", our_bulk, raw_bulk),
        Figure::per_second("enqueue_single", our_single, raw_single),
    ])
}

/// The payloads of jobs of these numbers, as the queue writes them.
pub(super) fn payloads(numbers: &[usize]) -> serde_json::Result<Vec<String>> {
    let payload = |number: &usize| serde_json::to_string(&Noop::new(*number));
    numbers.iter().map(payload).collect()
}

async fn all(
    producers: impl Iterator<Item = impl Future<Output = anyhow::Result<()>>>,
) -> anyhow::Result<()> {
    try_join_all(producers).await.map(drop)
}

async fn rate(jobs: usize, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<f64> {
    let began = Instant::now();
    work.await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 jobs")]
    let jobs = jobs as f64;
    Ok(jobs / began.elapsed().as_secs_f64())
}
