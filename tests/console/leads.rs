//! The lead table and the page of a lead: what is seen, what may be done, and what is refused.

use axum::http::StatusCode;
use domain::actor::{Act, Actor};
use domain::command;
use domain::id::{LeadId, OrgId};
use domain::member::Role;
use domain::org::Visibility;
use domain::status::Status;
use domain::store::{lead_pages, members};
use serde_json::{Value, json};

use super::assert_labelled;
use crate::harness::World;
use crate::intake::capture;

/// Leads that came in by the front door, scored; the last of them first in lists.
pub(super) async fn taken(world: &World, org: OrgId, people: &[Value]) -> Vec<LeadId> {
    for person in people {
        let mut input = person.clone();
        input["orgId"] = json!(org);
        assert_eq!(world.send(capture(&input)).await.status(), 200);
    }
    world.work().await;
    let mut tx = world.db.org(org).await.unwrap();
    let leads = lead_pages::list(&mut tx, org, &Default::default(), 1_000).await;
    let mut leads: Vec<_> = leads.unwrap().into_iter().collect();
    let place = |lead: &domain::lead::Lead| {
        people
            .iter()
            .position(|person| person["email"].as_str() == lead.details.email.as_deref())
    };
    leads.sort_by_key(place);
    leads.iter().map(|lead| lead.id).collect()
}

pub(super) fn person(first: &str, last: &str) -> Value {
    let email = format!("{}@example.com", first.to_lowercase());
    json!({"firstName": first, "lastName": last, "email": email, "source": "website"})
}

pub(super) async fn status_of(world: &World, org: OrgId, lead: LeadId) -> Status {
    let mut tx = world.db.org(org).await.unwrap();
    lead_pages::find(&mut tx, org, lead)
        .await
        .unwrap()
        .unwrap()
        .status
}

#[tokio::test]
async fn the_first_page_says_what_to_do() {
    let world = World::new().await;
    world.rep("Ada").await;
    let page = world
        .browser("ada@example.test")
        .await
        .get("/dashboard/crm")
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(
        page.words()
            .contains("No leads yet They come in by the forms")
    );
    assert_labelled(&page);
}

#[tokio::test]
async fn leads_are_listed_filtered_and_paged() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let many: Vec<_> = (0..7)
        .map(|n| person(&format!("Lead{n}"), "Smith"))
        .collect();
    taken(&world, org, &many).await;
    let browser = world.browser("ada@example.test").await;

    let page = browser.get("/dashboard/crm/leads?limit=3").await;
    assert_labelled(&page);
    assert!(page.words().contains("Leads 7 leads"), "{}", page.words());
    assert_eq!(page.text.matches("data-row").count(), 3);
    let mut seen = 3;
    let mut next = page.text.clone();
    while let Some((before, _)) = next.split_once("\" rel=\"next\"") {
        let path = before.rsplit_once("href=\"").unwrap().1;
        let path = path.replace("&amp;", "&").replace("&#x2f;", "/");
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        seen += page.text.matches("data-row").count();
        next = page.text;
    }
    assert_eq!(seen, 7);

    let none = browser.get("/dashboard/crm/leads?status=won").await;
    assert!(none.words().contains("No lead matches"));
    assert!(none.text.contains("<option value=\"won\" selected>"));
    let found = browser.get("/dashboard/crm/leads?q=lead4").await;
    assert_eq!(found.text.matches("data-row").count(), 1);
    let wrong = browser.get("/dashboard/crm/leads?date_from=soon").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.words().contains("Must be a day or an instant"));
    assert!(
        wrong.text.contains("name=\"date_from\" value=\"soon\" aria-invalid=\"true\" aria-describedby=\"p-date_from\""),
        "{}",
        wrong.text
    );
    let wrong = browser.get("/dashboard/crm/leads?status=best").await;
    assert!(
        wrong
            .text
            .contains("<select name=\"status\" aria-invalid=\"true\"")
    );
}

#[tokio::test]
async fn what_strangers_write_is_text() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let mut evil = person("Mallory", "<script>alert(1)</script>");
    evil["company"] = json!("\"><img src=x onerror=alert(1)>");
    evil["message"] = json!("{{ 7 * 7 }} <b>bold</b>");
    let lead = taken(&world, org, &[evil]).await[0];
    let browser = world.browser("ada@example.test").await;

    for path in [
        "/dashboard/crm/leads".to_owned(),
        format!("/dashboard/crm/leads/{lead}"),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        for bad in ["<script>alert", "<img src=x", "<b>bold"] {
            assert!(!page.text.contains(bad), "{bad} in {path}");
        }
        assert!(page.text.contains("&lt;script&gt;alert(1)"), "{path}");
    }
    let page = browser.get(&format!("/dashboard/crm/leads/{lead}")).await;
    assert!(page.text.contains("{{ 7 * 7 }}"));
}

