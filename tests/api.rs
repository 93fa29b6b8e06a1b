//! The REST API: who may, what is answered, and that the description says so.

mod addresses;
mod admin;
mod deleted;
mod hostile;
mod keys;
mod leads;
mod lengths;
mod notifications;
mod outage;
mod trpc;
pub(crate) mod writes;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use domain::id::{LeadId, OrgId, UserId};
use domain::key_scope::Scope;
use domain::store::api_keys::{self, NewApiKey};
use http_body_util::BodyExt;
use insta::assert_snapshot;
use leadmill::api::openapi::description;
use leadmill::web::api_key::NewKey;
use serde_json::Value;
use tower::ServiceExt;

use crate::harness::World;
use crate::web::{answer, web};

/// A key of `org` with these scopes, doing the work of `user`.
pub(crate) async fn key(
    world: &World,
    org: OrgId,
    scopes: &[&str],
    user: Option<UserId>,
) -> String {
    let new = NewKey::generate();
    let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    let kept = NewApiKey {
        name: "test",
        prefix: &new.prefix,
        secret_hash: &new.secret_hash,
        scopes: &scopes,
        acts_as: user,
    };
    let mut tx = world.db.org(org).await.unwrap();
    api_keys::insert(&mut tx, org, &kept).await.unwrap();
    tx.commit().await.unwrap();
    new.key
}

/// A request with a key and nothing else.
pub(crate) fn request(method: Method, path: &str, key: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .body(Body::empty())
        .unwrap()
}

/// The JSON that a GET is answered with.
pub(crate) async fn get(web: &Router, path: &str, key: &str) -> Value {
    let response = web
        .clone()
        .oneshot(request(Method::GET, path, key))
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

/// A lead of `org` by its first name, captured at the world's present.
pub(crate) async fn lead(world: &World, org: OrgId, name: &str, status: &str) -> LeadId {
    let lead = LeadId::new();
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query(
        "INSERT INTO leads (id, org_id, first_name, email, email_norm, status, created_at, updated_at, status_changed_at)
         VALUES ($1, $2, $3, lower($3) || '@example.com', lower($3) || '@example.com', $4, $5, $5, $5)",
    )
    .bind(lead)
    .bind(org)
    .bind(name)
    .bind(status)
    .bind(world.clock.now())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    lead
}

#[tokio::test]
async fn a_call_without_a_key_that_opens_something_is_refused() {
    let world = World::new().await;
    let org = crate::web::org(&world, "active").await;
    let web = web(&world, |_| {});
    let good = key(&world, org, &["leads:read"], None).await;
    let mut forged = good.clone();
    forged.replace_range(
        forged.len() - 1..,
        if good.ends_with('a') { "b" } else { "a" },
    );
    let revoked = key(&world, org, &["leads:read"], None).await;
    let expired = key(&world, org, &["leads:read"], None).await;
    let mut tx = world.db.org(org).await.unwrap();
    for (key, column) in [(&revoked, "revoked_at"), (&expired, "expires_at")] {
        let prefix = key.rsplit_once('_').unwrap().0;
        let statement = match column {
            "revoked_at" => "UPDATE api_keys SET revoked_at = $2 WHERE prefix = $1",
            _ => "UPDATE api_keys SET expires_at = $2 WHERE prefix = $1",
        };
        sqlx::query(statement)
            .bind(prefix)
            .bind(world.clock.now())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let suspended = crate::web::org(&world, "suspended").await;
    let closed = key(&world, suspended, &["leads:read"], None).await;

    let fine = answer(&web, request(Method::GET, "/api/v1/leads", &good)).await;
    assert!(fine.starts_with("200 OK"), "{fine}");
    for key in ["", "nonsense", &forged, &revoked, &expired, &closed] {
        assert_snapshot!(
            "unauthorized",
            answer(&web, request(Method::GET, "/api/v1/leads", key)).await
        );
    }
    let mut by_header = request(Method::GET, "/api/v1/leads", "");
    by_header.headers_mut().remove(header::AUTHORIZATION);
    assert_snapshot!("unauthorized", answer(&web, by_header).await);
    let by_header = Request::get("/api/v1/leads")
        .header("x-api-key", &good)
        .body(Body::empty())
        .unwrap();
    assert!(answer(&web, by_header).await.starts_with("200 OK"));
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say() {
    let world = World::new().await;
    let org = crate::web::org(&world, "active").await;
    let web = web(&world, |_| {});
    let writer = key(&world, org, &["leads:write"], None).await;
    assert_snapshot!(
        "forbidden",
        answer(&web, request(Method::GET, "/api/v1/leads", &writer)).await
    );
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_a_problem() {
    let world = World::new().await;
    let web = web(&world, |_| {});
    assert_snapshot!(
        "nowhere",
        answer(&web, request(Method::GET, "/api/v1/nothing", "")).await
    );
    assert_snapshot!(
        "wrong_method",
        answer(&web, request(Method::DELETE, "/api/v1/leads", "")).await
    );
}

#[tokio::test]
async fn the_description_is_served_and_pinned() {
    let world = World::new().await;
    let web = web(&world, |_| {});
    let served = get(&web, "/openapi.json", "").await;
    assert_eq!(served, serde_json::to_value(description()).unwrap());
    let operations = served["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values());
    let mut names: Vec<&str> = operations
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each operation has a name of its own");
    assert_snapshot!(serde_json::to_string_pretty(&served).unwrap());
}
