//! Whom news of a lead reaches, and how.

use std::time::{Duration, Instant};

use super::*;

#[tokio::test]
async fn news_of_a_lead_reaches_its_rep_by_bell_and_mail() {
    let (world, org, boss) = staffed().await;
    let ada = world.rep("Ada").await.user;
    let lead = lead_with(&world, org, |capture| {
        capture.assigned_to = Some(ada);
        capture.details.message = Some("Please call me.\nSoon.".into());
    })
    .await;
    world.enqueue(&score(org, lead)).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let told = news(&world, org, ada).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].title, "New lead: Jane Smith");
    assert_eq!(told[0].lead_id, Some(lead));
    assert_eq!(kinds(&world, org, boss).await, [""; 0]);
    let mails = letters(&world).await;
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.header("To"), Some("Ada <ada@example.test>"));
    assert_eq!(
        mail.header("From"),
        Some("Leadmill <leadmill@example.test>")
    );
    assert!(
        mail.header("Message-ID")
            .is_some_and(|id| id.ends_with("@example.test>"))
    );
    let page = format!("https://leadmill.example.test/dashboard/crm/leads/{lead}");
    for part in [&mail.text, &mail.html] {
        assert!(part.contains("Jane Smith"), "{part}");
        assert!(part.contains(&page), "{part}");
        assert!(part.contains("Please call me."), "{part}");
    }
    assert!(mail.html.contains("<html"), "{}", mail.html);
    assert!(!mail.html.contains("<mj-"), "{}", mail.html);
}

#[tokio::test]
async fn a_lead_that_is_nobodys_is_told_to_those_who_run_the_org() {
    let (world, org, boss) = staffed().await;
    let admin = world.member(org, "Admin", Role::Admin).await.user;
    let ada = world.rep("Ada").await.user;
    let viewer = world.member(org, "Viewer", Role::Viewer).await.user;
    let lead = lead(&world, org).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;

    world.work().await;

    for (user, expected) in [(boss, 1), (admin, 1), (ada, 0), (viewer, 0)] {
        assert_eq!(news(&world, org, user).await.len(), expected);
    }
    assert_eq!(world.mailbox().await.count(), 2);
}

#[tokio::test]
async fn each_reason_is_told_once_and_becoming_hot_once_a_day() {
    let (world, org, boss) = staffed().await;
    let lead = lead(&world, org).await;
    for reason in [
        Reason::Scored,
        Reason::TurnedHot,
        Reason::Qualified,
        Reason::Assigned,
    ] {
        for _ in 0..3 {
            world.enqueue(&notify(org, lead, reason)).await;
        }
    }

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let once = ["lead_scored", "lead_hot", "lead_qualified", "lead_assigned"];
    let mut heard = kinds(&world, org, boss).await;
    heard.sort_unstable();
    let mut expected = once.to_vec();
    expected.sort_unstable();
    assert_eq!(heard, expected);
    assert_eq!(world.mailbox().await.count(), 4);

    world.clock.advance(chrono::TimeDelta::days(1));
    world.enqueue(&notify(org, lead, Reason::TurnedHot)).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;
    world.work().await;

    assert_eq!(world.mailbox().await.count(), 5);
}

