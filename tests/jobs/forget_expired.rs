//! What has expired is forgotten, and nothing else.

use jobs::ForgetExpired;
use serde_json::json;

use super::*;

const FILL: &str = "
    INSERT INTO idempotency_keys (org_id, scope, key, request_hash, expires_at)
    SELECT org.id, 'create_lead', n::text, '', now.at + make_interval(hours => CASE WHEN n <= $1 THEN 0 ELSE 1 END)
    FROM orgs org, generate_series(1, $1 + 2) n, (SELECT $2::timestamptz AS at) now";
const FILL_CACHE: &str = "
    INSERT INTO enrichment_cache (org_id, provider_key, request_hash, outcome, fetched_at, expires_at)
    SELECT org.id, 'pdl', n::text::bytea, 'not_found', now.at,
        now.at + make_interval(hours => CASE WHEN n <= $1 THEN 0 ELSE 1 END)
    FROM orgs org, generate_series(1, $1 + 3) n, (SELECT $2::timestamptz AS at) now";

#[tokio::test]
async fn what_has_expired_is_forgotten_in_every_org_and_the_rest_stays() {
    let (world, org, _) = staffed_at("2030-03-05T04:00:00Z").await;
    let second = world.another_org().await;
    for fill in [FILL, FILL_CACHE] {
        for org in [org, second] {
            let mut tx = world.db.org(org).await.unwrap();
            // More than are deleted at a time.
            let query = sqlx::query(fill).bind(2_500_i32).bind(world.clock.now());
            query.execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
    let due_at = world.clock.now();
    world.enqueue(&ForgetExpired { due_at }).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(
        results(&world, "forget_expired").await,
        [(
            "completed".to_owned(),
            Some(json!({"answers": 5_000, "looked_up": 5_000}))
        )]
    );
    for org in [org, second] {
        let left = everything(&world, org).await;
        assert_eq!(left["idempotency_keys"].0, 2);
        assert_eq!(left["enrichment_cache"].0, 3);
    }
}
