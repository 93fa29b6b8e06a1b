//! A page of a lead hears that somebody or something changed the lead: at once, of this lead only, and never of one that
//! its person may not see.

use axum::http::{Method, StatusCode};
use domain::command;
use domain::id::{LeadId, OrgId, RunId, UserId};
use domain::member::Role;
use domain::org::Visibility;
use domain::store::bell::{self, NewNews};
use jobs::EnrichLead;
use serde_json::{Value, json};

use super::Browser;
use super::bell::Page;
use super::leads::{person, taken};
use crate::api::{key, lead, writes};
use crate::harness::World;
use crate::intake::capture;
use crate::jobs::score;

/// An open page of `lead`, told by now how things are.
async fn open(browser: &Browser<'_>, lead: LeadId) -> Page {
    let page = browser.get(&format!("/dashboard/crm/leads/{lead}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    let (_, told) = page.text.split_once("data-bell=\"").unwrap();
    let path = told.split_once('"').unwrap().0.replace("&amp;", "&");
    assert!(path.contains(&format!("?lead={lead}&as_of=")), "{path}");
    let mut page = Page::open_at(&path, browser, None).await;
    assert_eq!(page.next().await.name, "bell");
    page
}

/// What the page is told next is that `lead` was changed, and nothing else of it.
async fn hears(page: &mut Page, lead: LeadId, of: &str) {
    let told = page.next().await;
    assert_eq!(
        (&*told.name, told.data),
        ("lead", json!({"lead": lead})),
        "{of}"
    );
}

/// Somebody has news, on every page of theirs.
async fn news(world: &World, org: OrgId, user: UserId) {
    let news = NewNews {
        user,
        kind: "lead_hot",
        title: "Something else".into(),
        body: None,
        lead: None,
        data: Value::Null,
        dedupe_key: LeadId::new().to_string(),
        at: world.clock.now(),
    };
    let mut tx = world.db.org(org).await.unwrap();
    bell::insert(&mut tx, org, &[news]).await.unwrap();
    tx.commit().await.unwrap();
    let mut db = world.pool.acquire().await.unwrap();
    bell::ring(&mut db, org, &[user]).await.unwrap();
}

#[tokio::test]
async fn a_page_hears_what_people_and_programs_do_to_its_lead() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let bob = world.member(org, "Bob", Role::Owner).await.user.to_string();
    world.rep("Ada").await;
    let ada = world.browser("ada@example.test").await;
    let other = world.browser("bob@example.test").await;
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    let lead = lead(&world, org, "Jane", "new").await;
    let mut page = open(&ada, lead).await;

    for (verb, fields) in [
        ("status", [("status", "contacted"), ("x", "")]),
        ("assign", [("to", &*bob), ("x", "")]),
        ("contact", [("method", "call"), ("once", "1")]),
        ("follow-up", [("date", "2031-01-01"), ("x", "")]),
        ("note", [("notes", "asks for more"), ("x", "")]),
    ] {
        let path = format!("/dashboard/crm/leads/{lead}/{verb}");
        let done = other.post(&path, &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.words());
        hears(&mut page, lead, verb).await;
    }
    let path = format!("/api/v1/leads/{lead}");
    let body = json!({"job_title": "Chief"});
    let (status, _, answer) = writes::send(&world, &key, Method::PATCH, &path, &[], &body).await;
    assert_eq!(status, 200, "{answer}");
    hears(&mut page, lead, "REST").await;
    let body = json!({"id": lead, "jobTitle": "Head"});
    let path = "/api/trpc/crm.leads.update";
    let (status, _, answer) = writes::send(&world, &key, Method::POST, path, &[], &body).await;
    assert_eq!(status, 200, "{answer}");
    hears(&mut page, lead, "tRPC").await;
}

