//! The way to the database: which server is refused, which connection is dropped, which migrations are missed.

use axum::body::Body;
use axum::http::Request;
use leadmill::config;
use leadmill::database::{self, DatabaseError};
use postgres::{Cluster, Options, Profile};
use sqlx::{PgConnection, PgPool};

use crate::harness::{World, server};

fn settings(url: &str) -> config::Database {
    config::Database {
        url: url.into(),
        ..config::Database::default()
    }
}

#[tokio::test]
async fn a_connection_that_can_only_read_is_dropped() {
    let world = World::new().await;
    let pool = database::connect(&settings(world.database_url()), "test", 1)
        .await
        .unwrap();
    let mut db = pool.acquire().await.unwrap();
    let demoted = backend(&mut db).await;
    // What a failover leaves behind: the session lives on, and the server takes no more writes.
    sqlx::query("SET default_transaction_read_only = on")
        .execute(&mut *db)
        .await
        .unwrap();
    drop(db);

    let mut db = pool.acquire().await.unwrap();

    assert_ne!(backend(&mut db).await, demoted);
    sqlx::query("CREATE TABLE writable ()")
        .execute(&mut *db)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connection_bears_the_settings_of_its_pool() {
    let world = World::new().await;
    let pool = database::connect(&settings(world.database_url()), "serve", 1)
        .await
        .unwrap();
    let shown: Vec<String> = sqlx::query_scalar(
        "SELECT setting FROM pg_settings
         WHERE name IN ('application_name', 'idle_in_transaction_session_timeout', 'statement_timeout') ORDER BY name",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(shown, ["leadmill serve", "60000", "30000"]);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_apart_from_an_address_that_makes_no_sense() {
    let nowhere = database::connect(&settings("postgres:///x?host=/nowhere"), "test", 1)
        .await
        .unwrap_err();
    assert!(
        matches!(nowhere, DatabaseError::Unreachable(_)),
        "{nowhere}"
    );

    let nonsense = database::connect(&settings("mysql://user:secret@host/x"), "test", 1)
        .await
        .unwrap_err();
    insta::assert_snapshot!(nonsense, @"the database's address is not understood; it looks like postgres://user:password@host/database");
}

#[tokio::test]
async fn an_empty_database_is_refused_until_it_is_migrated() {
    let server = server().await;
    let name = format!("leadmill_test_empty_{}", std::process::id());
    server.create_database(&name).await.unwrap();
    let pool = PgPool::connect(&server.url(&name)).await.unwrap();

    let refusal = database::check_migrated(&pool).await.unwrap_err();
    let count = database::MIGRATOR.iter().count();
    assert_eq!(
        refusal.to_string(),
        format!(
            "the database lacks {count} of this program's migrations, the first is 0001_queue; run `leadmill migrate`"
        )
    );

    assert_eq!(
        database::readiness(&pool).await,
        Err("database lacks migrations; run `leadmill migrate`")
    );

    assert_eq!(database::migrate(&pool).await.unwrap(), count);
    assert_eq!(database::readiness(&pool).await, Ok(()));
    assert_eq!(database::migrate(&pool).await.unwrap(), 0);
    database::check_migrated(&pool).await.unwrap();

    sqlx::query("UPDATE _sqlx_migrations SET checksum = 'other' WHERE version = 10")
        .execute(&pool)
        .await
        .unwrap();
    let refusal = database::check_migrated(&pool).await.unwrap_err();
    insta::assert_snapshot!(refusal, @"migration 0010_roles of the database is not the one in this program; they come from different code");
    pool.close().await;
    server.drop_database(&name).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_makes_the_process_unready_and_one_that_is_back_makes_it_ready() {
    let dir = std::env::temp_dir();
    let cluster = Cluster::start(Options::temporary(&dir, Profile::Durable))
        .await
        .unwrap();
    cluster.server().create_database("app").await.unwrap();
    let pool = database::connect(&settings(&cluster.url("app")), "serve", 2)
        .await
        .unwrap();
    database::migrate(&pool).await.unwrap();
    assert_eq!(database::readiness(&pool).await, Ok(()));

    cluster.kill().await.unwrap();
    assert_eq!(
        database::readiness(&pool).await,
        Err("database unreachable")
    );

    cluster.revive().await.unwrap();
    // The first attempts may still meet connections of the server that was killed.
    let mut attempts = 0;
    while let Err(reason) = database::readiness(&pool).await {
        attempts += 1;
        assert!(attempts <= 3, "{reason}");
    }
}

#[tokio::test]
async fn a_database_ahead_of_this_program_is_served() {
    let world = World::new().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, '', 0)",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    database::check_migrated(&world.pool).await.unwrap();
}

#[tokio::test]
async fn a_world_is_ready_to_be_asked() {
    let world = World::new().await;
    let answer = world
        .send(Request::get("/readyz").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status(), 200);
}

async fn backend(db: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(db)
        .await
        .unwrap()
}
