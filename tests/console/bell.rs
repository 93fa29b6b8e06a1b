//! The bell of an open page: what it is told, at once, and to whom.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use domain::member::Role;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Browser;
use crate::harness::World;
use crate::intake::capture;

/// News should be there much sooner.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open page, listening.
pub(super) struct Page {
    body: Body,
    read: String,
}

/// Where pages listen.
const STREAM: &str = "/dashboard/crm/notifications/stream";

/// What it was told.
pub(super) struct Event {
    pub(super) name: String,
    id: String,
    pub(super) data: Value,
}

impl Page {
    pub(super) async fn open(browser: &Browser<'_>, last: Option<&str>) -> Self {
        Self::open_at(STREAM, browser, last).await
    }

    /// The page that is told what its `path` says.
    pub(super) async fn open_at(path: &str, browser: &Browser<'_>, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header(header::COOKIE, &browser.cookie);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = browser.world.send(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        Self {
            body: response.into_body(),
            read: String::new(),
        }
    }

    pub(super) async fn next(&mut self) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let line = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
                };
                let told = line("data:").map(|data| Event {
                    name: line("event:").unwrap_or_default(),
                    id: line("id:").unwrap_or_default(),
                    data: serde_json::from_str(&data).unwrap(),
                });
                self.read = rest.to_owned();
                if let Some(told) = told {
                    return told;
                }
                continue;
            }
            let frame = tokio::time::timeout_at(deadline, self.body.frame()).await;
            let frame = frame.expect("the page should have been told").unwrap();
            let bytes = frame.unwrap().into_data().unwrap();
            self.read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

impl Page {
    /// Waits until no more is to come, whatever is told before.
    async fn ends(mut self) {
        let end = async { while self.body.frame().await.is_some() {} };
        let ended = tokio::time::timeout(PATIENCE, end).await;
        ended.expect("the page should be told no more");
    }
}

/// A lead comes in and is told of.
async fn lead(world: &World, name: &str) {
    let input = json!({"orgId": world.org().await, "firstName": name, "lastName": "Smith", "source": "website",
        "email": format!("{name}@example.com")});
    assert_eq!(world.send(capture(&input)).await.status(), 200);
    assert_eq!(world.work().await.failures(), []);
}

#[tokio::test]
async fn an_open_page_hears_of_a_lead_when_it_comes() {
    let world = World::new().await;
    let org = world.org().await;
    // A lead that is nobody's is told to those who run the org.
    world.member(org, "Ada", Role::Owner).await;
    let browser = world.browser("ada@example.test").await;
    let mut page = Page::open(&browser, None).await;
    let first = page.next().await;
    assert_eq!(first.data, json!({"unread": 0, "news": []}));

    lead(&world, "jane").await;
    let told = page.next().await;
    assert_eq!(told.data["unread"], 1);
    assert!(
        told.data["news"][0]["title"]
            .as_str()
            .unwrap()
            .contains("jane Smith")
    );
    let url = told.data["news"][0]["url"].as_str().unwrap();
    assert_eq!(browser.get(url).await.status, StatusCode::OK);

    // What was read elsewhere is counted no more.
    let read = browser.post("/dashboard/crm/notifications/read", &[]).await;
    assert_eq!(read.status, StatusCode::SEE_OTHER);
    assert_eq!(page.next().await.data, json!({"unread": 0, "news": []}));

    // A page that was away is told what it missed, and nothing twice.
    drop(page);
    lead(&world, "joan").await;
    let mut again = Page::open(&browser, Some(&told.id)).await;
    let missed = again.next().await;
    assert_eq!(missed.data["unread"], 1);
    assert_eq!(
        missed.data["news"].as_array().unwrap().len(),
        1,
        "{}",
        missed.data
    );
    assert!(
        missed.data["news"][0]["title"]
            .as_str()
            .unwrap()
            .contains("joan")
    );
}

#[tokio::test]
async fn nobody_hears_without_being_signed_in() {
    let world = World::new().await;
    let request = Request::get(STREAM).body(Body::empty());
    let response = world.send(request.unwrap()).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let to = response.headers()[header::LOCATION].to_str().unwrap();
    assert!(to.starts_with("/sign-in?"), "{to}");
}

#[tokio::test]
async fn a_page_hears_no_more_once_its_person_is_signed_out_or_shut_out() {
    let world = World::new().await;
    let org = world.org().await;
    let ada = world.member(org, "Ada", Role::Owner).await;
    let signed_out = world.browser("ada@example.test").await;
    let shut_out = world.browser("ada@example.test").await;
    let mut first = Page::open(&signed_out, None).await;
    let mut second = Page::open(&shut_out, None).await;
    first.next().await;
    second.next().await;

    let out = signed_out.post("/sign-out", &[]).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    lead(&world, "jane").await;
    first.ends().await;
    assert_eq!(second.next().await.data["unread"], 1);

    world.shut_out(ada.user).await;
    lead(&world, "joan").await;
    second.ends().await;
}

#[tokio::test]
async fn a_page_that_opens_its_stream_anew_is_told_what_it_missed() {
    let world = World::new().await;
    let org = world.org().await;
    world.member(org, "Ada", Role::Owner).await;
    let browser = world.browser("ada@example.test").await;
    lead(&world, "jane").await;
    let mut page = Page::open(&browser, None).await;
    let told = page.next().await;
    assert_eq!(told.data, json!({"unread": 1, "news": []}));
    drop(page);

    lead(&world, "joan").await;
    let anew = format!("{STREAM}?last={}", told.id);
    let mut page = Page::open_at(&anew, &browser, None).await;
    let missed = page.next().await;
    let news = missed.data["news"].as_array().unwrap();
    assert_eq!(news.len(), 1, "{news:?}");
    assert!(news[0]["title"].as_str().unwrap().contains("joan"));
}

#[tokio::test]
async fn what_a_program_marks_as_read_is_counted_no_more() {
    let world = World::new().await;
    let org = world.org().await;
    let ada = world.member(org, "Ada", Role::Owner).await.user;
    let key = crate::api::key(&world, org, &["leads:read"], Some(ada)).await;
    lead(&world, "jane").await;
    lead(&world, "joan").await;
    let browser = world.browser("ada@example.test").await;
    let mut page = Page::open(&browser, None).await;
    assert_eq!(page.next().await.data["unread"], 2);
    let mut tx = world.db.org(org).await.unwrap();
    let ids: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT id FROM notifications WHERE read_at IS NULL")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    drop(tx);

    let path = format!("/api/v1/notifications/{}/read", ids[0]);
    let read = crate::api::request(Method::POST, &path, &key);
    assert_eq!(world.send(read).await.status(), StatusCode::OK);
    assert_eq!(page.next().await.data["unread"], 1);

    let mut read = crate::api::request(Method::POST, "/api/trpc/crm.notifications.markRead", &key);
    let headers = read.headers_mut();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    *read.body_mut() = Body::from(json!({"id": ids[1]}).to_string());
    assert_eq!(world.send(read).await.status(), StatusCode::OK);
    assert_eq!(page.next().await.data["unread"], 0);
}
