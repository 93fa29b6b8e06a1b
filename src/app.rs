//! What every request may use; built once, cloned for each.

use std::sync::Arc;

use domain::clock::Clock;
use domain::store::Db;
use queue::Wake;
use sqlx::PgPool;

use crate::config::Config;
use crate::intake::together::Together;
use crate::stop::Stop;
use crate::web::bells::Bells;
use crate::web::rate_limit::Limits;
use crate::web::view::Views;

/// The web side's shared parts.
#[derive(Clone)]
pub struct App {
    /// The settings in force.
    pub config: Arc<Config>,
    /// The business database.
    pub db: Db,
    /// Where the time comes from.
    pub clock: Clock,
    /// Takes captures in, many with one commit.
    pub arrivals: Together,
    /// Tells workers of new jobs.
    pub wake: Wake,
    /// The pages.
    pub views: Views,
    /// Whose bell rings.
    pub bells: Bells,
    /// How often the public may send leads.
    pub limits: Arc<Limits>,
    /// Tells streams and readiness that the process is on its way out.
    pub stop: Stop,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        config: Arc<Config>,
        views: Views,
        pool: PgPool,
        clock: Clock,
        wake: Wake,
        stop: Stop,
    ) -> Self {
        let limits = Arc::new(Limits::new(&config.intake));
        let db = Db::new(pool.clone());
        Self {
            arrivals: Together::new(db.clone(), wake.clone(), limits.clone()),
            bells: Bells::new(pool, stop.clone()),
            limits,
            config,
            views,
            db,
            clock,
            wake,
            stop,
        }
    }
}
