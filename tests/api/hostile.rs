//! What a program sends that cannot be a lead, and the exact answer.

use axum::body::Body;
use axum::http::{Method, header};
use insta::assert_snapshot;
use serde_json::json;

use super::{get, key, request};
use crate::harness::World;
use crate::web::{answer, web};

#[tokio::test]
async fn whatever_is_no_lead_is_refused_by_name_and_leaves_nothing() {
    let world = World::new().await;
    let org = world.org().await;
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    let web = web(&world, |config| config.http.body_limit = 2_000);
    let post = |kind: &str, body: Vec<u8>| {
        let mut request = request(Method::POST, "/api/v1/leads", &key);
        let kind = kind.parse().unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        *request.body_mut() = Body::from(body);
        request
    };
    let json = "application/json";
    let lead = |more: serde_json::Value| {
        let mut lead = json!({"email": "ada@engines.example", "first_name": "Ada"});
        lead.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        lead.to_string().into_bytes()
    };

    let mut told = Vec::new();
    for (name, request) in [
        ("nothing", post(json, Vec::new())),
        (
            "malformed",
            post(json, b"{\"email\": \"ada@engines.example\",}".to_vec()),
        ),
        ("a list", post(json, b"[]".to_vec())),
        (
            "no utf-8",
            post(json, b"{\"first_name\": \"\xFF\"}".to_vec()),
        ),
        (
            "a form",
            post(
                "application/x-www-form-urlencoded",
                b"email=ada%40engines.example".to_vec(),
            ),
        ),
        (
            "too large",
            post(json, lead(json!({"notes": "x".repeat(2_000)}))),
        ),
        (
            "wrong types",
            post(
                json,
                lead(json!({"first_name": 5, "estimated_value": "many", "tags": [1]})),
            ),
        ),
        (
            "nul",
            post(
                json,
                lead(json!({"last_name": "a\0b", "custom_fields": {"x": "\0"}})),
            ),
        ),
        (
            "line break in an address",
            post(
                json,
                lead(json!({"email": "a@b.example\r\nBcc: c@d.example"})),
            ),
        ),
        (
            "too long",
            post(json, lead(json!({"first_name": "x".repeat(1_000)}))),
        ),
    ] {
        told.push(format!("=== {name}\n{}", answer(&web, request).await));
    }

    assert_snapshot!(told.join("\n"));
    let leads = get(&web, "/api/v1/leads", &key).await;
    assert_eq!(leads["items"], json!([]));
}

#[tokio::test]
async fn template_syntax_and_every_script_are_text() {
    let world = World::new().await;
    let org = world.org().await;
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    let web = web(&world, |_| {});
    let name = "{{ 7 * 7 }}<b> \u{202e}Ω李雷";
    let mut post = request(Method::POST, "/api/v1/leads", &key);
    post.headers_mut()
        .insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    *post.body_mut() =
        Body::from(json!({"email": "ada@engines.example", "last_name": name}).to_string());
    let answered = answer(&web, post).await;
    assert!(answered.starts_with("201 Created"), "{answered}");
    world.work().await;

    let leads = get(&web, "/api/v1/leads", &key).await;
    assert_eq!(leads["items"][0]["last_name"], name);
}

#[tokio::test]
async fn the_key_of_an_org_that_is_not_served_opens_nothing() {
    let world = World::new().await;
    for status in ["suspended", "deleted"] {
        let org = crate::web::org(&world, status).await;
        let key = key(&world, org, &["leads:read"], None).await;
        let web = web(&world, |_| {});
        let answered = answer(&web, request(Method::GET, "/api/v1/leads", &key)).await;
        assert!(
            answered.starts_with("401 Unauthorized"),
            "{status}: {answered}"
        );
    }
}
