//! The way to the database: pools of connections, the version it must have, and its migrations.

mod health;

use std::collections::HashMap;
use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool, Row};

use crate::config;
use health::Health;

/// The oldest major version of Postgres that is supported.
pub const OLDEST_MAJOR: u32 = postgres::OLDEST_MAJOR;

/// Every migration, in order.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// How long a transaction may sit idle before the server ends it: an idle one holds back the clean-up of every table.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(60);
/// The server's code for what a role may not do.
const FORBIDDEN: &str = "42501";
/// How long the database may take to show that it is there.
const READINESS: Duration = Duration::from_secs(2);

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address makes no sense; neither it nor the reason is told, as it may hold a password.
    #[error(
        "the database's address is not understood; it looks like postgres://user:password@host/database"
    )]
    Address,
    /// No answer, or not to us.
    #[error("the database cannot be reached: {0}")]
    Unreachable(#[source] sqlx::Error),
    /// Older than what is supported.
    #[error("the database is PostgreSQL {major}, and {OLDEST_MAJOR} or newer is needed")]
    TooOld {
        /// Its major version.
        major: u32,
    },
    /// Some migrations have not run.
    #[error(
        "the database lacks {count} of this program's migrations, the first is {first}; run `leadmill migrate`"
    )]
    Behind {
        /// How many.
        count: usize,
        /// The first one's file name, without its extension.
        first: String,
    },
    /// A migration that ran is not the one in this program.
    #[error(
        "migration {0} of the database is not the one in this program; they come from different code"
    )]
    Different(String),
    /// The role may not do what a migration does.
    #[error(
        "the role {role} may not do what a migration needs: {said}\n  \
         Let somebody who may do so run this, then migrate again (or make {role} the owner of the database):\n    \
         ALTER ROLE \"{role}\" CREATEROLE;\n    \
         GRANT CREATE ON DATABASE \"{database}\" TO \"{role}\";\n    \
         GRANT CREATE ON SCHEMA public TO \"{role}\"; -- in that database"
    )]
    Forbidden {
        /// Whose address is in `database.url`.
        role: String,
        /// The database.
        database: String,
        /// What the server said.
        said: String,
    },
    /// A migration failed.
    #[error("could not migrate the database")]
    Migrate(#[from] MigrateError),
    /// A statement failed.
    #[error("the database refused a statement")]
    Sql(#[from] sqlx::Error),
}

/// A pool of at most `connections` for the part of the program called `purpose`; it connects when it is first used.
pub fn pool(
    settings: &config::Database,
    purpose: &str,
    connections: u32,
) -> Result<PgPool, DatabaseError> {
    let options = address(settings, purpose)?;
    Ok(pool_options(settings, connections).connect_lazy_with(options))
}

/// Like [`pool`], and makes sure that a Postgres new enough answers.
pub async fn connect(
    settings: &config::Database,
    purpose: &str,
    connections: u32,
) -> Result<PgPool, DatabaseError> {
    let options = address(settings, purpose)?;
    let first = tokio::time::timeout(settings.acquire_timeout.get(), options.connect());
    let first = match first.await {
        Ok(first) => first.map_err(DatabaseError::Unreachable)?,
        Err(_) => return Err(DatabaseError::Unreachable(sqlx::Error::PoolTimedOut)),
    };
    check_version(first.server_version_num())?;
    first.close().await?;
    Ok(pool_options(settings, connections).connect_lazy_with(options))
}

/// Applies every migration that has not run; says how many there were. Processes that do so at once wait for each other.
pub async fn migrate(pool: &PgPool) -> Result<usize, DatabaseError> {
    migrate_telling(pool, |_| {}).await
}

/// As [`migrate`], and tells the name of each when it begins.
pub async fn migrate_telling(
    pool: &PgPool,
    mut tell: impl FnMut(&str),
) -> Result<usize, DatabaseError> {
    let pending = missing(pool).await?;
    // A connection of its own: a migration may take longer than any request is allowed to.
    let mut db = pool.acquire().await?.detach();
    sqlx::query("SET statement_timeout = 0")
        .execute(&mut db)
        .await?;
    for (version, name) in &pending {
        tell(name);
        if let Err(error) = MIGRATOR.run_to(*version, &mut db).await {
            return Err(not_migrated(pool, error).await);
        }
    }
    db.close().await?;
    Ok(pending.len())
}

/// What a failed migration is told as: a right that is missing by its mend.
async fn not_migrated(pool: &PgPool, error: MigrateError) -> DatabaseError {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = &error else {
        return error.into();
    };
    let refused = cause.as_database_error();
    let Some(refused) = refused.filter(|refused| refused.code().as_deref() == Some(FORBIDDEN))
    else {
        return error.into();
    };
    let asked = sqlx::query_as("SELECT current_user::text, current_database()::text");
    match asked.fetch_one(pool).await {
        Ok((role, database)) => DatabaseError::Forbidden {
            role,
            database,
            said: refused.message().to_owned(),
        },
        Err(_) => error.into(),
    }
}

/// Refuses a database that has not had all of this program's migrations.
///
/// One that has had more is fine: while a new version is rolled out, the old one still runs.
pub async fn check_migrated(pool: &PgPool) -> Result<(), DatabaseError> {
    let pending = pending(pool).await?;
    match pending.first() {
        None => Ok(()),
        Some(first) => Err(DatabaseError::Behind {
            count: pending.len(),
            first: first.clone(),
        }),
    }
}

/// Whether requests can be served; if not, why, in words for whoever watches over the process.
pub async fn readiness(pool: &PgPool) -> Result<(), &'static str> {
    let look = async {
        let ask = sqlx::query_scalar("SELECT current_setting('transaction_read_only') = 'off'");
        let writable: bool = ask.fetch_one(pool).await?;
        if writable {
            check_migrated(pool).await.map(|()| true)
        } else {
            Ok(false)
        }
    };
    match tokio::time::timeout(READINESS, look).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err("database is read-only"),
        Ok(Err(DatabaseError::Behind { .. })) => {
            Err("database lacks migrations; run `leadmill migrate`")
        }
        Ok(Err(DatabaseError::Different(_))) => {
            Err("database has other migrations than this program")
        }
        Ok(Err(_)) | Err(_) => Err("database unreachable"),
    }
}

