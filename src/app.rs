//! What every request may use; built once, cloned for each.

use std::sync::Arc;

use sqlx::PgPool;

use crate::config::Config;
use crate::stop::Stop;

/// The web side's shared parts.
#[derive(Clone)]
pub struct App {
    /// The settings in force.
    pub config: Arc<Config>,
    /// Connections to the database.
    pub pool: PgPool,
    /// Tells streams and readiness that the process is on its way out.
    pub stop: Stop,
}

impl App {
    /// Put the parts together.
    pub fn new(config: Arc<Config>, pool: PgPool, stop: Stop) -> Self {
        Self { config, pool, stop }
    }
}
