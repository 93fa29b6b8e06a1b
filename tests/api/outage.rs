//! The database is gone: 503 and when to come again, whatever was asked. It gives up: what was asked is to be narrowed.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use tower::ServiceExt;

use super::{key, request};
use crate::harness::World;
use crate::web::web_on;

#[tokio::test]
async fn whoever_asks_while_the_database_is_gone_is_told_when_to_come_again() {
    let world = World::new().await;
    let org = world.org().await;
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    let nowhere = PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy("postgres://nobody@127.0.0.1:1/nothing")
        .unwrap();
    let web = web_on(&world, nowhere, |_| {});
    let one = format!("/api/v1/leads/{}", domain::id::LeadId::new());
    for (method, path, body) in [
        (Method::GET, "/api/v1/leads", ""),
        (Method::GET, &*one, ""),
        (
            Method::POST,
            "/api/v1/leads",
            r#"{"email": "ada@engines.example"}"#,
        ),
        (Method::PATCH, &*one, r#"{"job_title": "Countess"}"#),
    ] {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap();

        let response = web.clone().oneshot(request).await.unwrap();

        assert_eq!(response.status(), 503, "{method} {path}");
        let headers = response.headers();
        let wait = headers[header::RETRY_AFTER].to_str().unwrap();
        assert!(wait.parse::<u64>().is_ok_and(|wait| wait > 0), "{wait}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], 503, "{problem}");
    }
}

/// To come again would be in vain.
#[tokio::test]
async fn who_asks_for_more_than_can_be_looked_through_is_told_to_narrow_it() {
    let world = World::new().await;
    let org = world.org().await;
    let key = key(&world, org, &["ops:read"], None).await;
    let mut held = world.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE queue.job, queue.job_history IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();

    for path in ["/api/v1/admin/jobs", "/api/v1/admin/dead_letters"] {
        let response = world.send(request(Method::GET, path, &key)).await;

        assert_eq!(response.status(), 422, "{path}");
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["type"], "too-broad", "{problem}");
        let detail = "That took longer than two seconds; narrow it by queue, kind or org";
        assert_eq!(problem["detail"], detail, "{problem}");
    }
}