/// Whether there are tables for orgs in it; whatever else there is of a schema may be older.
pub async fn knows_orgs(pool: &PgPool) -> Result<bool, DatabaseError> {
    let known = sqlx::query_scalar("SELECT to_regclass('orgs') IS NOT NULL");
    Ok(known.fetch_one(pool).await?)
}

/// The names of the migrations that have not run, in order.
pub async fn pending(pool: &PgPool) -> Result<Vec<String>, DatabaseError> {
    let missing = missing(pool).await?;
    Ok(missing.into_iter().map(|(_, name)| name).collect())
}

async fn missing(pool: &PgPool) -> Result<Vec<(i64, String)>, DatabaseError> {
    let mut db = pool.acquire().await?;
    let any: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *db)
        .await?;
    let mut applied = HashMap::new();
    if any {
        let rows = sqlx::query("SELECT version, checksum FROM _sqlx_migrations WHERE success")
            .fetch_all(&mut *db)
            .await?;
        for row in rows {
            applied.insert(row.try_get::<i64, _>(0)?, row.try_get::<Vec<u8>, _>(1)?);
        }
    }
    let mut pending = Vec::new();
    for migration in MIGRATOR.iter() {
        let name = format!(
            "{:04}_{}",
            migration.version,
            migration.description.replace(' ', "_")
        );
        match applied.get(&migration.version) {
            None => pending.push((migration.version, name)),
            Some(checksum) if **checksum == *migration.checksum => {}
            Some(_) => return Err(DatabaseError::Different(name)),
        }
    }
    Ok(pending)
}

/// A short name for what all migrations make together, for a database to copy in tests.
pub fn schema_key() -> String {
    let mut hash = Sha256::new();
    for migration in MIGRATOR.iter() {
        hash.update(migration.version.to_be_bytes());
        hash.update(&*migration.checksum);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        })
}

fn address(settings: &config::Database, purpose: &str) -> Result<PgConnectOptions, DatabaseError> {
    let url = settings.url.expose();
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    let options = PgConnectOptions::from_str(url)
        .ok()
        .filter(|_| is_postgres)
        .ok_or(DatabaseError::Address)?;
    Ok(options.application_name(&format!("leadmill {purpose}")))
}

fn pool_options(settings: &config::Database, connections: u32) -> PgPoolOptions {
    let statement_timeout = settings.statement_timeout.get();
    let health = Arc::new(Health::default());
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(settings.acquire_timeout.get())
        // `Health` does it, and not before every single use.
        .test_before_acquire(false)
        .after_connect(move |db, _| {
            Box::pin(
                async move { health::set_up(db, statement_timeout, IDLE_IN_TRANSACTION).await },
            )
        })
        .before_acquire(move |db, meta| {
            let health = health.clone();
            Box::pin(async move { Ok(health.is_usable(db, meta.idle_for).await) })
        })
}

fn check_version(number: Option<u32>) -> Result<(), DatabaseError> {
    match number.map(|number| number / 10_000) {
        Some(major) if major < OLDEST_MAJOR => Err(DatabaseError::TooOld { major }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check_version;

    #[test]
    fn a_postgres_older_than_14_is_refused() {
        let refusal = check_version(Some(130_018)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the database is PostgreSQL 13, and 14 or newer is needed"
        );
        check_version(Some(140_000)).unwrap();
    }
}
