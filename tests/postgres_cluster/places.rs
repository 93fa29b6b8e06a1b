//! Where a cluster lives and who may reach it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use postgres::{Cluster, Error, Profile};
use sqlx::{Connection, PgConnection};

use super::{open_dir, options, value};

#[tokio::test]
async fn the_application_owns_its_databases_and_is_no_superuser() {
    let dir = open_dir();
    let cluster = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    cluster.server().ensure_database("app").await.unwrap();
    cluster.server().ensure_database("app").await.unwrap();

    let rights =
        "SELECT concat_ws(' ', rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls)
                  FROM pg_roles WHERE rolname = current_user";
    assert_eq!(value(&cluster.url("app"), rights).await, "leadmill f t t f");
    let owner =
        "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()";
    assert_eq!(value(&cluster.url("app"), owner).await, "leadmill");
}

#[tokio::test]
async fn the_socket_is_closed_to_other_users_and_removed_in_the_end() {
    let dir = open_dir();
    let cluster = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    let socket = socket_dir(&cluster);
    let meta = std::fs::metadata(&socket).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o700);

    cluster.stop().await.unwrap();

    assert!(!socket.exists());
}

#[tokio::test]
async fn a_socket_directory_planted_by_somebody_else_is_refused() {
    let dir = open_dir();
    let cluster = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    let socket = socket_dir(&cluster);
    cluster.stop().await.unwrap();
    std::fs::create_dir(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777)).unwrap();

    let refusal = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap_err();

    std::fs::remove_dir(&socket).unwrap();
    assert!(matches!(refusal, Error::ForeignSocketDir(dir) if dir == socket));
}

#[tokio::test]
async fn unusable_test_data_are_made_anew_and_durable_data_are_not_touched() {
    let dir = open_dir();
    let start = |profile| Cluster::start(options(dir.path(), profile));
    start(Profile::Test).await.unwrap().stop().await.unwrap();
    let version = dir.path().join("pg/data/PG_VERSION");

    for (old, major) in [("9.6\n", 9), ("13\n", 13)] {
        std::fs::write(&version, old).unwrap();
        let refusal = start(Profile::Durable).await.unwrap_err();
        assert!(
            matches!(refusal, Error::TooOld { major: told, .. } if told == major),
            "{refusal}"
        );
        let said = refusal.to_string();
        assert!(said.contains("14 or newer is needed"), "{said}");
        assert!(said.contains("pg_upgrade"), "{said}");
        assert!(refusal.is_unavailable() && version.exists());
    }

    let cluster = start(Profile::Test).await.unwrap();
    PgConnection::connect(&cluster.url("postgres"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_directory_that_postgres_cannot_enter_is_replaced_or_used_as_it_is() {
    // As root the server runs as another user, who cannot get in here; anybody else runs it in person.
    let dir = open_dir();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let cluster = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    let place = cluster.dir().to_owned();
    let is_root = std::fs::metadata(dir.path()).unwrap().uid() == 0;
    cluster.stop().await.unwrap();

    assert_eq!(place.starts_with("/var/lib/leadmill-dev"), is_root);
    assert_eq!(
        place.starts_with(dir.path().canonicalize().unwrap()),
        !is_root
    );
    std::fs::remove_dir_all(place).unwrap();
}

fn socket_dir(cluster: &Cluster) -> PathBuf {
    let url = url::Url::parse(&cluster.url("postgres")).unwrap();
    let (_, host) = url.query_pairs().find(|(name, _)| name == "host").unwrap();
    PathBuf::from(host.into_owned())
}
