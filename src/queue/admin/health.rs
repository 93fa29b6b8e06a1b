//! How the database bears the work.

use serde::Serialize;
use sqlx::PgConnection;

use super::question;

/// The database at a glance.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct DatabaseRow {
    /// Its version, e.g. `17.6`.
    pub version: String,
    /// Its size on disk, in bytes.
    pub bytes: i64,
    /// Connections that are open to the whole server.
    pub connections: i64,
    /// Connections that it takes.
    pub most_connections: i64,
    /// For how long the oldest transaction of this database is open, as far as its role may see them; one that stays open
    /// keeps finished jobs from being cleaned away.
    pub oldest_transaction_seconds: Option<f64>,
    /// Rows of live jobs that are gone and not cleaned away yet.
    pub dead_rows: i64,
}

/// How the database is.
pub async fn database(db: &mut PgConnection) -> sqlx::Result<DatabaseRow> {
    let mut tx = question(db).await?;
    sqlx::query_as(
        r#"
        SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
            pg_database_size(current_database()) AS bytes,
            (SELECT sum(numbackends) FROM pg_stat_database)::bigint AS connections,
            current_setting('max_connections')::bigint AS most_connections,
            (SELECT extract(epoch FROM now() - min(xact_start))::float8
                FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()) AS oldest_transaction_seconds,
            coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'queue.job'::regclass), 0) AS dead_rows
        "#,
    )
    .fetch_one(&mut *tx)
    .await
}
