//! A provider costs no more in a day than its org allows.

use domain::lead::EnrichmentStatus;
use serde_json::json;

use super::*;
use crate::harness::{Answer, Provider};

/// An org's own provider that costs two credits an answer, and may cost so many a day.
async fn capped(world: &World, org: OrgId, cap: i32) -> Provider {
    let known = json!({"person": {"job_title": "Countess"}, "cost": 2});
    let provider = Provider::that_says([Answer::json(&known), Answer::json(&known)]).await;
    let config = json!({
        "request": {"url": provider.url(), "query": {"email": "{{lead.email}}"}},
        "outcome": [{"status": 200, "is": "matched"}, {"status": 404, "is": "not_found"}],
        "map": {"lead.job_title": "$.person.job_title", "meta.credits": "$.cost"},
    });
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query(
        "INSERT INTO enrichment_providers (id, org_id, key, config, daily_credit_cap)
            VALUES (gen_random_uuid(), $1, 'pdl', $2, $3)",
    )
    .bind(org)
    .bind(config)
    .bind(cap)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    provider
}

#[tokio::test]
async fn a_provider_whose_credits_of_the_day_are_spent_is_asked_again_tomorrow() {
    let (world, org, _) = staffed_at("2030-03-04T09:00:00Z").await;
    let provider = capped(&world, org, 2).await;
    let (first, second) = (lead(&world, org).await, lead(&world, org).await);
    world.enqueue(&enrich(org, first)).await;
    assert_eq!(world.work().await.failures(), []);
    assert_eq!(provider.asked().len(), 1);

    world.enqueue(&enrich(org, second)).await;
    let drained = world.work().await;

    assert_eq!(drained.runs[0].outcome, "snoozed");
    assert_eq!(provider.asked().len(), 1);
    let waiting = find(&world, org, second).await;
    assert_eq!(waiting.enrichment_status, EnrichmentStatus::Pending);
    let (hours, line): (f64, String) = sqlx::query_as(
        "SELECT round(extract(epoch FROM run_at - now()) / 3600)::float8, log::text FROM queue.job",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(hours, 15.0, "until midnight");
    assert!(
        line.contains("pdl has cost 2 credits today of the 2"),
        "{line}"
    );

    world.clock.advance(chrono::TimeDelta::hours(15));
    assert_eq!(world.work_early().await.failures(), []);
    assert_eq!(provider.asked().len(), 2);
    let found = find(&world, org, second).await;
    assert_eq!(found.enrichment_status, EnrichmentStatus::Done);
}

#[tokio::test]
async fn a_provider_that_has_credits_left_is_asked() {
    let (world, org, _) = staffed().await;
    let provider = capped(&world, org, 3).await;
    for _ in 0..2 {
        let lead = lead(&world, org).await;
        world.enqueue(&enrich(org, lead)).await;
        assert_eq!(world.work().await.failures(), []);
        let found = find(&world, org, lead).await;
        assert_eq!(found.enrichment_status, EnrichmentStatus::Done);
    }
    assert_eq!(provider.asked().len(), 2);
}
