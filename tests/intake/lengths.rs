//! How much each field takes: all of its length, and not one character more, by its name.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use domain::id::OrgId;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{capture, form, inbox, jane, org, post, web};
use crate::harness::World;

/// A body may be larger than any of these fields.
const BODY: usize = 4_000_000;
const MEGABYTE: usize = 1_000_000;

/// Every text of a capture and its longest length in characters.
const CAPTURE: [(&str, usize); 21] = [
    ("firstName", 200),
    ("lastName", 200),
    ("phone", 50),
    ("company", 200),
    ("jobTitle", 200),
    ("message", 10_000),
    ("linkedinUrl", 2_000),
    ("sourceUrl", 2_000),
    ("utmSource", 500),
    ("utmMedium", 500),
    ("utmCampaign", 500),
    ("utmTerm", 500),
    ("utmContent", 500),
    ("gclid", 500),
    ("gbraid", 500),
    ("wbraid", 500),
    ("fbclid", 500),
    ("msclkid", 500),
    ("liFatId", 500),
    ("ttclid", 500),
    ("email", 320),
];

/// Fields of a form by the names that people give them; any other name is an answer of its own.
const FORM: [(&str, usize); 11] = [
    ("name", 200),
    ("First Name", 200),
    ("last_name", 200),
    ("phone", 50),
    ("company", 200),
    ("job-title", 200),
    ("linkedin", 2_000),
    ("website", 2_000),
    ("message", 10_000),
    ("email", 320),
    ("favourite colour", 10_000),
];

async fn json_of(web: &Router, request: Request<Body>) -> (u16, Value) {
    let response = web.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.len() < 20_000, "what was sent is not sent back");
    (status, serde_json::from_slice(&body).unwrap())
}

/// Jane, with one field so long.
fn with(org: OrgId, field: &str, length: usize) -> Value {
    let mut input = jane(org);
    input[field] = "ß".repeat(length).into();
    input
}

#[tokio::test]
async fn each_field_of_a_capture_takes_its_length_and_no_more() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| config.http.body_limit = BODY);
    for (field, most) in CAPTURE {
        for length in [most + 1, MEGABYTE] {
            let (status, told) = json_of(&web, capture(&with(org, field, length))).await;
            assert_eq!(status, 400, "{field}");
            let issues: Value =
                serde_json::from_str(told["error"]["message"].as_str().unwrap()).unwrap();
            assert_eq!(issues.as_array().unwrap().len(), 1, "{field}");
            assert_eq!(issues[0]["path"], json!([field]));
            assert_eq!(issues[0]["code"], "too_big", "{field}");
            assert_eq!(issues[0]["maximum"], most, "{field}");
        }
    }
    assert_eq!(inbox(&world, org).await.len(), 0);
    for (field, most) in CAPTURE.into_iter().filter(|(field, _)| *field != "email") {
        let (status, told) = json_of(&web, capture(&with(org, field, most))).await;
        assert_eq!(status, 200, "{field}: {told}");
    }
    assert_eq!(inbox(&world, org).await.len(), CAPTURE.len() - 1);
}

#[tokio::test]
async fn own_fields_of_a_capture_are_as_short_as_those_of_a_form() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| config.http.body_limit = BODY);
    let long_name = "n".repeat(201);
    for (fields, named) in [
        (json!({"colour": "x".repeat(MEGABYTE)}), "colour"),
        (json!({"list": vec!["x"; 100_000]}), "list"),
        (json!({&long_name: 1}), &long_name[..200]),
        (json!({"n".repeat(MEGABYTE): 1}), &long_name[..200]),
    ] {
        let mut input = jane(org);
        input["customFields"] = fields;
        let (status, told) = json_of(&web, capture(&input)).await;
        assert_eq!(status, 400, "{named}");
        let issues: Value =
            serde_json::from_str(told["error"]["message"].as_str().unwrap()).unwrap();
        assert_eq!(issues[0]["path"], json!(["customFields", named]));
        let message = issues[0]["message"].as_str().unwrap();
        assert!(message.contains("at most"), "{message}");
    }
    assert_eq!(inbox(&world, org).await.len(), 0);

    let mut input = jane(org);
    input["customFields"] = json!({"n".repeat(200): "x".repeat(10_000)});
    assert_eq!(json_of(&web, capture(&input)).await.0, 200);
}

