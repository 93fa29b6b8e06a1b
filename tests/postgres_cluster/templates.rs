//! Databases made from a template.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};

use crate::harness::{World, server};

#[tokio::test]
async fn every_world_has_a_database_of_its_own() {
    let (one, other) = (World::new().await, World::new().await);

    sqlx::query("CREATE TABLE mark ()")
        .execute(&one.pool)
        .await
        .unwrap();

    let there = "SELECT to_regclass('mark') IS NOT NULL";
    assert!(
        sqlx::query_scalar::<_, bool>(there)
            .fetch_one(&one.pool)
            .await
            .unwrap()
    );
    assert!(
        !sqlx::query_scalar::<_, bool>(there)
            .fetch_one(&other.pool)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_world_leaves_no_database_behind() {
    let world = World::new().await;
    let url = world.database_url().to_owned();
    PgConnection::connect(&url).await.unwrap();

    drop(world);

    let error = PgConnection::connect(&url).await.unwrap_err();
    assert_eq!(
        error
            .as_database_error()
            .and_then(|error| error.code())
            .as_deref(),
        Some("3D000")
    );
}

#[tokio::test]
async fn a_template_is_filled_once_however_many_ask_for_it() {
    let server = server().await;
    let key = format!("test_{}", std::process::id());
    let fills = AtomicU32::new(0);
    let fill = async |_url: String| {
        fills.fetch_add(1, Ordering::Relaxed);
        Ok::<_, sqlx::Error>(())
    };

    let (one, two, three) = tokio::join!(
        server.template(&key, fill),
        server.template(&key, fill),
        server.template(&key, fill)
    );

    let name = one.unwrap();
    assert_eq!((&name, &name), (&two.unwrap(), &three.unwrap()));
    assert_eq!(fills.into_inner(), 1);
    server.drop_database(&name).await.unwrap();
}

#[tokio::test]
async fn a_template_whose_filling_failed_is_filled_again() {
    let server = server().await;
    let key = format!("failing_{}", std::process::id());

    server
        .template(&key, async |_| Err(sqlx::Error::PoolClosed))
        .await
        .unwrap_err();
    let name = server
        .template(&key, async |url| {
            let mut db = PgConnection::connect(&url).await?;
            sqlx::query("CREATE TABLE filled ()")
                .execute(&mut db)
                .await?;
            db.close().await
        })
        .await
        .unwrap();

    let mut db = PgConnection::connect(&server.url(&name)).await.unwrap();
    sqlx::query("SELECT FROM filled")
        .execute(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
    server.drop_database(&name).await.unwrap();
}

#[tokio::test]
async fn the_orgs_of_a_world_do_not_see_each_other() {
    let world = World::new().await;
    let ada = world.rep("Ada").await;
    let other = world.another_org().await;
    assert_eq!(ada.org, world.org().await);

    let stages = "SELECT count(*) FROM pipeline_stages";
    let people = "SELECT count(*) FROM memberships";
    let mut tx = world.db.member(&ada).await.unwrap();
    assert_eq!(
        sqlx::query_scalar::<_, i64>(stages)
            .fetch_one(&mut *tx)
            .await
            .unwrap(),
        7
    );
    assert_eq!(
        sqlx::query_scalar::<_, i64>(people)
            .fetch_one(&mut *tx)
            .await
            .unwrap(),
        1
    );
    drop(tx);
    let mut tx = world.db.org(other).await.unwrap();
    assert_eq!(
        sqlx::query_scalar::<_, i64>(stages)
            .fetch_one(&mut *tx)
            .await
            .unwrap(),
        7
    );
    assert_eq!(
        sqlx::query_scalar::<_, i64>(people)
            .fetch_one(&mut *tx)
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn the_clock_of_a_world_stands_still_until_it_is_moved() {
    let world = World::new().await;
    let now = world.clock.now();
    world.clock.advance(chrono::TimeDelta::hours(1));
    assert_eq!(world.clock.now() - now, chrono::TimeDelta::hours(1));
}
