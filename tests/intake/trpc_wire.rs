//! The wire of `/api/trpc`: batches, stream links, superjson, and an envelope for everything that goes wrong.

use axum::body::Body;
use axum::http::{Method, Request};
use insta::assert_snapshot;
use serde_json::json;

use super::{answer, capture, jane, org, post, web};
use crate::harness::World;

fn batch(paths: &str, body: &serde_json::Value) -> Request<Body> {
    post(
        &format!("/api/trpc/{paths}?batch=1"),
        "application/json",
        body.to_string(),
    )
}

#[tokio::test]
async fn a_batch_is_answered_in_order_with_the_status_its_calls_share() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let twice = "crm.leads.capture,crm.leads.capture";

    assert_snapshot!(
        "batch_of_one",
        answer(&web, batch("crm.leads.capture", &json!({"0": jane(org)}))).await
    );
    assert_snapshot!(
        "batch_fine",
        answer(&web, batch(twice, &json!({"0": jane(org), "1": jane(org)}))).await
    );
    assert_snapshot!(
        "batch_mixed",
        answer(
            &web,
            batch(twice, &json!({"0": jane(org), "1": {"orgId": org}}))
        )
        .await
    );
    assert_snapshot!(
        "batch_missing",
        answer(&web, batch("x.y,crm.leads.capture", &json!({}))).await
    );
    assert_snapshot!(
        "batch_no_object",
        answer(&web, batch("crm.leads.capture", &json!([jane(org)]))).await
    );
    let many = vec!["crm.leads.capture"; 51].join(",");
    assert_snapshot!(
        "batch_too_many",
        answer(&web, batch(&many, &json!({}))).await
    );
}

#[tokio::test]
async fn stream_links_get_the_least_that_they_can_read() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let send = |name: &'static str, value: &str| {
        let mut request = batch("crm.leads.capture,x.y", &json!({"0": jane(org)}));
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    assert_snapshot!(
        "stream_v11",
        answer(&web, send("trpc-accept", "application/jsonl")).await
    );
    assert_snapshot!(
        "stream_v10",
        answer(&web, send("trpc-batch-mode", "stream")).await
    );
}

#[tokio::test]
async fn a_superjson_client_is_answered_in_superjson() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let wrapped = json!({"json": jane(org), "meta": {"values": {}, "v": 1}});
    assert_snapshot!("superjson_fine", answer(&web, capture(&wrapped)).await);
    let nothing = json!({"json": null, "meta": {"values": ["undefined"], "v": 1}});
    assert_snapshot!("superjson_undefined", answer(&web, capture(&nothing)).await);
}

#[tokio::test]
async fn superjson_is_read_over_stream_links_and_where_the_request_failed_as_a_whole() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| config.http.body_limit = 2_000);
    let send = |body: String, name: &'static str, value: &str| {
        let path = "/api/trpc/crm.leads.capture,crm.leads.capture?batch=1";
        let mut request = post(path, "application/json", body);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let wrapped = json!({"0": {"json": jane(org)}, "1": {"json": {"orgId": org}}}).to_string();
    assert_snapshot!(
        "superjson_v11",
        answer(
            &web,
            send(wrapped.clone(), "trpc-accept", "application/jsonl")
        )
        .await
    );
    assert_snapshot!(
        "superjson_v10",
        answer(&web, send(wrapped, "trpc-batch-mode", "stream")).await
    );
    let large = " ".repeat(2_001);
    assert_snapshot!(
        "too_large_v11",
        answer(
            &web,
            send(large.clone(), "trpc-accept", "application/jsonl")
        )
        .await
    );
    assert_snapshot!(
        "too_large_v10",
        answer(&web, send(large, "trpc-batch-mode", "stream")).await
    );
}

#[tokio::test]
async fn whatever_goes_wrong_is_an_envelope() {
    let world = World::new().await;
    let web = web(&world, |config| config.http.body_limit = 2_000);
    let path = "/api/trpc/crm.leads.capture";
    let json = "application/json";
    for (name, request) in [
        (
            "unknown_procedure",
            post("/api/trpc/crm.leads.nothing", json, "{}"),
        ),
        ("no_procedure", post("/api/trpc", json, "{}")),
        ("no_procedure", post("/api/trpc/", json, "{}")),
        (
            "wrong_method",
            Request::get(format!("{path}?input=%7B%7D"))
                .body(Body::empty())
                .unwrap(),
        ),
        (
            "put",
            Request::builder()
                .method(Method::PUT)
                .uri(path)
                .body(Body::from("{}"))
                .unwrap(),
        ),
        ("malformed", post(path, json, "{\"orgId\":")),
        (
            "malformed_batch",
            post(&format!("{path}?batch=1"), json, "{"),
        ),
        (
            "bad_utf8",
            post(path, json, b"{\"firstName\":\"\xFF\"}".to_vec()),
        ),
        ("too_large", post(path, json, vec![b' '; 2_001])),
        ("bad_path", post("/api/trpc/%FF", json, "{}")),
        (
            "encoded_path",
            post("/api/trpc/crm%2Eleads%2Ecapture", json, "{}"),
        ),
        ("deep", post(path, json, "[".repeat(1_000))),
    ] {
        assert_snapshot!(format!("wire_{name}"), answer(&web, request).await);
    }
}

#[tokio::test]
async fn browsers_may_ask_first_and_probes_may_look() {
    let world = World::new().await;
    let web = web(&world, |_| {});
    let ask = |method: Method| {
        Request::builder()
            .method(method)
            .uri("/api/trpc/crm.leads.capture")
            .header("origin", "https://a.example")
            .header("access-control-request-method", "POST")
            .body(Body::empty())
            .unwrap()
    };
    assert_snapshot!("preflight", answer(&web, ask(Method::OPTIONS)).await);
    assert_snapshot!("head", answer(&web, ask(Method::HEAD)).await);
}
