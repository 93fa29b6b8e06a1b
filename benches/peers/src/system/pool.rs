//! Connections as the product makes them; every system that takes a pool gets one like it.

use anyhow::Result;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// A pool whose connections are all open and are not tried before each use, which would cost a round trip.
pub async fn connect(url: &str, connections: u32) -> Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .test_before_acquire(false)
        .connect(url)
        .await?;
    let open = (0..connections).map(|_| pool.acquire());
    drop(futures::future::try_join_all(open).await?);
    Ok(pool)
}
