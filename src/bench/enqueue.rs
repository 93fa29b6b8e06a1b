//! How fast jobs are enqueued.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use queue::{Producer, Wake};
use sqlx::Connection;

use super::noop::Noop;
use super::progress::Progress;
use super::{Figure, Place, raw};

/// Jobs of one bulk.
pub(super) const BULK: usize = 1000;
/// Producers that enqueue one job a transaction.
const PRODUCERS: usize = 8;
/// Producers that share commits.
const COALESCED: [(&str, usize); 2] = [("enqueue_coalesced_8", 8), ("enqueue_coalesced_64", 64)];
/// So many producers get half of the jobs to enqueue.
const FAST: usize = 32;

/// Enqueues `jobs` in bulks of a thousand, and fewer one by one: in transactions of eight producers, and with shared
/// commits.
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

    let singles = &numbers[..jobs / 10];
    let mut figures = vec![
        Figure::per_second("enqueue_bulk", our_bulk, raw_bulk),
        own_transactions(place, singles).await?,
    ];
    for (bench, producers) in COALESCED {
        figures.push(coalesced(place, &numbers, bench, producers).await?);
    }
    Ok(figures)
}

/// Each job in a transaction of its producer.
async fn own_transactions(place: &Place, numbers: &[usize]) -> anyhow::Result<Figure> {
    let pool = &place.pool;
    let shares = shares(numbers, PRODUCERS);
    let raw = rate(
        numbers.len(),
        all(shares.iter().map(async |share| {
            let mut db = pool.acquire().await?;
            for number in *share {
                raw::insert(&mut db, &payloads(&[*number])?).await?;
            }
            Ok(())
        })),
    )
    .await?;
    let progress = Progress::begin("jobs enqueued one by one", numbers.len());
    let ours = rate(
        numbers.len(),
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
    Ok(Figure::per_second("enqueue_single", ours, raw))
}

/// Each job by itself through [`Producer`], by so many producers that wait for its commit.
async fn coalesced(
    place: &Place,
    numbers: &[usize],
    bench: &'static str,
    producers: usize,
) -> anyhow::Result<Figure> {
    // Few producers are slow: each has fewer jobs to enqueue.
    let numbers = &numbers[..numbers.len() * producers / (producers + FAST)];
    let shares = shares(numbers, producers);
    let by_hand = shares.iter().map(|share| payloads(share));
    let by_hand = by_hand.collect::<Result<Vec<_>, _>>()?;
    let raw = rate(numbers.len(), raw::coalesced::single(&place.pool, by_hand)).await?;

    let progress = Arc::new(Progress::begin("jobs enqueued together", numbers.len()));
    let producer = Producer::new(place.pool.clone(), Wake::new(place.pool.clone()));
    let callers = shares.into_iter().map(|share| {
        let (producer, progress, share) = (producer.clone(), progress.clone(), share.to_vec());
        async move {
            let caller = tokio::spawn(async move {
                for number in share {
                    producer.enqueue(&Noop::new(number)).await?;
                    progress.more(1);
                }
                anyhow::Ok(())
            });
            caller.await?
        }
    });
    let ours = rate(numbers.len(), all(callers)).await?;
    producer.close().await;
    Ok(Figure::per_second(bench, ours, raw))
}

/// The same numbers for so many producers.
fn shares(numbers: &[usize], producers: usize) -> Vec<&[usize]> {
    numbers
        .chunks(numbers.len().div_ceil(producers).max(1))
        .collect()
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
