//! Signing in and out, and who is turned away.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use chrono::TimeDelta;
use domain::member::Role;

use super::assert_labelled;
use super::bell::Page;
use crate::harness::World;

#[tokio::test]
async fn a_link_by_mail_signs_in_once() {
    let world = World::new().await;
    world.rep("Ada").await;
    let asked = world.ask(Method::GET, "/sign-in", "", "").await;
    assert_labelled(&asked);

    let form = "email=Ada%40example.test&next=%2Fops%2Fjobs";
    let sent = world.ask(Method::POST, "/sign-in", "", form).await;
    assert_eq!(
        (sent.status, &*sent.location),
        (StatusCode::SEE_OTHER, "/sign-in/sent")
    );
    world.work().await;

    let mails = world.mailbox().await.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["ada@example.test"]);
    let raw = String::from_utf8_lossy(&mails[0].raw).replace("=\r\n", "");
    let link = raw.split("https://leadmill.example.test").nth(1).unwrap();
    let link = link.split_whitespace().next().unwrap();
    let opened = world.ask(Method::GET, link, "", "").await;
    assert_eq!(
        opened.status,
        StatusCode::OK,
        "looking at it does not use it up"
    );
    assert_labelled(&opened);
    let next = sent.cookie.split_once(';').unwrap().0;
    let entered = world.ask(Method::POST, link, next, "").await;
    assert_eq!(
        (entered.status, &*entered.location),
        (StatusCode::SEE_OTHER, "/ops/jobs")
    );
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(entered.cookie.contains(part), "{}", entered.cookie);
    }
    let cookie = entered.cookie.split_once(';').unwrap().0;
    let home = world.ask(Method::GET, "/dashboard/crm", cookie, "").await;
    assert_eq!(home.status, StatusCode::OK);

    let again = world.ask(Method::POST, link, "", "").await;
    assert_eq!(again.status, StatusCode::GONE);
    assert_eq!(again.cookie, "");
}

#[tokio::test]
async fn nobody_is_told_whose_address_it_is() {
    let world = World::new().await;
    world.rep("Ada").await;

    let known = world
        .ask(Method::POST, "/sign-in", "", "email=ada%40example.test")
        .await;
    let unknown = world
        .ask(Method::POST, "/sign-in", "", "email=eve%40example.test")
        .await;

    assert_eq!(
        (known.status, &known.location),
        (unknown.status, &unknown.location)
    );
    assert_eq!(
        (&known.text, &known.cookie),
        (&unknown.text, &unknown.cookie)
    );
    world.work().await;
    assert_eq!(world.mailbox().await.mails().len(), 1);
}

