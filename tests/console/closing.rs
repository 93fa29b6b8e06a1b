//! Closing a lead: asked before, explained after.

use axum::http::StatusCode;
use domain::status::Status;

use super::leads::{person, status_of, taken};
use crate::harness::World;

#[tokio::test]
async fn a_closing_stage_asks_first_and_disagreement_is_explained() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    let browser = world.browser("ada@example.test").await;
    let path = format!("/dashboard/crm/leads/{lead}");

    let page = browser.get(&path).await;
    for (asks, sends) in [("won", "Move to Won"), ("lost", "Move to Lost")] {
        let words = page.words();
        assert!(
            words.contains(&format!("Close the lead as {asks}?")),
            "{words}"
        );
        assert!(words.contains(sends), "{words}");
    }
    browser
        .post(&format!("{path}/status"), &[("status", "lost")])
        .await;
    let page = browser.get(&path).await;
    assert!(
        page.words()
            .contains("Closed as lost. The stage New tells how far it came."),
        "{}",
        page.words()
    );
    // A page loaded again after a refusal is the lead.
    for verb in ["status", "stage", "assign", "contact", "follow-up", "note"] {
        let again = browser.get(&format!("{path}/{verb}")).await;
        assert_eq!(
            (again.status, &*again.location),
            (StatusCode::SEE_OTHER, &*path)
        );
    }
    world.work().await;
}

#[tokio::test]
async fn a_lead_that_is_moved_is_scored_again() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    let browser = world.browser("ada@example.test").await;
    let path = |what: &str| format!("/dashboard/crm/leads/{lead}/{what}");

    let moved = browser
        .post(&path("status"), &[("status", "contacted")])
        .await;
    assert_eq!(moved.status, StatusCode::SEE_OTHER);
    assert_eq!(world.work().await.count("score_lead"), 1);

    // Whoever enters this stage is won.
    let mut tx = world.db.org(org).await.unwrap();
    let stage: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM pipeline_stages WHERE status_on_enter = 'won'")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    drop(tx);
    let moved = browser
        .post(&path("stage"), &[("stage", &stage.to_string())])
        .await;
    assert_eq!(moved.status, StatusCode::SEE_OTHER);
    assert_eq!(status_of(&world, org, lead).await, Status::Won);
    assert_eq!(world.work().await.count("score_lead"), 1);
}
