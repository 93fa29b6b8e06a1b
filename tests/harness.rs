//! The only fixture: a world with a database of its own.

mod server;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

pub use server::{Database, server};

/// Everything that a test needs, fresh for each.
pub struct World {
    /// Connections to this world's database.
    pub pool: PgPool,
    database: Database,
}

impl World {
    /// A world with an empty, fully migrated database.
    pub async fn new() -> Self {
        let database = Database::cloned().await;
        let options: PgConnectOptions = database
            .url()
            .parse()
            .expect("the address of a private database");
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect_lazy_with(options);
        Self { pool, database }
    }

    /// The address of this world's database.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }
}
