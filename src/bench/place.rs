//! Where benchmarks run: a durable cluster of their own, or a database that was named.

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

/// A migrated database to measure on.
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
        let options = Options {
            fetch,
            ..Options::temporary(&std::env::temp_dir(), Profile::Durable)
        };
        let cluster = Cluster::start(options)
            .await
            .context("starting a database to measure on")?;
        cluster.server().create_database("bench").await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_lazy(&cluster.url("bench"))?;
        database::migrate(&pool).await?;
        let place = Self {
            pool,
            cluster: Some(cluster),
            made: None,
        };
        place.prepared().await
    }

    /// On a database that is there and migrated. Its other queues are left alone, its rates are shared with whoever uses
    /// it.
    pub async fn given(pool: PgPool) -> anyhow::Result<Self> {
        database::check_migrated(&pool).await?;
        let place = Self {
            pool,
            cluster: None,
            made: None,
        };
        place.prepared().await
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
        let place = Self {
            pool,
            cluster: None,
            made: Some((name, given)),
        };
        database::migrate(&place.pool).await?;
        place.prepared().await
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
        if let Some((name, given)) = self.made {
            self.pool.close().await;
            sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
                .execute(&given)
                .await?;
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
        // Each by itself: together they would be one transaction, in which nothing can be vacuumed.
        for statement in [
            "VACUUM (ANALYZE) queue.job",
            "VACUUM (ANALYZE) queue.job_history",
        ] {
            sqlx::raw_sql(statement).execute(&self.pool).await?;
        }
        Ok(())
    }
}
