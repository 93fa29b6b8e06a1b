//! Deleting a lead over REST: for whom, and what is left of it.

use axum::http::Method;
use domain::member::Role;
use serde_json::{Value, json};

use super::writes::send;
use super::{get, key, request};
use crate::harness::World;

async fn answered(world: &World, method: Method, key: &str, lead: &str) -> u16 {
    let asked = request(method, &format!("/api/v1/leads/{lead}"), key);
    world.send(asked).await.status().as_u16()
}

async fn delete(world: &World, key: &str, lead: &str) -> u16 {
    answered(world, Method::DELETE, key, lead).await
}

async fn seen(world: &World, key: &str, lead: &str) -> bool {
    answered(world, Method::GET, key, lead).await == 200
}

#[tokio::test]
async fn a_lead_is_deleted_by_who_may_and_its_deletion_is_audited() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let rep = world.member(org, "Rep", Role::Member).await;
    let admin = world.member(org, "Admin", Role::Admin).await;
    let all = ["leads:read", "leads:write", "leads:delete"];
    let of_nobody = key(&world, org, &all, None).await;
    let made = json!({"email": "ada@engines.example"});
    let made = async || -> Value {
        let (status, _, lead) = send(
            &world,
            &of_nobody,
            Method::POST,
            "/api/v1/leads",
            &[],
            &made,
        )
        .await;
        assert_eq!(status, 201, "{lead}");
        lead
    };
    let lead = made().await["id"].as_str().unwrap().to_owned();

    let may_not = [
        key(&world, org, &["leads:read", "leads:write"], None).await,
        key(
            &world,
            org,
            &["leads:read", "leads:write"],
            Some(admin.user),
        )
        .await,
        key(&world, org, &all, Some(rep.user)).await,
    ];
    for key in &may_not {
        assert_eq!(delete(&world, key, &lead).await, 403);
    }
    let other = world.another_org().await;
    let elsewhere = key(&world, other, &all, None).await;
    assert_eq!(delete(&world, &elsewhere, &lead).await, 404);
    assert!(seen(&world, &of_nobody, &lead).await);

    let of_admin = key(&world, org, &["leads:delete"], Some(admin.user)).await;
    assert_eq!(delete(&world, &of_admin, &lead).await, 204);
    assert_eq!(delete(&world, &of_admin, &lead).await, 404);
    assert_eq!(delete(&world, &of_admin, "none").await, 404);
    assert!(!seen(&world, &of_nobody, &lead).await);
    let listed = get(&world.app, "/api/v1/leads", &of_nobody).await;
    assert_eq!(listed["items"], json!([]));

    let mut tx = world.db.org(org).await.unwrap();
    let audited: Vec<(String, Option<Value>, Option<Value>)> = sqlx::query_as(
        "SELECT actor_kind, before, after FROM audit_log WHERE action = 'lead.delete'",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let wanted = (
        "api_key".to_owned(),
        Some(json!({"deleted": false})),
        Some(json!({"deleted": true})),
    );
    assert_eq!(audited, [wanted]);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM leads WHERE deleted_at IS NOT NULL")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(kept, 1, "the row stays");
    drop(tx);

    // Its address may come in again, as a new lead, which a key of nobody may delete too.
    let again = made().await["id"].as_str().unwrap().to_owned();
    assert_ne!(again, lead);
    assert_eq!(delete(&world, &of_nobody, &again).await, 204);
}