#[tokio::test]
async fn an_address_that_is_none_and_asking_often_are_refused() {
    let world = World::new().await;
    let wrong = world.ask(Method::POST, "/sign-in", "", "email=ada").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.words().contains("Type an e-mail address"));
    assert_eq!(wrong.field("email"), "ada");

    let mut last = StatusCode::OK;
    for _ in 0..20 {
        last = world
            .ask(Method::POST, "/sign-in", "", "email=ada")
            .await
            .status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_link_and_a_session_end_with_time() {
    let world = World::new().await;
    world.rep("Ada").await;
    let late = world.link("ada@example.test").await;
    world.clock.advance(TimeDelta::minutes(16));
    let answer = world.ask(Method::POST, &late, "", "").await;
    assert_eq!(answer.status, StatusCode::GONE);

    let browser = world.browser("ada@example.test").await;
    world.clock.advance(TimeDelta::hours(11));
    assert_eq!(browser.get("/dashboard/crm").await.status, StatusCode::OK);
    world.clock.advance(TimeDelta::hours(11));
    assert_eq!(
        browser.get("/dashboard/crm").await.status,
        StatusCode::OK,
        "it was in use"
    );
    world.clock.advance(TimeDelta::hours(13));
    let idle = browser.get("/dashboard/crm/leads?band=hot").await;
    assert_eq!(idle.status, StatusCode::SEE_OTHER);
    assert_eq!(
        idle.location,
        "/sign-in?next=%2Fdashboard%2Fcrm%2Fleads%3Fband%3Dhot"
    );

    let browser = world.browser("ada@example.test").await;
    for _ in 0..31 {
        world.clock.advance(TimeDelta::hours(11));
        browser.get("/dashboard/crm").await;
    }
    assert_eq!(
        browser.get("/dashboard/crm").await.status,
        StatusCode::SEE_OTHER,
        "two weeks are the most"
    );
}

/// What an open page fetches by itself is no sign that somebody is there.
#[tokio::test]
async fn a_browser_that_is_only_left_open_is_signed_out() {
    let world = World::new().await;
    world.rep("Ada").await;
    for (header, value) in [("sec-fetch-mode", "cors"), ("x-leadmill-script", "1")] {
        let browser = world.browser("ada@example.test").await;
        let ask = async |name: &'static str, value: &'static str| {
            let request = Request::get("/dashboard/crm/leads")
                .header(header::COOKIE, &browser.cookie)
                .header(name, value)
                .body(Body::empty())
                .unwrap();
            world.send(request).await.status()
        };
        for _ in 0..2 {
            world.clock.advance(TimeDelta::hours(11));
            assert_eq!(ask("sec-fetch-mode", "navigate").await, 200, "in use");
        }
        world.clock.advance(TimeDelta::hours(11));
        assert_eq!(ask(header, value).await, 200, "{header}");
        Page::open(&browser, None).await.next().await;
        world.clock.advance(TimeDelta::hours(2));
        assert_eq!(ask("sec-fetch-mode", "navigate").await, 303, "{header}");
    }
}

#[tokio::test]
async fn signing_out_and_signing_in_anew_end_the_session() {
    let world = World::new().await;
    world.rep("Ada").await;
    let browser = world.browser("ada@example.test").await;
    let link = world.link("ada@example.test").await;
    let anew = world.ask(Method::POST, &link, &browser.cookie, "").await;
    assert_eq!(anew.status, StatusCode::SEE_OTHER);
    assert_eq!(
        browser.get("/dashboard/crm").await.status,
        StatusCode::SEE_OTHER
    );

    let browser = world.browser("ada@example.test").await;
    let out = browser.post("/sign-out", &[]).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    assert!(out.cookie.contains("Max-Age=0"), "{}", out.cookie);
    assert_eq!(
        browser.get("/dashboard/crm").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let world = World::new().await;
    world.rep("Ada").await;
    let browser = world.browser("ada@example.test").await;
    let csrf = browser
        .get("/dashboard/crm/notifications")
        .await
        .field("csrf");
    let read = "/dashboard/crm/notifications/read";
    let send = async |header: (&'static str, &'static str), form: String| {
        let request = Request::post(read)
            .header(header::COOKIE, &browser.cookie)
            .header(header::HOST, "console.example")
            .header(header.0, header.1)
            .body(Body::from(form))
            .unwrap();
        world.send(request).await.status()
    };

    let proven = format!("csrf={csrf}");
    assert_eq!(
        send(("sec-fetch-site", "cross-site"), proven.clone()).await,
        403
    );
    assert_eq!(
        send(("origin", "https://evil.example"), proven.clone()).await,
        403
    );
    assert_eq!(
        send(("origin", "https://console.example"), proven.clone()).await,
        303
    );
    assert_eq!(
        send(("sec-fetch-site", "same-origin"), String::new()).await,
        403
    );
    let other = format!("csrf={}", csrf.replace(char::is_alphanumeric, "A"));
    assert_eq!(send(("sec-fetch-site", "same-origin"), other).await, 403);
}

#[tokio::test]
async fn a_closed_account_and_one_without_an_org_do_not_get_in() {
    let world = World::new().await;
    let org = world.org().await;
    let ada = world.member(org, "Ada", Role::Owner).await;
    let browser = world.browser("ada@example.test").await;
    let link = world.link("ada@example.test").await;
    world.shut_out(ada.user).await;

    assert_eq!(
        browser.get("/dashboard/crm").await.status,
        StatusCode::SEE_OTHER
    );
    let answer = world.ask(Method::POST, &link, "", "").await;
    assert_eq!(answer.status, StatusCode::GONE);
    world
        .ask(Method::POST, "/sign-in", "", "email=ada%40example.test")
        .await;
    world.work().await;
    assert_eq!(world.mailbox().await.mails().len(), 0);
}

#[tokio::test]
async fn whoever_sent_a_form_too_late_comes_back_to_its_page() {
    let world = World::new().await;
    let send = async |referer: &'static str| {
        let request = Request::post("/dashboard/crm/notifications/read")
            .header(header::HOST, "console.example")
            .header("sec-fetch-site", "same-origin")
            .header(header::REFERER, referer)
            .body(Body::empty())
            .unwrap();
        let answer = world.send(request).await;
        answer.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        send("http://console.example/dashboard/crm/leads?band=hot").await,
        "/sign-in?next=%2Fdashboard%2Fcrm%2Fleads%3Fband%3Dhot"
    );
    assert_eq!(
        send("http://evil.example/dashboard/crm/leads").await,
        "/sign-in?next=%2Fdashboard%2Fcrm"
    );
}

#[tokio::test]
async fn an_unknown_address_is_a_page_for_people_and_a_problem_for_programs() {
    let world = World::new().await;
    let ask = async |accept: &'static str| {
        let request = Request::get("/dashboard/nowhere")
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .unwrap();
        let answer = world.send(request).await;
        let kind = answer.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        (answer.status(), kind)
    };
    let browser = ask("text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!(
        browser,
        (StatusCode::NOT_FOUND, "text/html; charset=utf-8".into())
    );
    let program = ask("*/*").await;
    assert_eq!(
        program,
        (StatusCode::NOT_FOUND, "application/problem+json".into())
    );
}