#[tokio::test]
async fn a_page_hears_what_jobs_do_to_its_lead() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let ada = world.browser("ada@example.test").await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    assert_eq!(world.work().await.failures(), []);

    let mut page = open(&ada, lead).await;
    world.enqueue(&score(org, lead)).await;
    assert_eq!(world.work().await.count("score_lead"), 1);
    hears(&mut page, lead, "a score").await;

    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE leads SET enrichment_status = 'pending'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut page = open(&ada, lead).await;
    world.enqueue(&EnrichLead { org, lead }).await;
    assert_eq!(world.work().await.count("enrich_lead"), 1);
    hears(&mut page, lead, "being looked up").await;

    let mut page = open(&ada, lead).await;
    let again = json!({"orgId": org, "firstName": "Grace", "lastName": "Hopper", "source": "website",
        "email": "grace@example.com", "jobTitle": "Admiral"});
    assert_eq!(world.send(capture(&again)).await.status(), 200);
    assert_eq!(world.work().await.count("process_intake"), 1);
    hears(&mut page, lead, "another submission").await;

    // The run of the night does many in one transaction, and tells of them when it ends.
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE leads SET score_total = 1, score_updated_at = NULL, score_hash = NULL")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut page = open(&ada, lead).await;
    let act = world.act(org);
    let mut tx = world.db.org(org).await.unwrap();
    let stretch = command::next_stretch(&mut tx, &act, None, 100).await;
    let stretch = stretch.unwrap().unwrap();
    let done = command::rescore_stretch(&mut tx, &act, RunId::new(), &stretch).await;
    assert_eq!(done.unwrap().scored, 1);
    tx.commit().await.unwrap();
    hears(&mut page, lead, "the run of the night").await;
}

#[tokio::test]
async fn a_page_hears_of_its_own_lead_only_and_news_are_no_change_of_it() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let user = world.member(org, "Ada", Role::Owner).await.user;
    let ada = world.browser("ada@example.test").await;
    let (own, other) = (
        lead(&world, org, "Jane", "new").await,
        lead(&world, org, "Joan", "new").await,
    );
    let mut page = open(&ada, own).await;

    let path = format!("/dashboard/crm/leads/{other}/status");
    let done = ada.post(&path, &[("status", "contacted")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    news(&world, org, user).await;

    // Rings come in the order in which they were rung: had the other lead been told, it would be first.
    let told = page.next().await;
    assert_eq!((&*told.name, &told.data["unread"]), ("bell", &json!(1)));
}

#[tokio::test]
async fn nobody_hears_of_a_lead_that_they_may_not_see() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org_with(|org| org.visibility = Visibility::Own).await;
    let ada = world.member(org, "Ada", Role::Member).await.user;
    world.member(org, "Olaf", Role::Owner).await;
    let (theirs, browser) = (
        lead(&world, org, "Joan", "new").await,
        world.browser("ada@example.test").await,
    );
    let owner = world.browser("olaf@example.test").await;
    let elsewhere = lead(&world, world.another_org().await, "Jane", "new").await;
    let mut pages = Vec::new();
    for lead in [theirs, elsewhere] {
        // Also when she says that she saw it long ago.
        let path =
            format!("/dashboard/crm/notifications/stream?lead={lead}&as_of=2020-01-01T00:00:00Z");
        let mut page = Page::open_at(&path, &browser, None).await;
        assert_eq!(page.next().await.name, "bell");
        pages.push(page);
    }
    let post = async |verb: &str, field: (&str, &str)| {
        let path = format!("/dashboard/crm/leads/{theirs}/{verb}");
        let done = owner.post(&path, &[field]).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.words());
    };
    post("status", ("status", "contacted")).await;
    news(&world, org, ada).await;
    for page in &mut pages {
        assert_eq!(page.next().await.name, "bell");
    }

    // Given to her, it is hers to see, and taken away, it is not.
    post("assign", ("to", &ada.to_string())).await;
    hears(&mut pages[0], theirs, "what is hers now").await;
    post("assign", ("to", "")).await;
    post("status", ("status", "qualified")).await;
    news(&world, org, ada).await;
    assert_eq!(pages[0].next().await.name, "bell");
}

#[tokio::test]
async fn a_page_that_was_away_hears_that_its_lead_was_changed_meanwhile() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let ada = world.browser("ada@example.test").await;
    let lead = lead(&world, org, "Jane", "new").await;
    let stream = "/dashboard/crm/notifications/stream";
    let path = format!("{stream}?lead={lead}&as_of=2020-01-01T00:00:00Z");
    let mut page = Page::open_at(&path, &ada, None).await;
    assert_eq!(page.next().await.name, "bell");
    hears(&mut page, lead, "what it missed").await;

    for (query, field) in [
        ("lead=x", "lead"),
        ("as_of=soon", "as_of"),
        ("colour=red", "colour"),
    ] {
        let wrong = ada.get(&format!("{stream}?{query}")).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(wrong.words().contains(&format!("{field}: ")), "{query}");
    }
}
