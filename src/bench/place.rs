//! Where benchmarks run: a durable cluster of their own, or a database that was named.

use std::time::Duration;

use anyhow::Context;
use postgres::{Cluster, Fetch, Options, Profile};
use queue::maintenance::Maintenance;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use super::noop::QUEUE;
use super::raw;
use crate::database;

/// Most connections of a benchmark's producers.
pub const CONNECTIONS: u32 = 20;

/// How long connections that are in use may take to come back in the end.
const CLOSING: Duration = Duration::from_secs(5);

/// A database to measure on.
#[derive(Debug)]
pub struct Place {
    /// Connections to it.
    pub pool: PgPool,
    cluster: Option<Cluster>,
    /// The database that was made for it, and the server that can remove it.
    made: Option<(String, PgPool)>,
}

impl Place {
    /// On a new cluster that keeps what it commits, of which nothing is left in the end.
    pub async fn own(fetch: Fetch) -> anyhow::Result<Self> {
        // Room for what is measured, as on any server that was set up for work: else the disk is measured.
        let roomy = [("shared_buffers", "512MB"), ("max_wal_size", "4GB")];
        let options = Options {
            fetch,
            settings: roomy
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            ..Options::temporary(&std::env::temp_dir(), Profile::Durable)
        };
        let cluster = Cluster::start(options)
            .await
            .context("starting a database to measure on")?;
        cluster.server().create_database("bench").await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_lazy(&cluster.url("bench"))?;
        Ok(Self {
            pool,
            cluster: Some(cluster),
            made: None,
        })
    }

    /// On a database that is there and migrated. Its other queues are left alone, its rates are shared with whoever uses
    /// it.
    pub async fn given(pool: PgPool) -> anyhow::Result<Self> {
        database::check_migrated(&pool).await?;
        Ok(Self {
            pool,
            cluster: None,
            made: None,
        })
    }

    /// In a new database beside one that is there, for what leaves traces that nobody may remove.
    pub async fn beside(given: PgPool) -> anyhow::Result<Self> {
        let name = format!("leadmill_bench_{:08x}", rand::random::<u32>());
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&given)
            .await
            .context("making a database to measure on")?;
        let options = given.connect_options().as_ref().clone().database(&name);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            cluster: None,
            made: Some((name, given)),
        })
    }

    /// Makes it ready to measure on.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        if self.cluster.is_some() || self.made.is_some() {
            database::migrate(&self.pool).await?;
        }
        self.clear().await?;
        // Days of history are made ahead, not under load.
        Maintenance { keep_days: 14 }.once(&self.pool).await?;
        raw::prepare(&self.pool).await?;
        Ok(())
    }

    /// Leaves everything as it was, also after a measurement that failed or was cut short.
    pub async fn leave(self) -> anyhow::Result<()> {
        // What such a one has left running ends without connections.
        let _ = tokio::time::timeout(CLOSING, self.pool.close()).await;
        if let Some(cluster) = self.cluster {
            cluster.stop().await?;
            return Ok(());
        }
        if let Some((name, given)) = self.made {
            sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
                .execute(&given)
                .await?;
            return Ok(());
        }
        let options = self.pool.connect_options().as_ref().clone();
        let last = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(options);
        raw::remove(&last).await?;
        clear(&last).await
    }

    /// Removes the jobs of benchmarks, finished ones included.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        clear(&self.pool).await
    }
}

async fn clear(pool: &PgPool) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    for statement in [
        "DELETE FROM queue.job WHERE queue = $1",
        "DELETE FROM queue.job_history WHERE queue = $1",
    ] {
        sqlx::query(statement).bind(QUEUE).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    // Each by itself: together they would be one transaction, in which nothing can be vacuumed.
    for statement in [
        "VACUUM (ANALYZE) queue.job",
        "VACUUM (ANALYZE) queue.job_history",
    ] {
        sqlx::raw_sql(statement).execute(pool).await?;
    }
    Ok(())
}
