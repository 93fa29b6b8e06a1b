//! The private cluster and the databases of tests.

mod fetch;
mod lifetimes;
mod places;
mod removed;
mod rights;
mod search;
mod templates;
mod versions;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postgres::{Options, Profile};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// An empty directory that every user can enter.
pub(crate) fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Options for a cluster in `dir` that fetches nothing.
pub(crate) fn options(dir: &Path, profile: Profile) -> Options {
    let announce = |line: &str| {
        let waits = line.starts_with("Waiting for another run");
        assert!(waits, "nothing is to be fetched here: {line}");
    };
    Options {
        announce,
        ..Options::new(dir.join("pg"), profile)
    }
}

/// The one value that `statement` gives, as text.
async fn value(url: &str, statement: &'static str) -> String {
    let mut db = PgConnection::connect(url).await.unwrap();
    let value = sqlx::query_scalar(statement)
        .fetch_one(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
    value
}
