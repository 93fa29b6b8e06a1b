//! What people see of what never came to a page: too slow, or a page that cannot be rendered.

use std::fs;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use domain::member::Role;
use leadmill::web::view::Views;
use serde_json::Value;
use tower::ServiceExt;

use super::Answer;
use crate::api;
use crate::harness::World;
use crate::web::{web, web_with};

/// What a browser is answered, and when it is to come again.
async fn look(web: &Router, path: &str, cookie: &str) -> (Answer, Option<String>) {
    let request = Request::get(path)
        .header(header::COOKIE, cookie)
        .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
        .body(Body::empty())
        .unwrap();
    let response = web.clone().oneshot(request).await.unwrap();
    let again = response.headers().get(header::RETRY_AFTER);
    let again = again.map(|again| again.to_str().unwrap().to_owned());
    (Answer::of(response).await, again)
}

#[tokio::test]
async fn what_takes_too_long_is_a_page_for_people_and_a_problem_for_programs() {
    let world = World::new().await;
    let org = world.org().await;
    world.member(org, "Ada", Role::Owner).await;
    let browser = world.browser("ada@example.test").await;
    let key = api::key(&world, org, &["leads:read"], None).await;
    let web = web(&world, |config| {
        config.http.request_timeout = "500ms".parse().unwrap();
    });
    let mut held = world.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE leads IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();

    let (page, again) = look(&web, "/dashboard/crm/leads", &browser.cookie).await;
    assert_eq!(page.status, 503);
    let told = "It took too long; what was done is done, do it again to go on.";
    assert!(page.words().contains(told), "{}", page.text);
    assert!(page.words().contains("To the leads"), "{}", page.text);
    assert!(again.is_some());

    let request = api::request(Method::GET, "/api/v1/leads", &key);
    let response = web.clone().oneshot(request).await.unwrap();
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    let problem: Value = serde_json::from_str(&Answer::of(response).await.text).unwrap();
    assert_eq!(problem["type"], "unavailable", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("It took too long"), "{problem}");
}

#[tokio::test]
async fn a_page_that_cannot_be_rendered_is_not_white() {
    let world = World::new().await;
    world.rep("Ada").await;
    let browser = world.browser("ada@example.test").await;
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("pages/console/rep");
    fs::create_dir_all(&pages).unwrap();
    fs::write(pages.join("leads.html"), "{{ nothing.of.the.kind }}").unwrap();
    let web = web_with(&world, Views::load(Some(dir.path())).unwrap());

    let (page, _) = look(&web, "/dashboard/crm/leads", &browser.cookie).await;

    assert_eq!(page.status, 500);
    let words = page.words();
    assert!(words.contains("That was our mistake"), "{}", page.text);
    assert!(words.contains("Something went wrong here."), "{words}");
}
