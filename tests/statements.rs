//! Every SQL statement in the sources is one that the migrated database understands.

mod literals;

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, PgConnection};

use crate::harness::World;
use literals::{Literal, literals};

/// Sources whose statements run on our schema; `src/postgres` speaks to other databases.
const SOURCES: [&str; 2] = ["src", "jobs"];
const NOT: &str = "src/postgres";
/// What `leadmill chaos` makes for itself.
const CHAOS: &str = include_str!("../src/chaos/store/schema.sql");
/// What `PREPARE` takes.
const VERBS: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
/// A parameter's type is told by what is bound to it; all names have been looked up by then.
const TYPE_IS_BOUND: &str = "42P18";

#[tokio::test]
async fn every_statement_is_understood_by_the_migrated_database() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(CHAOS).execute(&mut *db).await.unwrap();

    let mut prepared = 0;
    let mut refused = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        for statement in statements(&text) {
            prepared += 1;
            if let Err(why) = prepare(&mut db, &statement.text).await {
                refused.push(format!("{}:{}: {why}", file.display(), statement.line));
            }
        }
    }

    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(prepared > 20, "found only {prepared} statements");
}

#[tokio::test]
async fn a_wrong_column_is_told_by_file_and_line() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let source = r##"
        // "SELECT nonsense" is a comment; 'a' and 'b are no strings
        fn find<'a>() { sqlx::query("SELECT id FROM orgs WHERE id = $1"); }
        fn other() { sqlx::query_scalar(r#"SELECT "slog" FROM orgs"#); }
        fn built() { QueryBuilder::new("SELECT id FROM leads WHERE "); }
    "##;

    let mut told = Vec::new();
    for statement in statements(source) {
        let outcome = prepare(&mut db, &statement.text).await;
        told.push((statement.line, outcome.err()));
    }

    let wrong = r#"column "slog" does not exist"#.to_owned();
    assert_eq!(told, [(3, None), (4, Some(wrong))]);
}

async fn prepare(db: &mut PgConnection, statement: &str) -> Result<(), String> {
    let prepare = format!("PREPARE statement_under_test AS {statement}");
    match sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *db)
        .await
    {
        Ok(_) => {
            let done = sqlx::raw_sql("DEALLOCATE statement_under_test");
            done.execute(db).await.map_err(|error| error.to_string())?;
            Ok(())
        }
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(TYPE_IS_BOUND) => {
            Ok(())
        }
        Err(sqlx::Error::Database(error)) => Err(error.message().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The literals that are whole statements; what a builder starts from is none.
fn statements(source: &str) -> Vec<Literal> {
    let mut found = literals(source);
    found.retain(|literal| {
        let verb = literal.text.split_whitespace().next();
        let more = literal.text.split_whitespace().count() > 2;
        let built = literal.before.ends_with("QueryBuilder::new(")
            || literal.before.ends_with("::Postgres>::new(")
            || literal.before.ends_with(".push(");
        verb.is_some_and(|verb| VERBS.contains(&verb)) && more && !built
    });
    found
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dirs: Vec<PathBuf> = SOURCES.iter().map(|dir| root.join(dir)).collect();
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        if dir.ends_with(NOT) {
            continue;
        }
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
