//! What every request may use; built once, cloned for each.

use std::sync::Arc;

use domain::clock::Clock;
use domain::store::Db;
use queue::Wake;
use sqlx::PgPool;

use crate::config::Config;
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
        Self {
            bells: Bells::new(pool.clone(), stop.clone()),
            limits: Arc::new(Limits::new(&config.intake)),
            config,
            views,
            db: Db::new(pool),
            clock,
            wake,
            stop,
        }
    }
}
