//! Where benchmarks run: a durable cluster of their own, or a database that was named.

use anyhow::Context;
use postgres::{Cluster, Options, Profile};
use queue::maintenance::Maintenance;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::noop::QUEUE;
use super::raw;
use crate::database;

/// Most connections of a benchmark's producers.
const CONNECTIONS: u32 = 20;

/// A migrated database to measure on.
#[derive(Debug)]
pub struct Place {
    /// Connections to it.
    pub pool: PgPool,
    cluster: Option<Cluster>,
}

impl Place {
    /// On a new cluster that keeps what it commits, of which nothing is left in the end.
    pub async fn own() -> anyhow::Result<Self> {
        let options = Options::temporary(&std::env::temp_dir(), Profile::Durable);
        let cluster = Cluster::start(options)
            .await
            .context("starting a database to measure on")?;
        cluster.server().create_database("bench").await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_lazy(&cluster.url("bench"))?;
        database::migrate(&pool).await?;
        let cluster = Some(cluster);
        Self { pool, cluster }.prepared().await
    }

    /// On a database that is there and migrated. Its other queues are left alone, its rates are shared with whoever uses
    /// it.
    pub async fn given(pool: PgPool) -> anyhow::Result<Self> {
        database::check_migrated(&pool).await?;
        let cluster = None;
        Self { pool, cluster }.prepared().await
    }

    async fn prepared(self) -> anyhow::Result<Self> {
        self.clear().await?;
        // Days of history are made ahead, not under load.
        Maintenance { keep_days: 14 }.once(&self.pool).await?;
        raw::prepare(&self.pool).await?;
        Ok(self)
    }

    /// Leaves everything as it was.
    pub async fn leave(self) -> anyhow::Result<()> {
        if let Some(cluster) = self.cluster {
            self.pool.close().await;
            cluster.stop().await?;
            return Ok(());
        }
        raw::remove(&self.pool).await?;
        self.clear().await
    }

    /// Removes the jobs of benchmarks, finished ones included.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        let mut tx = self.pool.begin().await?;
        for statement in [
            "DELETE FROM queue.job WHERE queue = $1",
            "DELETE FROM queue.job_history WHERE queue = $1",
        ] {
            sqlx::query(statement).bind(QUEUE).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        sqlx::raw_sql("VACUUM (ANALYZE) queue.job; VACUUM (ANALYZE) queue.job_history")
            .execute(&self.pool)
            .await
            .map(drop)
            .or_else(|_| Ok(()))
    }
}
