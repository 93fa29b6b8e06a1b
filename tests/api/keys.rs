//! What a key is when it acts for a person, and what it leaves behind.

use axum::http::Method;
use domain::clock::Timestamp;
use domain::member::Role;
use domain::org::Visibility;
use serde_json::{Value, json};

use super::writes::{send, writer};
use super::{get, key, lead};
use crate::harness::World;

const LEADS: &str = "/api/v1/leads";

#[tokio::test]
async fn two_keys_of_an_org_may_happen_upon_the_same_idempotency_key() {
    let world = World::new().await;
    let (org, first) = writer(&world).await;
    let second = key(&world, org, &["leads:read", "leads:write"], None).await;
    let same = [("idempotency-key", "one")];

    let ada = json!({"email": "ada@engines.example"});
    let (status, _, made) = send(&world, &first, Method::POST, LEADS, &same, &ada).await;
    assert_eq!(status, 201, "{made}");
    let bob = json!({"email": "bob@engines.example"});
    let (status, _, other) = send(&world, &second, Method::POST, LEADS, &same, &bob).await;
    assert_eq!((status, &other["email"]), (201, &bob["email"]));
    for (key, body, lead) in [(&first, &ada, &made), (&second, &bob, &other)] {
        let (status, _, again) = send(&world, key, Method::POST, LEADS, &same, body).await;
        assert_eq!((status, &again), (201, lead));
    }
    world.work().await;
}

#[tokio::test]
async fn a_key_that_acts_for_somebody_sees_what_they_see() {
    let world = World::new().await;
    let org = world.org_with(|org| org.visibility = Visibility::Own).await;
    let rep = world.member(org, "Rep", Role::Member).await.user;
    let boss = world.member(org, "Boss", Role::Admin).await.user;
    let scopes = ["leads:read", "leads:write"];
    let theirs = key(&world, org, &scopes, Some(rep)).await;
    let all = key(&world, org, &scopes, Some(boss)).await;
    let hidden = lead(&world, org, "Hidden", "new").await;

    let ada = json!({"email": "ada@engines.example"});
    let (status, _, made) = send(&world, &theirs, Method::POST, LEADS, &[], &ada).await;
    assert_eq!(status, 201, "{made}");
    let listed = get(&world.app, LEADS, &theirs).await;
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 1, "{listed}");
    assert_eq!(ids[0]["id"], made["id"]);
    let path = format!("{LEADS}/{hidden}");
    let change = json!({"job_title": "Countess"});
    let (status, _, _) = send(&world, &theirs, Method::PATCH, &path, &[], &change).await;
    assert_eq!(status, 404);
    assert_eq!(get(&world.app, &path, &theirs).await["status"], 404);
    // An address that a hidden lead has is taken, and whose it is stays hidden.
    let taken = json!({"email": "hidden@example.com"});
    let (status, _, problem) = send(&world, &theirs, Method::POST, LEADS, &[], &taken).await;
    assert_eq!(
        (status, &problem["lead_id"]),
        (409, &Value::Null),
        "{problem}"
    );

    assert_eq!(
        get(&world.app, LEADS, &all).await["items"]
            .as_array()
            .unwrap()
            .len(),
        2,
        "who runs the org sees all of it"
    );
    // What is given away is answered once more, and then out of sight.
    let own = format!("{LEADS}/{}", made["id"].as_str().unwrap());
    let give = json!({"assigned_to": boss});
    let (status, _, given) = send(&world, &theirs, Method::PATCH, &own, &[], &give).await;
    assert_eq!((status, &given["assigned_to"]), (200, &json!(boss)));
    world.work().await;
}

#[tokio::test]
async fn a_key_of_somebody_who_left_or_is_locked_out_opens_nothing() {
    for (statement, opens) in [
        ("UPDATE users SET disabled_at = now() WHERE id = $1", false),
        ("DELETE FROM memberships WHERE user_id = $1", false),
        ("UPDATE users SET name = 'Rep II' WHERE id = $1", true),
    ] {
        let world = World::new().await;
        let org = world.org().await;
        let rep = world.member(org, "Rep", Role::Member).await.user;
        let key = key(&world, org, &["leads:read"], Some(rep)).await;
        assert!(get(&world.app, LEADS, &key).await["items"].is_array());
        let mut tx = if statement.contains("users") {
            world.db.platform().await.unwrap()
        } else {
            world.db.org(org).await.unwrap()
        };
        let done = sqlx::query(statement).bind(rep).execute(&mut *tx).await;
        assert_eq!(done.unwrap().rows_affected(), 1);
        tx.commit().await.unwrap();

        let answer = get(&world.app, LEADS, &key).await;

        assert_eq!(answer["items"].is_array(), opens, "{statement}: {answer}");
        if !opens {
            assert_eq!(answer["status"], 401);
        }
    }
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_before_it_is_answered() {
    let world = World::new().await;
    let (org, key) = writer(&world).await;

    get(&world.app, LEADS, &key).await;

    let mut tx = world.db.org(org).await.unwrap();
    let noted: Option<Timestamp> = sqlx::query_scalar("SELECT last_used_at FROM api_keys")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let off = (noted.unwrap() - world.clock.now()).abs();
    assert!(off < chrono::TimeDelta::milliseconds(1), "{off}");
}
