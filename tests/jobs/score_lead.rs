//! A lead's score by both models, kept for good, and told when that is news.

use domain::org::Profile;
use domain::score::{Band, Cause};
use domain::status::Status;
use domain::store::lead_history;
use jobs::ScoreLead;

use super::*;

#[tokio::test]
async fn the_factor_model_adds_up_what_is_known() {
    let (world, org, boss) = staffed().await;
    let lead = lead_with(&world, org, |capture| {
        capture.details.job_title = Some("Chief Executive Officer".into());
        capture.details.company_name = Some("Example Inc".into());
        capture.company.employees = Some(2_000);
        capture.details.estimated_value_minor = Some(10_000_000);
        capture.source = Some(domain::lead::SourceCategory::Referral);
    })
    .await;
    world.enqueue(&score(org, lead)).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let found = find(&world, org, lead).await;
    // 20 of source, 20 of size, 25 of value, 20 of title, and 8 of 15 for half of the fields.
    assert_eq!(found.score_total, Some(93));
    assert_eq!(found.score_band, Some(Band::Hot));
    assert_eq!(kinds(&world, org, boss).await, ["lead_scored"]);
}

#[tokio::test]
async fn the_composition_model_counts_what_the_lead_did_under_two_levels_of_caps() {
    let world = World::at(time("2030-03-04T09:00:00Z")).await;
    let org = world.org_with(|new| new.profile = Profile::K12).await;
    let lead = lead_with(&world, org, |capture| {
        capture.details.job_title = Some("Superintendent".into());
        capture.details.enrollment = Some(25_000);
    })
    .await;
    change(
        &world,
        org,
        "UPDATE lead_behaviour SET website_visits = 9, content_downloads = 2, email_clicks = 2, email_opens = 4",
    )
    .await;
    world.enqueue(&score(org, lead)).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let found = find(&world, org, lead).await;
    assert_eq!(found.score_total, Some(81));
    assert_eq!(found.status, Status::Mql);
    assert_eq!(found.mql_at, Some(world.clock.now()));
}

#[tokio::test]
async fn each_score_is_kept_and_only_news_is_told() {
    let (world, org, boss) = staffed().await;
    let lead = lead(&world, org).await;
    world.enqueue(&score(org, lead)).await;
    world.work().await;
    world.enqueue(&score(org, lead)).await;
    let drained = world.work().await;
    assert_eq!(drained.count("notify_rep"), 0, "the same score is no news");

    let known = find(&world, org, lead).await;
    // The clock stands still, and still the later score is the later one.
    let later = world.clock.now() + chrono::TimeDelta::microseconds(1);
    let joined = lead_with(&world, org, |capture| {
        capture.details = Details {
            email: known.details.email.clone(),
            job_title: Some("Chief Executive Officer".into()),
            estimated_value_minor: Some(100_000_000),
            phone: Some("+442071838750".into()),
            country: Some("GB".into()),
            ..Details::default()
        };
        capture.details.company_name = Some("Example Inc".into());
        capture.company.employees = Some(5_000);
    })
    .await;
    assert_eq!((joined, known.score_updated_at), (lead, Some(later)));
    world.clock.advance(chrono::TimeDelta::hours(1));
    world.enqueue(&score(org, lead)).await;
    world.work().await;

    assert_eq!(find(&world, org, lead).await.score_band, Some(Band::Hot));
    assert_eq!(kinds(&world, org, boss).await, ["lead_scored", "lead_hot"]);
    let mut tx = world.db.org(org).await.unwrap();
    let kept = lead_history::scores(&mut tx, org, lead, None, 10)
        .await
        .unwrap();
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[0].previous_score, Some(kept[1].score));
    let mails = letters(&world).await;
    assert_eq!(mails.len(), 2);
    assert!(
        mails[1].header("Subject").unwrap().starts_with("Hot lead"),
        "{}",
        mails[1].head
    );
}

#[tokio::test]
async fn an_org_that_scores_by_nothing_or_a_lead_that_is_gone_ends_the_job() {
    let (world, org, _) = staffed().await;
    let there = lead(&world, org).await;
    change(&world, org, "UPDATE scoring_profiles SET is_active = false").await;
    world.enqueue(&score(org, there)).await;
    let (lead, trigger) = (LeadId::new(), Cause::Created);
    world.enqueue(&ScoreLead { org, lead, trigger }).await;

    let drained = world.work().await;

    let outcomes: Vec<_> = drained.runs.iter().map(|ran| ran.outcome).collect();
    assert_eq!(outcomes, ["skipped", "skipped"]);
    assert_eq!(find(&world, org, there).await.score_total, None);
}