#[tokio::test]
async fn each_field_of_a_form_takes_its_length_and_no_more_in_every_encoding() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| config.http.body_limit = BODY);
    form(&world, org, "tok", json!({})).await;
    let encodings: [fn(&str, &str) -> Request<Body>; 3] = [as_json, as_pairs, as_parts];
    for (field, most) in FORM {
        for (encode, length) in encodings
            .into_iter()
            .flat_map(|encode| [(encode, most + 1), (encode, MEGABYTE)])
        {
            let (status, told) = json_of(&web, encode(field, &"x".repeat(length))).await;
            assert_eq!(status, 422, "{field}");
            let errors = told["errors"].as_array().unwrap();
            assert_eq!(errors.len(), 1, "{field}: {told}");
            let message = format!("Must be at most {most} characters");
            let wrong = json!({"field": field, "code": "too_long", "message": message});
            assert_eq!(errors[0], wrong);
        }
    }
    let (status, told) = json_of(&web, as_json(&"n".repeat(MEGABYTE), "x")).await;
    assert_eq!(status, 422);
    assert_eq!(told["errors"][0]["code"], "name_too_long");
    assert_eq!(told["errors"][0]["field"], "n".repeat(200));
    assert_eq!(inbox(&world, org).await.len(), 0);

    for (field, most) in FORM.into_iter().filter(|(field, _)| *field != "email") {
        let (status, told) = json_of(&web, as_json(field, &"x".repeat(most))).await;
        assert_eq!(status, 200, "{field}: {told}");
    }
    assert_eq!(inbox(&world, org).await.len(), FORM.len() - 1);
}

#[tokio::test]
async fn what_a_page_adds_to_a_form_may_be_long_and_does_no_harm() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| config.http.body_limit = BODY);
    let settings = json!({"allowed_origins": ["https://a.example"]});
    form(&world, org, "tok", settings).await;
    // A key of any length tells one submission from another.
    let key = "k".repeat(MEGABYTE);
    let (first, told) = json_of(&web, as_json("_key", &key)).await;
    let (again, same) = json_of(&web, as_json("_key", &key)).await;
    let (other, apart) = json_of(&web, as_json("_key", &(key + "x"))).await;
    assert_eq!((first, again, other), (200, 200, 200));
    assert_eq!(told["id"], same["id"]);
    assert_ne!(told["id"], apart["id"]);
    assert_eq!(inbox(&world, org).await.len(), 2);

    for (next, taken) in [(10, true), (MEGABYTE, false)] {
        let next = format!("https://a.example/{}", "n".repeat(next));
        let (status, told) = json_of(&web, as_json("_next", &next)).await;
        assert_eq!(status, 200);
        assert_eq!(told["next"] == json!(next), taken, "{}", told["next"]);
    }
    for campaign in ["utm_source", "gclid"] {
        let (status, told) = json_of(&web, as_json(campaign, &"c".repeat(5_000))).await;
        assert_eq!(status, 200, "{told}");
    }
    let kept = inbox(&world, org).await;
    let kept = &kept.last().unwrap().submission["click_ids"]["gclid"];
    assert_eq!(kept.as_str().unwrap().len(), 500);
}

/// An address and one field more; an address by itself where the field is one.
fn pairs<'a>(field: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let own = (field != "email").then_some(("email", "jane@example.com"));
    own.into_iter().chain([(field, value)]).collect()
}

fn as_json(field: &str, value: &str) -> Request<Body> {
    let fields: Value = pairs(field, value)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    post("/f/tok", "application/json", fields.to_string())
}

fn as_pairs(field: &str, value: &str) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs(field, value))
        .finish();
    asking(post("/f/tok", "application/x-www-form-urlencoded", body))
}

fn as_parts(field: &str, value: &str) -> Request<Body> {
    let mut body = String::new();
    for (name, value) in pairs(field, value) {
        body += &format!(
            "--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
    }
    body += "--edge--\r\n";
    asking(post("/f/tok", "multipart/form-data; boundary=edge", body))
}

/// As a script asks, so that it is answered in JSON.
fn asking(mut request: Request<Body>) -> Request<Body> {
    let json = "application/json".parse().unwrap();
    request.headers_mut().insert("accept", json);
    request
}
