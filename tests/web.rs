//! The web side as a test asks it: its answers as text, ids hidden.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use domain::id::OrgId;
use http_body_util::BodyExt;
use leadmill::app::App;
use leadmill::config::Config;
use leadmill::serve;
use leadmill::stop::Stop;
use leadmill::web::view::Views;
use sqlx::PgPool;
use tower::ServiceExt;

use crate::harness::World;

/// Headers that are part of the promise.
const SHOWN: [&str; 11] = [
    "content-type",
    "www-authenticate",
    "location",
    "retry-after",
    "vary",
    "allow",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
    "cache-control",
];

/// The web side of a world under other settings.
pub(crate) fn web(world: &World, change: impl FnOnce(&mut Config)) -> Router {
    web_on(world, world.pool.clone(), change)
}

/// The same with another way to the database.
pub(crate) fn web_on(world: &World, pool: PgPool, change: impl FnOnce(&mut Config)) -> Router {
    let mut config = Config::default();
    config.intake.per_ip_per_minute = 10_000;
    config.intake.per_ip_burst = 10_000;
    change(&mut config);
    router(world, pool, config, Views::load(None).unwrap())
}

/// The same with other pages.
pub(crate) fn web_with(world: &World, views: Views) -> Router {
    router(world, world.pool.clone(), Config::default(), views)
}

fn router(world: &World, pool: PgPool, config: Config, views: Views) -> Router {
    let wake = queue::Wake::new(pool.clone());
    serve::router(App::new(
        Arc::new(config),
        views,
        pool,
        world.clock.clone(),
        wake,
        Stop::default(),
    ))
}

/// An org of its own name and status.
pub(crate) async fn org(world: &World, status: &str) -> OrgId {
    let org = OrgId::new();
    let mut tx = world.db.platform().await.unwrap();
    sqlx::query("INSERT INTO orgs (id, slug, name, status) VALUES ($1, $2, $2, $3)")
        .bind(org)
        .bind(format!("org-{}", org.uuid().simple()))
        .bind(status)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    org
}

/// What `web` answers: status, the headers that matter, the body; ids are hidden.
pub(crate) async fn answer(web: &Router, request: Request<Body>) -> String {
    let response = web.clone().oneshot(request).await.unwrap();
    let mut shown = format!("{}\n", response.status());
    for name in SHOWN {
        for value in response.headers().get_all(name) {
            shown += &format!("{name}: {}\n", value.to_str().unwrap());
        }
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    hide_ids(&format!("{shown}\n{}", String::from_utf8_lossy(&body)))
}

fn hide_ids(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        shown += &rest[..at];
        rest = &rest[at..];
        match rest.get(..36).and_then(|id| uuid::Uuid::try_parse(id).ok()) {
            Some(_) => {
                shown += "[id]";
                rest = &rest[36..];
            }
            None => {
                shown += &rest[..1];
                rest = &rest[1..];
            }
        }
    }
    shown + rest
}

/// A POST of `body` as `kind`.
pub(crate) fn post(path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .unwrap()
}