#[tokio::test]
async fn the_page_of_a_lead_explains_its_score() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    let page = world
        .browser("ada@example.test")
        .await
        .get(&format!("/dashboard/crm/leads/{lead}"))
        .await;

    assert_labelled(&page);
    let words = page.words();
    let score = words.split_once("Together ").unwrap().1;
    let score: i32 = score.split(' ').next().unwrap().parse().unwrap();
    let shown = lead_pages::find(&mut world.db.org(org).await.unwrap(), org, lead)
        .await
        .unwrap();
    assert_eq!(score, i32::from(shown.unwrap().score_total.unwrap()));
    assert!(words.contains("Source quality Website 14 / 20"), "{words}");
    assert!(words.contains("Timeline"));
}

#[tokio::test]
async fn a_status_is_changed_and_refusals_are_shown_at_their_field() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    let browser = world.browser("ada@example.test").await;
    let path = format!("/dashboard/crm/leads/{lead}/status");

    let back = ("back", "/dashboard/crm/leads?band=cold");
    let moved = browser.post(&path, &[("status", "contacted"), back]).await;
    assert_eq!(moved.status, StatusCode::SEE_OTHER);
    assert_eq!(moved.location, "/dashboard/crm/leads?band=cold&said=status");
    assert!(
        browser
            .get(&moved.location)
            .await
            .words()
            .contains("The status is changed.")
    );
    assert_eq!(status_of(&world, org, lead).await, Status::Contacted);

    let why = browser
        .post(&path, &[("status", "disqualified"), back])
        .await;
    assert_eq!(why.status, StatusCode::CONFLICT);
    assert!(
        why.words().contains("Disqualifying needs a reason."),
        "{}",
        why.words()
    );
    assert!(
        why.text
            .contains("<option value=\"disqualified\" selected>")
    );
    assert_eq!(status_of(&world, org, lead).await, Status::Contacted);

    browser
        .post(&path, &[("status", "lost"), ("reason", "price")])
        .await;
    let closed = browser.post(&path, &[("status", "contacted")]).await;
    assert_eq!(closed.status, StatusCode::CONFLICT);
    assert!(
        closed
            .words()
            .contains("The lead is closed as lost; reopen it explicitly.")
    );
    let opened = browser
        .post(&path, &[("status", "contacted"), ("reopen", "true")])
        .await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER);
    assert_eq!(status_of(&world, org, lead).await, Status::Contacted);
    // What a list showed before is one click away.
    let list = ("back", "/dashboard/crm/leads");
    let moved = browser
        .post(
            &path,
            &[("status", "qualified"), ("was", "contacted"), list],
        )
        .await;
    let page = browser.get(&moved.location).await;
    assert!(
        page.words().contains("The status is changed. Undo"),
        "{}",
        page.words()
    );
    assert!(page.text.contains("name=\"status\" value=\"contacted\""));
    let nonsense = browser.post(&path, &[("status", "best")]).await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
    world.work().await;
}

