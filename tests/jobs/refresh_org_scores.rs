//! An org's leads are scored anew stretch by stretch, and only what changed is written.

use domain::score::Cause;
use domain::store::lead_history;
use jobs::{RefreshOrgScores, RefreshScores};
use sqlx::AssertSqlSafe;

use super::*;

/// More leads than one stretch has.
const MANY: i64 = 5_003;

/// Lets a run at the present time go through the org.
async fn refresh(world: &World, org: OrgId) -> queue::Drained {
    let due_at = world.clock.now();
    let after = None;
    world
        .enqueue(&RefreshOrgScores { org, due_at, after })
        .await;
    world.work().await
}

#[tokio::test]
async fn every_stretch_of_a_run_is_part_of_its_batch() {
    let (world, org, _) = staffed_at("2030-03-05T03:00:00Z").await;
    many_leads(&world, org).await;
    let due_at = world.clock.now();
    world.enqueue(&RefreshScores { due_at }).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(drained.count("refresh_org_scores"), 2);
    let mut db = world.pool.acquire().await.unwrap();
    let batch = queue::admin::batch(&mut db, 1).await.unwrap().unwrap();
    assert_eq!(
        (batch.state.as_str(), batch.total, batch.done),
        ("completed", 2, 2)
    );
}

/// Gives an org more leads than one stretch has.
async fn many_leads(world: &World, org: OrgId) {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query(
        "INSERT INTO leads (id, org_id, first_name, last_name, email, email_norm, capture_channel, status, created_at) \
         SELECT gen_random_uuid(), $1, 'Jane', 'Smith', 'jane-' || n || '@example.com', 'jane-' || n || '@example.com', 'api', 'new', $3 \
         FROM generate_series(1, $2) n",
    )
    .bind(org)
    .bind(MANY)
    .bind(world.clock.now())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_large_org_is_done_in_stretches() {
    let (world, org, boss) = staffed_at("2030-03-05T03:00:00Z").await;
    many_leads(&world, org).await;

    let drained = refresh(&world, org).await;

    assert_eq!(drained.failures(), []);
    assert_eq!(drained.count("refresh_org_scores"), 2);
    let mut tx = world.db.org(org).await.unwrap();
    let (scored, kept): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM leads WHERE score_total IS NOT NULL), (SELECT count(*) FROM lead_scores)",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!((scored, kept), (MANY, MANY));
    assert_eq!(
        kinds(&world, org, boss).await,
        [""; 0],
        "an old lead with a score is no news"
    );
    drop(tx);

    world.clock.advance(chrono::TimeDelta::days(1));
    refresh(&world, org).await;
    let mut tx = world.db.org(org).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM lead_scores")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(kept, MANY, "what came out the same is not kept again");
}

