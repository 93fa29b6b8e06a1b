//! How much each field takes over REST and tRPC: all of its length, and not one character more, by its name.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{key, lead, request};
use crate::harness::World;
use crate::web::web;

/// A body may be larger than any of these fields.
const BODY: usize = 4_000_000;
const MEGABYTE: usize = 1_000_000;

/// Every text of a lead and its longest length in characters.
const FIELDS: [(&str, usize); 18] = [
    ("name", 200),
    ("first_name", 200),
    ("last_name", 200),
    ("email", 320),
    ("phone", 50),
    ("job_title", 200),
    ("linkedin_url", 2_000),
    ("company", 200),
    ("state", 10),
    ("message", 10_000),
    ("notes", 10_000),
    ("source_detail", 500),
    ("source_url", 2_000),
    ("budget", 500),
    ("authority", 500),
    ("need", 500),
    ("timeline", 500),
    ("reason", 500),
];

async fn send(web: &Router, method: Method, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let mut request = request(method, path, key);
    let json = "application/json".parse().unwrap();
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    *request.body_mut() = Body::from(body.to_string());
    let response = web.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        name + &word[..1].to_uppercase() + &word[1..]
    })
}

/// A lead with one field so long.
fn with(field: &str, length: usize) -> Value {
    let mut input = json!({"email": "ada@engines.example", "first_name": "Ada", "last_name": "L"});
    input[field] = "ß".repeat(length).into();
    input
}

#[tokio::test]
async fn each_field_takes_its_length_and_no_more_over_rest() {
    let world = World::new().await;
    let org = world.org().await;
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    let web = web(&world, |config| config.http.body_limit = BODY);
    let ada = format!("/api/v1/leads/{}", lead(&world, org, "Ada", "new").await);
    for (field, most) in FIELDS {
        let too_long = json!([{"field": field, "code": "too_long",
            "message": format!("Must be at most {most} characters")}]);
        for length in [most + 1, MEGABYTE] {
            let long = with(field, length);
            let (status, told) = send(&web, Method::POST, "/api/v1/leads", &key, &long).await;
            assert_eq!((status, &told["errors"]), (422, &too_long));
            let change = json!({field: long[field]});
            let (status, told) = send(&web, Method::PATCH, &ada, &key, &change).await;
            assert_eq!((status, &told["errors"]), (422, &too_long));
        }
        if field != "email" {
            let change = json!({field: with(field, most)[field]});
            let (status, told) = send(&web, Method::PATCH, &ada, &key, &change).await;
            assert_eq!(status, 200, "{field}: {told}");
        }
    }
}

#[tokio::test]
async fn each_field_takes_its_length_and_no_more_over_trpc() {
    let world = World::new().await;
    let org = world.org().await;
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    let web = web(&world, |config| config.http.body_limit = BODY);
    let ada = lead(&world, org, "Ada", "new").await;
    for (field, most) in FIELDS {
        let name = camel_case(field);
        let mut long = json!({"email": "a@engines.example", "firstName": "Ada", "lastName": "L"});
        long[&name] = "ß".repeat(MEGABYTE).into();
        let change = json!({"id": ada, &name: long[&name]});
        for (path, input) in [("crm.leads.create", long), ("crm.leads.update", change)] {
            let path = format!("/api/trpc/{path}");
            let (status, told) = send(&web, Method::POST, &path, &key, &input).await;
            assert_eq!(status, 400, "{field}");
            let issues: Value =
                serde_json::from_str(told["error"]["message"].as_str().unwrap()).unwrap();
            assert_eq!(issues.as_array().unwrap().len(), 1, "{field}");
            assert_eq!(issues[0]["path"], json!([name]));
            let told = issues[0]["message"].as_str().unwrap();
            assert!(told.contains(&most.to_string()), "{field}: {told}");
        }
    }
}

#[tokio::test]
async fn what_is_no_text_has_its_bounds_too() {
    let world = World::new().await;
    let org = world.org().await;
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    let web = web(&world, |config| config.http.body_limit = BODY);
    let megabyte = "x".repeat(MEGABYTE);
    for (field, value, told) in [
        ("tags", json!([megabyte]), "64 characters"),
        ("tags", json!(vec!["x"; 51]), "at most 50"),
        (
            "custom_fields",
            json!({"colour": megabyte}),
            "colour: Must be at most 10000 characters",
        ),
        (
            "custom_fields",
            json!({&megabyte: 1}),
            "name has at most 200 characters",
        ),
        (
            "custom_fields",
            json!({"list": vec![1; 10_000]}),
            "list: Must be at most 10000 characters",
        ),
        ("country", json!(megabyte), "ISO 3166"),
        ("currency", json!(megabyte), "ISO 4217"),
        ("time_zone", json!(megabyte), "IANA time zone"),
        ("source", json!(megabyte), "Must be one of"),
        ("status", json!(megabyte), "Must be one of"),
        ("stage_id", json!(megabyte), "Must be an id"),
        ("next_follow_up_at", json!(megabyte), "Must be an instant"),
    ] {
        let mut input = with("first_name", 3);
        input[field] = value;
        let (status, answer) = send(&web, Method::POST, "/api/v1/leads", &key, &input).await;
        assert_eq!(status, 422, "{field}");
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{field}");
        assert_eq!(answer["errors"][0]["field"], field);
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(
            message.contains(told) && message.len() < 500,
            "{field}: {message}"
        );
    }
    // Of a name that there is not, no more is told than tells it.
    let (status, answer) = send(
        &web,
        Method::POST,
        "/api/v1/leads",
        &key,
        &json!({&megabyte: 1}),
    )
    .await;
    assert_eq!(status, 422);
    assert_eq!(answer["errors"][0]["field"].as_str().unwrap().len(), 100);
}