/// Scores a lead as a job does that began at `began`.
async fn scored_since(world: &World, org: OrgId, lead: LeadId, began: Timestamp) {
    let mut tx = world.db.org(org).await.unwrap();
    let mut act = world.act(org);
    act.at = began;
    command::record_score(&mut tx, &act, lead, domain::score::Cause::Enrichment)
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_score_that_was_not_told_is_however_early_its_job_began() {
    for wishes in [
        r#"{"email": true, "in_app": false}"#,
        r#"{"email": false, "in_app": true}"#,
    ] {
        let (world, org, boss) = staffed().await;
        wish(&world, org, wishes).await;
        let lead = lead(&world, org).await;
        let began = world.clock.now();
        scored_since(&world, org, lead, began).await;
        world.clock.advance(chrono::TimeDelta::seconds(1));
        world.enqueue(&notify(org, lead, Reason::Scored)).await;
        world.work().await;
        let told = async || {
            let heard = news(&world, org, boss).await.len();
            (heard, world.mailbox().await.count())
        };
        let (heard, written) = told().await;
        assert_eq!(heard as u64 + written, 1);

        // What a provider said comes now, from a job that began before the lead was told of.
        change(
            &world,
            org,
            "UPDATE leads SET estimated_value_minor = 100000000",
        )
        .await;
        scored_since(&world, org, lead, began).await;
        for reason in [Reason::TurnedHot, Reason::Qualified] {
            world.enqueue(&notify(org, lead, reason)).await;
        }
        world.work().await;

        assert_eq!(told().await, (heard * 3, written * 3), "{wishes}");
    }
}

#[tokio::test]
async fn a_score_that_was_told_with_the_lead_is_not_told_again() {
    let (world, org, boss) = staffed().await;
    let lead = lead(&world, org).await;
    scored_since(&world, org, lead, world.clock.now()).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;
    world.work().await;

    // Found the same once more, by a job that began later.
    world.clock.advance(chrono::TimeDelta::seconds(1));
    scored_since(&world, org, lead, world.clock.now()).await;
    world.enqueue(&notify(org, lead, Reason::TurnedHot)).await;
    world.work().await;

    assert_eq!(kinds(&world, org, boss).await, ["lead_scored"]);
    assert_eq!(world.mailbox().await.count(), 1);
}

/// Everybody of the org wishes to be told in these ways.
async fn wish(world: &World, org: OrgId, ways: &str) {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE memberships SET notify = $1::jsonb")
        .bind(ways)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn people_are_told_in_the_ways_they_wish() {
    let (world, org, boss) = staffed().await;
    for (wishes, bell, mail) in [
        (r#"{"email": false, "in_app": true}"#, 1, 0),
        (r#"{"email": true, "in_app": false}"#, 0, 1),
        (r#"{"email": false, "in_app": false}"#, 0, 0),
        (r"{}", 1, 1),
    ] {
        wish(&world, org, wishes).await;
        let lead = lead(&world, org).await;
        let (before, sent) = (
            news(&world, org, boss).await.len(),
            world.mailbox().await.count(),
        );
        world.enqueue(&notify(org, lead, Reason::Scored)).await;

        world.work().await;

        assert_eq!(
            news(&world, org, boss).await.len() - before,
            bell,
            "{wishes}"
        );
        assert_eq!(world.mailbox().await.count() - sent, mail, "{wishes}");
    }
}

#[tokio::test]
async fn a_pool_that_gives_scored_leads_away_does_so_before_anybody_is_told() {
    let (world, org, boss) = staffed().await;
    let ada = world.rep("Ada").await.user;
    gives_scored_leads_to(&world, org, ada).await;
    let lead = lead(&world, org).await;
    world.enqueue(&score(org, lead)).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(find(&world, org, lead).await.assigned_to_user_id, Some(ada));
    assert_eq!(kinds(&world, org, ada).await, ["lead_scored"]);
    assert_eq!(kinds(&world, org, boss).await, [""; 0]);
}

#[tokio::test]
async fn a_turn_is_over_before_telling_begins() {
    let (world, org, _) = staffed().await;
    let ada = world.rep("Ada").await.user;
    gives_scored_leads_to(&world, org, ada).await;
    let lead = lead(&world, org).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;
    let mut slow = world.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE notifications IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *slow)
        .await
        .unwrap();

    let others = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while find(&world, org, lead).await.assigned_to_user_id.is_none() {
            assert!(
                Instant::now() < deadline,
                "the turn lasts as long as telling"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut tx = world.db.org(org).await.unwrap();
        let turn = sqlx::query("SELECT FROM assignment_pools FOR NO KEY UPDATE NOWAIT");
        turn.fetch_one(&mut *tx).await.unwrap();
        drop(tx);
        slow.rollback().await.unwrap();
    };
    let (drained, ()) = tokio::join!(world.work(), others);

    assert_eq!(drained.failures(), []);
    assert_eq!(kinds(&world, org, ada).await, ["lead_scored"]);
}

/// The org's pool has nobody but `rep`, and gives every lead away that is scored.
async fn gives_scored_leads_to(world: &World, org: OrgId, rep: UserId) {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE assignment_pools SET auto_on = '{scored}'")
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("DELETE FROM assignment_pool_members")
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("INSERT INTO assignment_pool_members (org_id, pool_id, user_id, position) SELECT org_id, id, $1, 0 FROM assignment_pools")
        .bind(rep)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_lead_that_is_gone_or_an_org_without_people_ends_the_job() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = lead(&world, org).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;
    world
        .enqueue(&notify(org, LeadId::new(), Reason::Scored))
        .await;
    world
        .enqueue(&notify(OrgId::new(), lead, Reason::Scored))
        .await;

    let drained = world.work().await;

    assert!(
        drained.runs.iter().all(|ran| ran.outcome == "skipped"),
        "{drained:?}"
    );
    assert_eq!(world.mailbox().await.count(), 0);
}