#[tokio::test]
async fn a_stretch_that_is_tried_again_leaves_the_next_one_once() {
    let (world, org, _) = staffed_at("2030-03-05T03:00:00Z").await;
    many_leads(&world, org).await;
    let spoil = "UPDATE scoring_profiles SET config = config || '{\"factors\": 1}'";
    let mend = "UPDATE scoring_profiles SET config = config - 'factors'";
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query(spoil).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let failed = refresh(&world, org).await;
    assert!(!failed.failures().is_empty());

    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query(mend).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    // The one that was left is done first, so that nothing but the memory of it keeps it from being left again.
    for which in ["payload ->> 'after' IS NOT NULL", "true"] {
        let due = format!("UPDATE queue.job SET state = 0, run_at = now() WHERE {which}");
        let due = sqlx::query(AssertSqlSafe(due));
        due.execute(&world.pool).await.unwrap();
        assert_eq!(world.work().await.failures(), []);
    }

    let done: Vec<i64> = sqlx::query_scalar(
        "SELECT (result ->> 'scored')::bigint FROM queue.job_history
            WHERE kind = 'refresh_org_scores' AND outcome = 'completed' ORDER BY 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(done, [3, 5_000]);
}

#[tokio::test]
async fn leads_of_an_org_that_scores_nobody_are_not_walked_through() {
    for (leave_off, take_up) in [
        (
            "UPDATE scoring_profiles SET is_active = false",
            "UPDATE scoring_profiles SET is_active = true",
        ),
        (
            "UPDATE orgs SET status = 'suspended'",
            "UPDATE orgs SET status = 'active'",
        ),
    ] {
        let (world, org, _) = staffed_at("2030-03-05T03:00:00Z").await;
        many_leads(&world, org).await;
        change(&world, org, leave_off).await;
        let drained = refresh(&world, org).await;
        assert_eq!(drained.failures(), []);
        assert_eq!(drained.count("refresh_org_scores"), 1, "{leave_off}");

        change(&world, org, take_up).await;
        world.clock.advance(chrono::TimeDelta::days(1));
        let drained = refresh(&world, org).await;
        assert_eq!(drained.count("refresh_org_scores"), 2, "{take_up}");
    }
}

#[tokio::test]
async fn a_run_that_is_done_again_writes_nothing() {
    let (world, org, _) = staffed().await;
    for _ in 0..3 {
        lead(&world, org).await;
    }
    refresh(&world, org).await;
    let before = everything(&world, org).await;

    let drained = refresh(&world, org).await;

    assert_eq!(drained.failures(), []);
    assert_eq!(drained.count("refresh_org_scores"), 1);
    assert_eq!(everything(&world, org).await, before);
}

#[tokio::test]
async fn a_lead_that_turns_hot_or_qualifies_over_night_is_told() {
    let (world, org, boss) = staffed().await;
    let hot = lead_with(&world, org, |capture| {
        capture.details.job_title = Some("CEO".into());
        capture.details.estimated_value_minor = Some(100_000_000);
        capture.company.name = Some("Example Inc".into());
        capture.company.employees = Some(5_000);
        capture.source = Some(domain::lead::SourceCategory::Referral);
    })
    .await;
    let cold = lead(&world, org).await;
    let ready = lead(&world, org).await;
    change(
        &world,
        org,
        "UPDATE lead_behaviour SET demo_requested = true WHERE lead_id = (SELECT id FROM leads ORDER BY id DESC LIMIT 1)",
    )
    .await;

    world.clock.advance(chrono::TimeDelta::days(1));
    let drained = refresh(&world, org).await;

    assert_eq!(drained.failures(), []);
    assert!(find(&world, org, hot).await.mql_at.is_some());
    let mut told: Vec<_> = news(&world, org, boss)
        .await
        .into_iter()
        .map(|news| (news.kind, news.lead_id))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            ("lead_hot".to_owned(), Some(hot)),
            ("lead_qualified".to_owned(), Some(ready))
        ],
        "a lead that is both is told once"
    );
    assert_eq!(world.mailbox().await.count(), 2);
    let mut tx = world.db.org(org).await.unwrap();
    let scores = lead_history::scores(&mut tx, org, cold, None, 10)
        .await
        .unwrap();
    assert_eq!(scores.len(), 1);
    assert_eq!(scores[0].computed_at, world.clock.now());
    assert_eq!(scores[0].trigger, Cause::Refresh.as_str());
}

#[tokio::test]
async fn closed_leads_and_those_scored_since_are_left_alone() {
    let (world, org, _) = staffed().await;
    let (closed, fresh) = (lead(&world, org).await, lead(&world, org).await);
    let due_at = world.clock.now();
    let mut tx = world.db.org(org).await.unwrap();
    let lost = domain::command::Transition {
        to: domain::status::Status::Lost,
        reason: None,
        reopen: false,
    };
    command::transition(&mut tx, &world.act(org), closed, &lost)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(chrono::TimeDelta::minutes(1));
    world.enqueue(&score(org, fresh)).await;
    world.work().await;
    let scored = find(&world, org, fresh).await.score_updated_at;

    let after = None;
    world
        .enqueue(&RefreshOrgScores { org, due_at, after })
        .await;
    world.work().await;

    assert_eq!(find(&world, org, closed).await.score_total, None);
    assert_eq!(find(&world, org, fresh).await.score_updated_at, scored);
}

#[tokio::test]
async fn a_new_lead_that_the_run_came_to_first_is_told_once_all_the_same() {
    let (world, org, boss) = staffed().await;
    let new = lead(&world, org).await;
    world.clock.advance(chrono::TimeDelta::minutes(1));
    refresh(&world, org).await;
    assert!(find(&world, org, new).await.score_total.is_some());
    assert_eq!(kinds(&world, org, boss).await, [""; 0]);

    // The job that its capture left.
    for _ in 0..2 {
        let (lead, trigger) = (new, Cause::Created);
        world.enqueue(&ScoreLead { org, lead, trigger }).await;
        assert_eq!(world.work().await.failures(), []);
    }

    assert_eq!(kinds(&world, org, boss).await, ["lead_scored"]);
    assert_eq!(world.mailbox().await.count(), 1);
}

#[tokio::test]
async fn a_lead_that_came_after_the_run_was_due_is_left_to_the_job_of_its_own() {
    let (world, org, _) = staffed().await;
    let due_at = world.clock.now();
    world.clock.advance(chrono::TimeDelta::minutes(1));
    let new = lead(&world, org).await;

    let after = None;
    world
        .enqueue(&RefreshOrgScores { org, due_at, after })
        .await;
    assert_eq!(world.work().await.failures(), []);

    assert_eq!(find(&world, org, new).await.score_total, None);
}
