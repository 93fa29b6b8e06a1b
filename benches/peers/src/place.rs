//! Where systems are measured: one private cluster that keeps what it commits, and for each run a database of its own.
//!
//! A run's database is a copy of a stock that was made once: empty tables, a backlog, a history. No checkpoint falls into a
//! run, as there is none before much more is written than a run writes; what commits is flushed all the same.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use postgres::{Cluster, Options, Profile};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// What is set on top of the cluster's durable defaults; nothing of it touches what a commit promises.
const SETTINGS: [(&str, &str); 5] = [
    ("shared_buffers", "2GB"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "1h"),
    ("min_wal_size", "2GB"),
    ("max_connections", "300"),
];

/// The cluster.
pub struct Place {
    cluster: Cluster,
    runs: AtomicU64,
}

impl Place {
    /// Starts it.
    pub async fn start() -> Result<Self> {
        let mut options = Options::temporary(&std::env::temp_dir(), Profile::Durable);
        options.settings = SETTINGS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let cluster = Cluster::start(options)
            .await
            .context("starting a database to measure on")?;
        cluster.server().create_database("lobby").await?;
        Ok(Self {
            cluster,
            runs: AtomicU64::new(0),
        })
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// A connection that belongs to no system.
    pub async fn lobby(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.url("lobby")).await?)
    }

    /// Makes an empty database.
    pub async fn create(&self, database: &str) -> Result<()> {
        Ok(self.cluster.server().create_database(database).await?)
    }

    /// A copy of `stock` for one run; its name.
    pub async fn copy(&self, stock: &str) -> Result<String> {
        let run = format!("run_{}", self.runs.fetch_add(1, Ordering::Relaxed));
        self.copy_as(stock, &run).await?;
        Ok(run)
    }

    /// A copy of `stock` under a name.
    pub async fn copy_as(&self, stock: &str, copy: &str) -> Result<()> {
        let create = format!("CREATE DATABASE {copy} TEMPLATE {stock} STRATEGY wal_log");
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut self.lobby().await?)
            .await
            .with_context(|| format!("copying {stock}"))?;
        Ok(())
    }

    /// Removes a database.
    pub async fn drop(&self, database: &str) -> Result<()> {
        let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        // Only a superuser may end a vacuum that is under way there.
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut self.superuser().await?)
            .await?;
        Ok(())
    }

    async fn superuser(&self) -> Result<PgConnection> {
        let superuser = self.url("lobby").replace("user=leadmill", "user=postgres");
        Ok(PgConnection::connect(&superuser).await?)
    }

    /// Writes everything out, between two workloads.
    pub async fn checkpoint(&self) -> Result<()> {
        let mut db = self.superuser().await?;
        sqlx::raw_sql("CHECKPOINT").execute(&mut db).await?;
        Ok(())
    }

    /// Bytes of write-ahead log so far.
    pub async fn wal(&self) -> Result<u64> {
        let bytes = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
        let bytes: i64 = sqlx::query_scalar(bytes)
            .fetch_one(&mut self.lobby().await?)
            .await?;
        Ok(u64::try_from(bytes)?)
    }

    /// Stops it, of which nothing is left.
    pub async fn stop(self) -> Result<()> {
        Ok(self.cluster.stop().await?)
    }
}
