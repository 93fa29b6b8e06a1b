//! A role that may not migrate: what it is told, and that it helps.

use std::process::Command;

use postgres::{Cluster, Profile};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{open_dir, options};

/// What `leadmill migrate` says, and its exit code.
fn migrate(url: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_leadmill"))
        .arg("migrate")
        .current_dir(std::env::temp_dir())
        .env_clear()
        .envs([("DATABASE_URL", url), ("RUST_LOG", "warn")])
        .output()
        .unwrap();
    let said =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn a_role_without_a_right_is_told_which_and_migrates_once_it_has_it() {
    let dir = open_dir();
    let cluster = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    cluster.server().create_database("leads").await.unwrap();
    let admin = cluster.superuser_url("leads").unwrap();
    let mut db = PgConnection::connect(&admin).await.unwrap();
    // What a database of one's own on somebody else's server comes with since PostgreSQL 15: next to nothing.
    sqlx::raw_sql("CREATE ROLE plain LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .execute(&mut db)
        .await
        .unwrap();
    let plain = admin.replace("user=postgres", "user=plain");
    assert_ne!(plain, admin);

    let (code, said) = migrate(&plain);

    assert_eq!(code, 69, "{said}");
    assert!(
        said.contains("error: the role plain may not do what a migration needs: permission denied"),
        "{said}"
    );
    let mends: Vec<&str> = said
        .lines()
        .filter(|line| line.ends_with(';') || line.contains("; --"))
        .collect();
    assert_eq!(mends.len(), 3, "{said}");
    for mend in mends {
        sqlx::raw_sql(AssertSqlSafe(mend.to_owned()))
            .execute(&mut db)
            .await
            .unwrap();
    }
    let (code, said) = migrate(&plain);
    assert!(
        code == 0 && said.ends_with("The database is up to date.\n"),
        "{code}: {said}"
    );
    db.close().await.unwrap();
    cluster.stop().await.unwrap();
}
