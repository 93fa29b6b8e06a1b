//! The server that all tests share, and a database of one test on it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::clock::Clock;
use leadmill::database;
use postgres::{Cluster, Options, Profile, Server};
use sqlx::PgPool;
use tokio::sync::OnceCell;

static SHARED: OnceCell<Shared> = OnceCell::const_new();
static CLONES: AtomicU32 = AtomicU32::new(0);

struct Shared {
    server: Server,
    /// The database that each test gets a copy of.
    template: String,
    /// Held as long as the process lives; a watcher of its own stops it after the last process.
    _cluster: Option<Cluster>,
}

/// The server of this run: the one that `DATABASE_URL` names, else a private one that is adopted or started.
pub(crate) async fn server() -> &'static Server {
    &shared().await.server
}

/// A database that lives as long as this value.
pub(crate) struct Database {
    name: String,
    url: String,
}

impl Database {
    /// A copy of the migrated template.
    pub(crate) async fn cloned() -> Self {
        let shared = shared().await;
        // The second part is for a server that has outlived a process with the same id.
        let unique = format!(
            "{}_{}_{}",
            std::process::id(),
            Clock::system().now().timestamp_micros(),
            CLONES.fetch_add(1, Ordering::Relaxed)
        );
        let name = shared
            .server
            .clone_database(&shared.template, &unique)
            .await
            .expect("copying the template");
        let url = shared.server.url(&name);
        Self { name, url }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    /// Removes the database, from a thread of its own as this one may be inside a runtime.
    fn drop(&mut self) {
        let Some(shared) = SHARED.get() else { return };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                // What cannot be removed now is removed by the run that starts the server next.
                let _ = runtime
                    .map(|runtime| runtime.block_on(shared.server.drop_database(&self.name)));
            });
        });
    }
}

async fn shared() -> &'static Shared {
    SHARED
        .get_or_init(async || {
            let (server, cluster) = match std::env::var("DATABASE_URL") {
                Ok(url) => (Server::from_url(&url).expect("DATABASE_URL"), None),
                Err(_) => {
                    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
                    let cluster = Cluster::start(Options {
                        until_runner_ends: true,
                        ..Options::new(dir, Profile::Test)
                    })
                    .await;
                    let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
                    (cluster.server().clone(), Some(cluster))
                }
            };
            let template = server
                .template(&database::schema_key(), migrate)
                .await
                .expect("making the template");
            Shared {
                server,
                template,
                _cluster: cluster,
            }
        })
        .await
}

async fn migrate(url: String) -> Result<(), database::DatabaseError> {
    let pool = PgPool::connect(&url).await?;
    database::migrate(&pool).await?;
    pool.close().await;
    Ok(())
}