#[tokio::test]
async fn contacts_notes_dates_stages_and_hand_overs_are_written_down() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let bob = world.rep("Bob").await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    let browser = world.browser("ada@example.test").await;
    let path = |what: &str| format!("/dashboard/crm/leads/{lead}/{what}");
    let page = browser.get(&format!("/dashboard/crm/leads/{lead}")).await;

    let once = page.field("once");
    for _ in 0..2 {
        let contact = [
            ("method", "call"),
            ("notes", "Left a message"),
            ("once", &*once),
        ];
        assert_eq!(
            browser.post(&path("contact"), &contact).await.status,
            StatusCode::SEE_OTHER
        );
    }
    assert_eq!(
        browser
            .post(&path("contact"), &[("method", "smoke")])
            .await
            .status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        browser.post(&path("note"), &[("notes", " ")]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    browser
        .post(&path("note"), &[("notes", "Likes looms")])
        .await;
    browser
        .post(&path("follow-up"), &[("date", "2040-02-29")])
        .await;
    for wrong in ["2041-02-29", "2201-02-28", "0001-01-01"] {
        let no_day = browser.post(&path("follow-up"), &[("date", wrong)]).await;
        assert_eq!(no_day.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(no_day.words().contains("This is no day of the calendar."));
    }
    let over = browser
        .post(&path("follow-up"), &[("date", "2001-01-01")])
        .await;
    assert_eq!(over.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        over.words()
            .contains("That day is over; choose today or a later one.")
    );
    let stage = page
        .text
        .split("name=\"stage\" value=\"")
        .nth(3)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    browser.post(&path("stage"), &[("stage", stage)]).await;
    browser
        .post(&path("assign"), &[("to", &bob.user.to_string())])
        .await;
    let nobody = browser
        .post(&path("assign"), &[("to", &LeadId::new().to_string())])
        .await;
    assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY);
    world.work().await;

    let page = browser.get(&format!("/dashboard/crm/leads/{lead}")).await;
    let words = page.words();
    for seen in [
        "Left a message",
        "Likes looms",
        "Assigned to Bob",
        "1 so far",
        "Contacted: Call",
        "Changed: follow-up date",
        "Scored ",
        "Came in by API",
        "Moved from the stage New to Qualified",
        "Qualified",
    ] {
        assert!(words.contains(seen), "{seen}: {words}");
    }
    assert!(page.text.contains("value=\"2040-02-29\""));
    let bob = world
        .browser("bob@example.test")
        .await
        .get("/dashboard/crm/notifications")
        .await;
    assert!(
        bob.words().contains("Yours now: Grace Hopper"),
        "{}",
        bob.words()
    );
}

#[tokio::test]
async fn leads_of_others_are_not_there() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let other = world.another_org().await;
    let theirs = taken(&world, other, &[person("Grace", "Hopper")]).await[0];
    let browser = world.browser("ada@example.test").await;

    let page = browser.get(&format!("/dashboard/crm/leads/{theirs}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.words().contains("Lead not found."));
    let moved = browser
        .post(
            &format!("/dashboard/crm/leads/{theirs}/status"),
            &[("status", "won")],
        )
        .await;
    assert_eq!(moved.status, StatusCode::NOT_FOUND);
    assert_eq!(
        browser.get("/dashboard/crm/leads/nonsense").await.status,
        StatusCode::NOT_FOUND
    );
    assert_ne!(status_of(&world, other, theirs).await, Status::Won);
    assert_ne!(org, other);
}

#[tokio::test]
async fn a_rep_who_sees_their_own_leads_only_sees_no_others() {
    let world = World::new().await;
    let org = world.org_with(|org| org.visibility = Visibility::Own).await;
    let ada = world.member(org, "Ada", Role::Member).await;
    let bob = world.member(org, "Bob", Role::Member).await;
    let leads = taken(
        &world,
        org,
        &[person("Grace", "Hopper"), person("Joan", "Clarke")],
    )
    .await;
    let mut tx = world.db.org(org).await.unwrap();
    let act = Act::new(org, Actor::Platform, world.clock.now());
    command::assign_lead(&mut tx, &act, leads[0], Some(ada.user))
        .await
        .unwrap();
    assert_eq!(members::list(&mut tx, org).await.unwrap().len(), 2);
    tx.commit().await.unwrap();

    let browser = world.browser("ada@example.test").await;
    let words = browser.get("/dashboard/crm").await.words();
    assert!(
        words.contains("Grace Hopper") && !words.contains("Joan Clarke"),
        "{words}"
    );
    let hers = browser
        .get(&format!("/dashboard/crm/leads/{}", leads[1]))
        .await;
    assert_eq!(hers.status, StatusCode::NOT_FOUND);

    let given = [("to", &*bob.user.to_string())];
    let gone = browser
        .post(&format!("/dashboard/crm/leads/{}/assign", leads[0]), &given)
        .await;
    assert_eq!(gone.location, "/dashboard/crm/leads?said=assigned");
    world.work().await;
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let world = World::new().await;
    let org = world.org().await;
    world.member(org, "Vic", Role::Viewer).await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    let browser = world.browser("vic@example.test").await;

    let page = browser.get(&format!("/dashboard/crm/leads/{lead}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("Log a contact"));
    let refused = browser
        .post(
            &format!("/dashboard/crm/leads/{lead}/status"),
            &[("status", "won")],
        )
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_ne!(status_of(&world, org, lead).await, Status::Won);
}

#[tokio::test]
async fn whom_to_get_back_to_today_is_one_link_away() {
    let world = World::at("2030-03-04T23:30:00Z".parse().unwrap()).await;
    let org = world.org().await;
    let ada = world.rep("Ada").await;
    let leads = taken(
        &world,
        org,
        &[person("Jane", "Due"), person("Joan", "Later")],
    )
    .await;
    let act = Act::new(org, Actor::User(ada.user), world.clock.now());
    let mut tx = world.db.org(org).await.unwrap();
    for (lead, at) in [
        (leads[0], "2030-03-04T23:45:00Z"),
        (leads[1], "2030-03-05T00:15:00Z"),
    ] {
        command::assign_lead(&mut tx, &act, lead, Some(ada.user))
            .await
            .unwrap();
        sqlx::query("UPDATE leads SET next_follow_up_at = $2::timestamptz WHERE id = $1")
            .bind(lead)
            .bind(at)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    world.work().await;

    let browser = world.browser("ada@example.test").await;
    let to = browser.get("/dashboard/crm/today").await.location;
    let page = browser.get(&to).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    assert!(
        page.text.contains("aria-current=\"page\">Due today"),
        "{to}"
    );
    assert!(page.words().contains("Jane Due") && !page.words().contains("Joan Later"));

    // A search within it stays within it.
    let by = page.field("follow_up_by");
    let ada = ada.user;
    let search =
        |q: &str| format!("/dashboard/crm/leads?q={q}&assigned_to={ada}&follow_up_by={by}");
    let found = browser.get(&search("jane")).await;
    assert!(found.words().contains("Jane Due") && found.words().contains("Due today ×"));
    assert_eq!(found.field("follow_up_by"), by);
    assert!(
        !browser
            .get(&search("joan"))
            .await
            .words()
            .contains("Joan Later")
    );
}
