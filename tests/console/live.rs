//! What an open page shows of what others do, without being loaded again by hand: the script puts the parts that say
//! `data-live` in their place whenever the page is told of something.

use axum::http::{Method, StatusCode};
use domain::member::Role;
use domain::status::Status;
use jobs::SendMail;
use leadmill::dev::mailbox;
use serde_json::json;

use super::bell::Page;
use super::{Answer, Browser, assert_labelled};
use crate::harness::World;
use crate::intake::capture;

/// The element that begins with `start`, to its end, if it is live.
fn live<'a>(page: &'a Answer, start: &str, end: &str) -> &'a str {
    let at = page.text.find(start).expect(start);
    let part = &page.text[at..];
    let part = &part[..part.find(end).expect(end)];
    assert!(
        part[..part.find('>').unwrap()].contains("data-live"),
        "{part}"
    );
    part
}

/// What the head of a lead and its fields say.
struct Head {
    head: String,
    status: String,
    owner: String,
}

impl Head {
    async fn of(browser: &Browser<'_>, url: &str) -> Self {
        let page = browser.get(url).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_labelled(&page);
        let chosen = |start: &str| {
            let field = live(&page, start, "</label>");
            let chosen = field.split_once(" selected>").expect(field).1;
            chosen.split_once('<').unwrap().0.to_owned()
        };
        Self {
            head: Answer::plain(live(&page, "<header class=\"who\"", "</header>")).words(),
            status: chosen("<label data-live>Status"),
            owner: chosen("<label data-live>Assigned to"),
        }
    }
}

impl Answer {
    fn plain(text: &str) -> Self {
        Self {
            status: StatusCode::OK,
            location: String::new(),
            cookie: String::new(),
            text: text.to_owned(),
        }
    }
}

#[tokio::test]
async fn the_head_of_a_lead_follows_what_another_does_to_it() {
    let world = World::new().await;
    let org = world.org().await;
    let ada_id = world.member(org, "Ada", Role::Owner).await.user.to_string();
    let ada = world.browser("ada@example.test").await;
    let mut open = Page::open(&ada, None).await;
    open.next().await;
    let input = json!({"orgId": org, "firstName": "Jane", "lastName": "Smith", "source": "website",
        "email": "jane@example.com"});
    assert_eq!(world.send(capture(&input)).await.status(), 200);
    assert_eq!(world.work().await.failures(), []);
    let told = open.next().await;
    let url = told.data["news"][0]["url"].as_str().unwrap().to_owned();
    let before = Head::of(&ada, &url).await;
    assert!(before.head.contains("New") && !before.head.contains("Contacted"));
    assert!(!before.head.contains("Not scored yet"), "{}", before.head);
    assert_eq!(before.status, "New");

    let bob = world.member(org, "Bob", Role::Owner).await.user;
    let browser = world.browser("bob@example.test").await;
    for (field, value) in [
        ("status", "contacted".to_owned()),
        ("assign", bob.to_string()),
    ] {
        let name = if field == "assign" { "to" } else { field };
        let done = browser
            .post(&format!("{url}/{field}"), &[(name, &*value)])
            .await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.words());
    }
    let after = Head::of(&ada, &url).await;
    assert!(
        after.head.contains("Contacted B Assigned to Bob"),
        "{}",
        after.head
    );
    assert_eq!((&*after.status, &*after.owner), ("Contacted", "Bob"));

    // Whoever it is given to is told on whatever page is open, and that makes the page look.
    let given = browser
        .post(&format!("{url}/assign"), &[("to", &*ada_id)])
        .await;
    assert_eq!(given.status, StatusCode::SEE_OTHER, "{}", given.words());
    assert_eq!(world.work().await.failures(), []);
    let told = open.next().await;
    assert_eq!(told.data["news"][0]["url"], url);
    assert_eq!(Head::of(&ada, &url).await.owner, "Ada");
}

