//! A database that is removed while others are in it.

use std::time::Duration;

use postgres::{Cluster, Profile};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use super::{open_dir, options};

/// A vacuum belongs to the superuser, as this session does, and is gone when it is.
#[tokio::test]
async fn a_session_of_the_superuser_delays_a_removal_and_does_not_refuse_it() {
    let dir = open_dir();
    let cluster = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    let server = cluster.server();
    server.create_database("leads").await.unwrap();
    let mut own = PgConnection::connect(&cluster.url("leads")).await.unwrap();
    let superuser = cluster.superuser_url("leads").unwrap();
    let mut at_work = PgConnection::connect(&superuser).await.unwrap();

    let removal = tokio::spawn({
        let server = server.clone();
        async move { server.drop_database("leads").await }
    });
    // It waits for whoever it may not end.
    let deadline = Instant::now() + Duration::from_secs(20);
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE state = 'active' AND query LIKE 'DROP DATABASE%' AND query NOT LIKE '%FORCE%')";
    while !sqlx::query_scalar::<_, bool>(waits)
        .fetch_one(&mut at_work)
        .await
        .unwrap()
    {
        assert!(Instant::now() < deadline, "nobody removes the database");
        tokio::task::yield_now().await;
    }
    at_work.close().await.unwrap();

    removal.await.unwrap().unwrap();
    assert!(own.ping().await.is_err(), "its own session was ended");
    assert!(PgConnection::connect(&cluster.url("leads")).await.is_err());
    cluster.stop().await.unwrap();
}
