//! The only fixture: a world with a database, a clock and a web side of its own.

mod letters;
mod people;
mod provider;
mod server;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use domain::clock::{Clock, Timestamp};
use domain::id::OrgId;
use domain::store::Db;
use leadmill::app::App;
use leadmill::config::Config;
use leadmill::serve;
use leadmill::stop::Stop;
use leadmill::web::view::Views;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::OnceCell;
use tower::ServiceExt;

pub(crate) use provider::{Answer, Provider};
pub(crate) use server::{Database, server};

/// Everything that a test needs, fresh for each.
pub(crate) struct World {
    /// Business access to this world's database.
    pub db: Db,
    /// Connections to the same database, bound to no org.
    pub pool: PgPool,
    /// The domain's clock; it stands still until the test moves it.
    pub clock: Clock,
    /// Every route that `leadmill serve` answers.
    pub app: Router,
    org: OnceCell<OrgId>,
    outside: work::Outside,
    // After the pools, so that it goes when they are gone.
    database: Database,
}

impl World {
    /// A world with an empty, fully migrated database, whose clock stands at the present.
    pub(crate) async fn new() -> Self {
        Self::at(Clock::system().now()).await
    }

    /// A world whose clock stands at `now`.
    pub(crate) async fn at(now: Timestamp) -> Self {
        let database = Database::cloned().await;
        let options: PgConnectOptions = database
            .url()
            .parse()
            .expect("the address of a private database");
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect_lazy_with(options);
        let clock = Clock::fixed(now);
        let app = App::new(
            Arc::new(Config::default()),
            Views::load(None).expect("the built-in pages are templates"),
            pool.clone(),
            clock.clone(),
            queue::Wake::new(pool.clone()),
            Stop::default(),
        );
        Self {
            db: Db::new(pool.clone()),
            pool,
            clock,
            app: serve::router(app),
            org: OnceCell::new(),
            outside: work::Outside::default(),
            database,
        }
    }

    /// The address of this world's database.
    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    /// What the web side answers to `request`.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app
            .clone()
            .oneshot(request)
            .await
            .expect("a router has no errors")
    }
}
