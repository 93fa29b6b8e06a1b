//! The databases that runs begin with, each made once.

use anyhow::{Context, Result, bail, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::crew::Crew;
use crate::place::Place;
use crate::system::{BULK, Kept, Producer, System};

/// What a database has in it.
#[derive(Debug, Clone, Copy)]
pub enum Stock {
    /// Tables.
    Empty,
    /// So many jobs that wait.
    Backlog(u64),
    /// So many jobs that are finished, and so many that wait.
    Kept {
        /// Finished ones.
        finished: u64,
        /// Those that wait.
        waiting: u64,
    },
}

impl Stock {
    /// A copy for one run; the stock itself is made if it is not there.
    pub async fn copy(self, place: &Place, system: &dyn System) -> Result<String> {
        let stock = self.database(system);
        if !self.is_there(place, system).await? {
            eprintln!("  making {stock}");
            // Under another name until it is complete.
            let unfinished = format!("{stock}_unfinished");
            place.drop(&unfinished).await?;
            self.make(place, system, &unfinished).await?;
            let rename = format!("ALTER DATABASE {unfinished} RENAME TO {stock}");
            sqlx::raw_sql(AssertSqlSafe(rename))
                .execute(&mut place.lobby().await?)
                .await?;
        }
        place.copy(&stock).await
    }

    fn database(self, system: &dyn System) -> String {
        let name = system.name().split(' ').next().unwrap_or_default();
        let name = name.replace('-', "_");
        match self {
            Self::Empty => format!("{name}_empty"),
            Self::Backlog(jobs) => format!("{name}_backlog_{jobs}"),
            Self::Kept { finished, waiting } => format!("{name}_kept_{finished}_{waiting}"),
        }
    }

    async fn is_there(self, place: &Place, system: &dyn System) -> Result<bool> {
        let there = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
        Ok(sqlx::query_scalar(there)
            .bind(self.database(system))
            .fetch_one(&mut place.lobby().await?)
            .await?)
    }

    async fn make(self, place: &Place, system: &dyn System, database: &str) -> Result<()> {
        let url = place.url(database);
        if matches!(self, Self::Empty) {
            place.create(database).await?;
            system.migrate(&url).await?;
            return Ok(());
        }
        let empty = Box::pin(Self::Empty.copy(place, system)).await?;
        let rename = format!("ALTER DATABASE {empty} RENAME TO {database}");
        sqlx::raw_sql(AssertSqlSafe(rename))
            .execute(&mut place.lobby().await?)
            .await?;
        let producer = system.producer(&url, 1).await?;
        match self {
            Self::Empty => {}
            Self::Backlog(jobs) => enqueue(&url, system, &*producer, jobs).await?,
            Self::Kept { finished, waiting } => {
                finish(&url, system, &*producer, finished).await?;
                enqueue(&url, system, &*producer, waiting).await?;
            }
        }
        drop(producer);
        execute(&url, "VACUUM (ANALYZE)").await
    }
}

/// Enqueues a backlog.
async fn enqueue(url: &str, system: &dyn System, producer: &dyn Producer, jobs: u64) -> Result<()> {
    let by_hand = match system.copy_waiting() {
        Some(_) => BULK.min(jobs),
        None => jobs,
    };
    for first in (0..by_hand).step_by(usize::try_from(BULK)?) {
        producer.many(first..(first + BULK).min(by_hand)).await?;
    }
    if let Some(copy) = system.copy_waiting() {
        copy_rows(url, copy, jobs / by_hand - 1).await?;
    }
    let waiting = producer.unfinished().await?;
    ensure!(waiting == jobs, "{waiting} of {jobs} jobs wait");
    Ok(())
}

/// Finishes so many jobs.
async fn finish(url: &str, system: &dyn System, producer: &dyn Producer, jobs: u64) -> Result<()> {
    let by_hand = match system.kept() {
        Kept::Never(why) => bail!("{why}"),
        Kept::Run => jobs,
        Kept::Copied(_) => BULK.min(jobs),
    };
    for first in (0..by_hand).step_by(usize::try_from(BULK)?) {
        producer.many(first..(first + BULK).min(by_hand)).await?;
    }
    let mut crew = Crew::start(system, url, 1, false).await?;
    crew.go().await?;
    crew.has_run(by_hand).await?;
    while !producer.is_drained().await? {}
    crew.stop().await?;
    if let Kept::Copied(copy) = system.kept() {
        copy_rows(url, copy, jobs / by_hand - 1).await?;
    }
    let finished = producer.finished().await?;
    let finished = finished.context("finished jobs are kept")?;
    ensure!(finished == jobs, "{finished} of {jobs} jobs are finished");
    Ok(())
}

async fn copy_rows(url: &str, statement: &'static str, copies: u64) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    sqlx::query(statement)
        .bind(i32::try_from(copies)?)
        .execute(&mut db)
        .await?;
    Ok(())
}

async fn execute(url: &str, statement: &'static str) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    sqlx::raw_sql(statement).execute(&mut db).await?;
    Ok(())
}
