//! The limit: the same work by hand-written statements on bare tables, with no job run in between.

pub(super) mod coalesced;

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::try_join_all;
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgConnection, PgPool};

const PREPARE: &str = include_str!("raw/prepare.sql");
const INSERT: &str = include_str!("raw/insert.sql");
const CLAIM: &str = include_str!("raw/claim.sql");
const COMPLETE: &str = include_str!("raw/complete.sql");
const CHANNEL: &str = "leadmill_bench_raw";

/// Most jobs per claim.
const BATCH: i64 = 500;
/// Most claims at once.
const AT_ONCE: usize = 2;

/// Makes the bare tables.
pub(super) async fn prepare(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::raw_sql(PREPARE).execute(pool).await?;
    Ok(())
}

/// Removes them.
pub(super) async fn remove(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::raw_sql("DROP SCHEMA IF EXISTS bench_raw CASCADE")
        .execute(pool)
        .await?;
    Ok(())
}

/// Inserts these payloads in one statement.
pub(super) async fn insert(db: &mut PgConnection, payloads: &[String]) -> sqlx::Result<()> {
    sqlx::query(INSERT).bind(payloads).execute(db).await?;
    Ok(())
}

/// Completes and claims in one transaction, on two connections, until nothing is left; how many a second.
pub(super) async fn drain(pool: &PgPool) -> anyhow::Result<f64> {
    let began = Instant::now();
    let drained = try_join_all((0..AT_ONCE).map(|_| drain_alone(pool))).await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 jobs")]
    let jobs = drained.iter().sum::<usize>() as f64;
    Ok(jobs / began.elapsed().as_secs_f64())
}

async fn drain_alone(pool: &PgPool) -> sqlx::Result<usize> {
    let mut db = pool.acquire().await?;
    let mut done = 0;
    let mut held: Vec<i64> = Vec::new();
    loop {
        let mut tx = db.begin().await?;
        if !held.is_empty() {
            sqlx::query(COMPLETE).bind(&held).execute(&mut *tx).await?;
            done += held.len();
        }
        let claimed: Vec<(i64, String, String)> = sqlx::query_as(CLAIM)
            .bind(BATCH)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        if claimed.is_empty() {
            return Ok(done);
        }
        held = claimed.into_iter().map(|(id, ..)| id).collect();
    }
}

/// How long it takes from a commit until another connection that was notified has claimed the job.
pub(super) async fn pickups(
    pool: &PgPool,
    count: usize,
    pause: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    let mut claimer = pool.acquire().await?;
    let mut producer = pool.acquire().await?;
    let payload = ["{}".to_owned()];
    let mut pickups = Vec::with_capacity(count);
    for _ in 0..count {
        tokio::time::sleep(pause).await;
        insert(&mut producer, &payload).await?;
        let committed = Instant::now();
        let told = async {
            sqlx::query("SELECT pg_notify($1, '')")
                .bind(CHANNEL)
                .execute(&mut *producer)
                .await
        };
        let heard = async {
            listener.recv().await?;
            let claim = sqlx::query_as(CLAIM).bind(BATCH);
            let claimed: Vec<(i64, String, String)> = claim.fetch_all(&mut *claimer).await?;
            sqlx::Result::Ok((claimed, committed.elapsed()))
        };
        let (_, (claimed, took)) = tokio::try_join!(told, heard)?;
        let (id, ..) = claimed.first().context("the job should have been there")?;
        sqlx::query(COMPLETE)
            .bind([*id])
            .execute(&mut *claimer)
            .await?;
        pickups.push(took);
    }
    Ok(pickups)
}
