//! What a person is told.

use axum::http::Method;
use domain::id::{NotificationId, UserId};
use domain::member::Role;
use insta::assert_snapshot;
use serde_json::json;

use super::{get, key, request};
use crate::harness::World;
use crate::web::{answer, org, web};

async fn told(world: &World, org: domain::id::OrgId, user: UserId, title: &str) -> NotificationId {
    let id = NotificationId::new();
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query(
        "INSERT INTO notifications (id, org_id, user_id, kind, title, dedupe_key, created_at)
         VALUES ($1, $2, $3, 'lead_hot', $4, $4, $5)",
    )
    .bind(id)
    .bind(org)
    .bind(user)
    .bind(title)
    .bind(world.clock.now())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn news_is_listed_for_the_person_behind_the_key_and_read_once() {
    let world = World::at("2030-03-04T09:00:00Z".parse().unwrap()).await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let ada = world.member(org, "Ada", Role::Member).await.user;
    let bob = world.member(org, "Bob", Role::Member).await.user;
    let adas = key(&world, org, &["leads:read"], Some(ada)).await;
    let mine = told(&world, org, ada, "A hot lead").await;
    let theirs = told(&world, org, bob, "Another").await;

    let listed = get(&web, "/api/v1/notifications?unread=true", &adas).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["title"], "A hot lead");

    let read = |id: NotificationId| {
        request(
            Method::POST,
            &format!("/api/v1/notifications/{id}/read"),
            &adas,
        )
    };
    let first = answer(&web, read(mine)).await;
    world.clock.advance(chrono::TimeDelta::hours(1));
    assert_eq!(answer(&web, read(mine)).await, first);
    assert_snapshot!("notification_read", first);
    assert_snapshot!("notification_of_another", answer(&web, read(theirs)).await);
    let unread = get(&web, "/api/v1/notifications?unread=true", &adas).await;
    assert_eq!(unread, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_key_that_acts_for_nobody_is_told_nothing() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let nobodys = key(&world, org, &["leads:read"], None).await;
    assert_snapshot!(
        "notifications_for_nobody",
        answer(
            &web,
            request(Method::GET, "/api/v1/notifications", &nobodys)
        )
        .await
    );
}
