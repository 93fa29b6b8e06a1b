//! Who is reminded of whom, and how the mail reads.

use domain::contact::Contact;
use domain::org::OrgSettings;
use jobs::RemindOrgFollowUps;
use serde_json::json;

use super::*;

/// This morning.
const NOW: &str = "2030-03-04T08:00:00Z";

/// A lead whose rep wanted to come back to it then.
async fn due(world: &World, org: OrgId, rep: Option<UserId>, name: &str, at: &str) -> LeadId {
    lead_with(world, org, |capture| {
        capture.details.first_name = Some(name.into());
        capture.details.next_follow_up_at = Some(time(at));
        capture.assigned_to = rep;
    })
    .await
}

async fn remind(world: &World, org: OrgId) -> queue::Drained {
    let due_at = time(NOW);
    world.enqueue(&RemindOrgFollowUps { org, due_at }).await;
    world.work().await
}

#[tokio::test]
async fn each_rep_gets_one_mail_about_all_that_is_due() {
    let (world, org, boss) = staffed_at(NOW).await;
    let (ada, bob) = (world.rep("Ada").await.user, world.rep("Bob").await.user);
    due(&world, org, Some(ada), "Today", "2030-03-04T07:30:00Z").await;
    due(&world, org, Some(ada), "Overdue", "2030-03-01T07:30:00Z").await;
    due(&world, org, Some(ada), "Tomorrow", "2030-03-05T07:30:00Z").await;
    due(&world, org, None, "Nobodys", "2030-03-03T12:00:00Z").await;

    let drained = remind(&world, org).await;

    assert_eq!(drained.failures(), []);
    let told = news(&world, org, ada).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].title, "2 follow-ups are due");
    assert_eq!(kinds(&world, org, bob).await, [""; 0]);
    let boss = news(&world, org, boss).await;
    assert_eq!(
        boss[0].body.as_deref(),
        Some("Nobodys Smith, since yesterday")
    );
    let mails = letters(&world).await;
    assert_eq!(mails.len(), 2);
    let mail = mails
        .iter()
        .find(|mail| mail.header("To") == Some("Ada <ada@example.test>"));
    let text = &mail.expect("one is for Ada").text;
    let (first, second) = (text.find("Overdue Smith"), text.find("Today Smith"));
    assert!(first.is_some() && first < second, "{text}");
    assert!(!text.contains("Tomorrow"), "{text}");
    assert!(text.contains("3 days ago"), "{text}");
}

#[tokio::test]
async fn many_leads_make_one_mail_that_lists_the_most_urgent() {
    let (world, org, _) = staffed_at(NOW).await;
    let ada = world.rep("Ada").await.user;
    for day in 0..45 {
        let at = (time(NOW) - chrono::TimeDelta::days(day)).to_rfc3339();
        due(&world, org, Some(ada), &format!("Lead{day:02}"), &at).await;
    }

    remind(&world, org).await;

    let told = news(&world, org, ada).await;
    assert_eq!(told[0].title, "45 follow-ups are due");
    let mails = letters(&world).await;
    assert_eq!(mails.len(), 1);
    let text = &mails[0].text;
    assert!(text.contains("and 25 more"), "{text}");
    assert!(text.contains("Lead44") && text.contains("Lead25"), "{text}");
    assert!(!text.contains("Lead24"), "{text}");
}

#[tokio::test]
async fn an_org_that_wants_it_is_reminded_of_the_silent_too() {
    for (wanted, expected) in [(true, 1), (false, 0)] {
        let world = World::at(time("2030-02-20T08:00:00Z")).await;
        let org = world
            .org_with(|new| {
                new.settings = OrgSettings {
                    remind_stale_contacts: wanted,
                    ..OrgSettings::default()
                };
            })
            .await;
        let boss = world.member(org, "Boss", Role::Owner).await.user;
        let silent = lead(&world, org).await;
        let mut tx = world.db.org(org).await.unwrap();
        let call: Contact = serde_json::from_value(json!({"method": "call"})).unwrap();
        command::log_contact(&mut tx, &world.act(org), silent, &call)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        world.clock.set(time(NOW));

        remind(&world, org).await;

        let told = news(&world, org, boss).await;
        assert_eq!(told.len(), expected);
        if wanted {
            let mails = letters(&world).await;
            assert!(
                mails[0].text.contains("silent for 12 days"),
                "{}",
                mails[0].text
            );
            assert!(
                mails[0].text.contains("call on 20 February"),
                "{}",
                mails[0].text
            );
        }
    }
}

#[tokio::test]
async fn an_org_where_nothing_is_due_or_that_is_closed_hears_nothing() {
    let (world, org, boss) = staffed_at(NOW).await;
    lead(&world, org).await;
    assert_eq!(remind(&world, org).await.failures(), []);
    let due_at = time(NOW);
    world
        .enqueue(&RemindOrgFollowUps {
            org: OrgId::new(),
            due_at,
        })
        .await;

    let drained = world.work().await;

    assert_eq!(drained.runs[0].outcome, "skipped");
    assert_eq!(kinds(&world, org, boss).await, [""; 0]);
    assert_eq!(world.mailbox().await.count(), 0);
}