#[tokio::test]
async fn statuses_are_chosen_under_open_and_closed() {
    let world = World::new().await;
    let org = world.org().await;
    world.member(org, "Ada", Role::Owner).await;
    let ada = world.browser("ada@example.test").await;
    let lead = crate::api::lead(&world, org, "Jane", "lost").await;
    for path in [
        format!("/dashboard/crm/leads/{lead}"),
        "/dashboard/crm/leads".into(),
    ] {
        let page = ada.get(&path).await;
        let selects: Vec<&str> = page.text.split("<select name=\"status\"").skip(1).collect();
        // In the table one is the filter, the other the lead's own.
        assert_eq!(selects.len(), if path.ends_with("leads") { 2 } else { 1 });
        for select in selects {
            let select = select.split_once("</select>").unwrap().0;
            assert_eq!(select.matches("<optgroup").count(), 2, "{select}");
            assert_eq!(select.matches("</optgroup>").count(), 2, "{select}");
            let (open, closed) = select.split_once("<optgroup label=\"Closed\">").unwrap();
            let (_, open) = open.split_once("<optgroup label=\"Open\">").unwrap();
            for (part, is_open) in [(open, true), (closed, false)] {
                let values: Vec<&str> = part.split("<option value=\"").skip(1).collect();
                assert!(!values.is_empty());
                for value in values {
                    let status: Status = value.split_once('"').unwrap().0.parse().unwrap();
                    assert_eq!(status.is_open(), is_open, "{status}");
                }
            }
        }
    }
    let own = ada.get(&format!("/dashboard/crm/leads/{lead}")).await;
    assert!(own.text.contains("<option value=\"lost\" selected>"));
}

#[tokio::test]
async fn mails_of_which_nobody_knows_whether_they_went_lead_to_their_jobs() {
    let world = World::new().await;
    let org = world.org().await;
    world.member(org, "Ada", Role::Owner).await;
    let ada = world.browser("ada@example.test").await;
    let input = json!({"orgId": org, "firstName": "Jane", "lastName": "Smith", "source": "website",
        "email": "jane@example.com"});
    assert_eq!(world.send(capture(&input)).await.status(), 200);
    assert_eq!(world.work().await.failures(), []);
    let none = ada.get("/ops").await;
    assert!(
        none.words()
            .contains("0 of your mails may or may not be sent")
    );
    assert!(!none.text.contains("state=skipped"));

    // The process that gave the mail away died before it heard what came of it.
    let mut tx = world.db.org(org).await.unwrap();
    let message = sqlx::query_scalar("UPDATE email_messages SET state = 'handoff' RETURNING id")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.enqueue(&SendMail { org, message }).await;
    assert_eq!(world.work().await.failures(), []);

    let now = ada.get("/ops").await;
    assert!(
        now.words()
            .contains("1 of your mails may or may not be sent"),
        "{}",
        now.words()
    );
    let text = now
        .text
        .replace("&#x2f;", "/")
        .replace("&amp;", "&")
        .replace("&#x3d;", "=");
    let link = format!("/ops/jobs?finished=true&state=skipped&kind=send_mail&org={org}");
    assert!(
        text.contains(&format!("<a href=\"{link}\">of your mails")),
        "{text}"
    );
    let jobs = ada.get(&link).await;
    assert_eq!(jobs.status, StatusCode::OK, "{}", jobs.words());
    let rows = jobs.text.matches("data-row=\"/ops/jobs/").count();
    assert_eq!(rows, 1, "{}", jobs.words());
}

#[tokio::test]
async fn the_mailbox_of_dev_shows_a_mail_when_it_comes() {
    let world = World::new().await;
    let org = world.org().await;
    world.member(org, "Ada", Role::Owner).await;
    let pages = mailbox::router(world.mailbox().await.clone()).with_state(crate::web::app(&world));
    let look = async || {
        let request = crate::api::request(Method::GET, mailbox::PATH, "");
        let response = tower::ServiceExt::oneshot(pages.clone(), request).await;
        Answer::of(response.unwrap()).await
    };
    let every = |page: &Answer| {
        let part = live(page, "<section data-live", "</section>").to_owned();
        let every = part.split_once("data-every=\"").unwrap().1;
        (
            every.split_once('"').unwrap().0.parse::<u32>().unwrap(),
            part,
        )
    };
    let before = look().await;
    // The script that looks again stands in the page, and is told how often.
    assert!(before.text.contains("<script type=\"module\" src="));
    let (seconds, part) = every(&before);
    assert!((1..=5).contains(&seconds));
    assert!(part.contains("No mail yet"), "{part}");

    let input = json!({"orgId": org, "firstName": "Jane", "lastName": "Smith", "source": "website",
        "email": "jane@example.com"});
    assert_eq!(world.send(capture(&input)).await.status(), 200);
    assert_eq!(world.work().await.failures(), []);
    let (_, part) = every(&look().await);
    assert!(
        part.contains("Jane Smith") && part.contains("/dev/mail/1"),
        "{part}"
    );
}
