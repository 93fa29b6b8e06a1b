//! Making, copying and removing databases on a server.

use std::error::Error as StdError;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::{Connection, PgConnection, QueryBuilder};
use url::Url;

use crate::{Error, Profile};

/// How the names of databases made for one test begin; what is left of them may be removed.
const TEST_PREFIX: &str = "leadmill_test_";
/// How the names of templates begin.
const TEMPLATE_PREFIX: &str = "leadmill_template_";
/// Only one process at a time fills a template. The number is arbitrary, and the same everywhere.
const TEMPLATE_LOCK: i64 = 0x6c65_6164_6d69_6c6c;

/// A Postgres server, reached with a role that may create databases.
#[derive(Debug, Clone)]
pub struct Server {
    /// Of the database that is connected to for work on the others.
    url: Url,
    profile: Profile,
}

impl Server {
    pub(crate) fn new(url: Url, profile: Profile) -> Self {
        Self { url, profile }
    }

    /// A server that somebody else runs, by the address of any database on it.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        Ok(Self::new(Url::parse(url)?, Profile::Durable))
    }

    /// The address of `database`.
    pub fn url(&self, database: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(&format!("/{database}"));
        url.into()
    }

    /// Makes an empty database.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        let mut db = self.connect().await?;
        run(&mut db, &["CREATE DATABASE ", &quoted(name)]).await
    }

    /// Makes the database unless it is there, or another process makes it at this very moment.
    pub async fn ensure_database(&self, name: &str) -> Result<(), Error> {
        let mut db = self.connect().await?;
        if exists(&mut db, name).await? {
            return Ok(());
        }
        match run(&mut db, &["CREATE DATABASE ", &quoted(name)]).await {
            Err(Error::Sql(sqlx::Error::Database(error))) if is_there_already(&*error) => Ok(()),
            result => result,
        }
    }

    /// Removes a database, with the sessions in it; one that is gone already is fine.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        let mut db = self.connect().await?;
        remove(&mut db, name).await
    }

    /// Makes a database for one test, as a copy of `template`; gives its name.
    pub async fn clone_database(&self, template: &str, unique: &str) -> Result<String, Error> {
        let name = format!("{TEST_PREFIX}{unique}");
        let mut db = self.connect().await?;
        // Postgres 14 knows no other way and no name for it.
        let names_strategies = db
            .server_version_num()
            .is_some_and(|version| version >= 150_000);
        // Far quicker where nothing is flushed to disk, slower elsewhere.
        let copies_files = self.profile == Profile::Test;
        let strategy = if copies_files && names_strategies {
            " STRATEGY file_copy"
        } else {
            ""
        };
        let (copy, template) = (quoted(&name), quoted(template));
        run(
            &mut db,
            &["CREATE DATABASE ", &copy, " TEMPLATE ", &template, strategy],
        )
        .await?;
        Ok(name)
    }

    /// The name of the template for `key`, filled by `fill` with the address of an empty database if it is not there yet.
    ///
    /// `key` names what the template holds, such as a hash of all migrations. Processes wait for each other here, and a
    /// template whose filling was interrupted is never taken for a whole one.
    pub async fn template<F, E>(
        &self,
        key: &str,
        fill: impl FnOnce(String) -> F,
    ) -> Result<String, Error>
    where
        F: Future<Output = Result<(), E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let name = format!("{TEMPLATE_PREFIX}{key}");
        let mut db = self.connect().await?;
        if exists(&mut db, &name).await? {
            return Ok(name);
        }
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(TEMPLATE_LOCK)
            .execute(&mut db)
            .await?;
        if !exists(&mut db, &name).await? {
            let unfinished = format!("{TEMPLATE_PREFIX}unfinished");
            remove(&mut db, &unfinished).await?;
            run(&mut db, &["CREATE DATABASE ", &quoted(&unfinished)]).await?;
            fill(self.url(&unfinished))
                .await
                .map_err(|error| Error::Template(error.into()))?;
            run(
                &mut db,
                &[
                    "ALTER DATABASE ",
                    &quoted(&unfinished),
                    " RENAME TO ",
                    &quoted(&name),
                ],
            )
            .await?;
        }
        // The lock goes with the session.
        db.close().await?;
        Ok(name)
    }

    /// Removes what earlier runs have left: databases of tests, and all templates but the newest few.
    pub(crate) async fn drop_test_databases(&self) -> Result<(), Error> {
        let mut db = self.connect().await?;
        let names: Vec<String> = sqlx::query_scalar(
            "(SELECT datname FROM pg_database WHERE starts_with(datname, $1))
             UNION ALL
             (SELECT datname FROM pg_database WHERE starts_with(datname, $2) ORDER BY oid DESC OFFSET 3)",
        )
        .bind(TEST_PREFIX)
        .bind(TEMPLATE_PREFIX)
        .fetch_all(&mut db)
        .await?;
        for name in names {
            remove(&mut db, &name).await?;
        }
        Ok(())
    }

    /// Makes a role that may log in and make databases and roles, unless it is there.
    pub(crate) async fn ensure_role(&self, role: &str) -> Result<(), Error> {
        let mut db = self.connect().await?;
        let there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
                .bind(role)
                .fetch_one(&mut db)
                .await?;
        if there {
            return Ok(());
        }
        run(
            &mut db,
            &["CREATE ROLE ", &quoted(role), " LOGIN CREATEROLE CREATEDB"],
        )
        .await
    }

    /// One session for work on databases.
    async fn connect(&self) -> Result<PgConnection, Error> {
        // With many tests starting at once every connection may be taken for a moment.
        let mut tries = 0;
        loop {
            match PgConnection::connect(self.url.as_str()).await {
                Err(sqlx::Error::Database(error))
                    if error.code().as_deref() == Some("53300") && tries < 100 =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                result => return Ok(result?),
            }
        }
    }
}

/// Runs a statement that takes no parameters because it names a database or a role.
async fn run(db: &mut PgConnection, parts: &[&str]) -> Result<(), Error> {
    let mut statement = QueryBuilder::new("");
    for part in parts {
        statement.push(part);
    }
    statement.build().persistent(false).execute(db).await?;
    Ok(())
}

/// Removes a database with the sessions in it, if it is there.
///
/// A vacuum that is just at work there belongs to the superuser, whose sessions the role may not end. Then only those of its
/// own are ended, and without `FORCE` Postgres ends the vacuum by itself.
async fn remove(db: &mut PgConnection, name: &str) -> Result<(), Error> {
    let drop = ["DROP DATABASE IF EXISTS ", &quoted(name)];
    let forced = run(db, &[drop[0], drop[1], " WITH (FORCE)"]).await;
    let Err(Error::Sql(sqlx::Error::Database(refusal))) = &forced else {
        return forced;
    };
    if refusal.code().as_deref() != Some(NOT_ALLOWED) {
        return forced;
    }
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = current_user",
    )
    .bind(name)
    .execute(&mut *db)
    .await?;
    run(db, &drop).await
}

/// The SQLSTATE of what a role has no right to.
const NOT_ALLOWED: &str = "42501";

async fn exists(db: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let query =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(name);
    Ok(query.fetch_one(db).await?)
}

/// Of two that make a database at once, one is told so before it has begun, or by the index on the names.
fn is_there_already(error: &dyn DatabaseError) -> bool {
    matches!(error.code().as_deref(), Some("42P04" | "23505"))
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
