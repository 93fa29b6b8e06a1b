//! The business side on every version of Postgres that is at hand, by a role with the rights that a managed one gives.

use std::path::PathBuf;

use domain::id::OrgId;
use domain::store::{Db, orgs};
use leadmill::database;
use postgres::{Cluster, Options, Profile, Search};
use sqlx::PgPool;

use super::{open_dir, options};

/// What the machine has, and the programs in each directory that `LEADMILL_TEST_PG_BINS` names, written like a `PATH`.
fn at_hand() -> Vec<Search> {
    let named = std::env::var_os("LEADMILL_TEST_PG_BINS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|dir| !dir.as_os_str().is_empty());
    let named = named.map(|dir: PathBuf| Search {
        named: Some(dir),
        ..Search::system()
    });
    std::iter::once(Search::system()).chain(named).collect()
}

#[tokio::test]
async fn a_role_that_is_no_superuser_migrates_and_enters_both_roles() {
    for search in at_hand() {
        let dir = open_dir();
        let bin = search.named.clone();
        let options = Options {
            search,
            ..options(dir.path(), Profile::Test)
        };
        let cluster = Cluster::start(options)
            .await
            .unwrap_or_else(|error| panic!("{bin:?}: {error}"));
        // A second database finds the roles made and granted.
        for name in ["first", "second"] {
            cluster.server().create_database(name).await.unwrap();
            let pool = PgPool::connect(&cluster.url(name)).await.unwrap();
            database::migrate(&pool).await.unwrap();
            let db = Db::new(pool.clone());
            let platform = async {
                let mut tx = db.platform().await?;
                orgs::find_by_slug(&mut tx, "nobody").await?;
                tx.commit().await
            };
            platform
                .await
                .unwrap_or_else(|error| panic!("{bin:?}, platform, {name}: {error}"));
            let org = db.org(OrgId::new()).await;
            org.unwrap_or_else(|error| panic!("{bin:?}, org, {name}: {error}"));
            pool.close().await;
        }
        cluster.stop().await.unwrap();
    }
}
