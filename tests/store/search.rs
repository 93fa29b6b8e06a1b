//! Leads are found by their words, those of the own org alone, and by the index.

use domain::command;
use domain::id::{LeadId, OrgId};
use domain::lead::patch::LeadPatch;
use domain::store::lead_pages::{self, Filter};
use serde_json::json;

use super::{captured, done, of};
use crate::harness::World;

async fn found(world: &World, org: OrgId, words: &str) -> Vec<LeadId> {
    let filter = Filter {
        words: Some(words.into()),
        ..Filter::default()
    };
    let mut tx = world.db.org(org).await.unwrap();
    let leads = lead_pages::list(&mut tx, org, &filter, 10).await.unwrap();
    leads.iter().map(|lead| lead.id).collect()
}

#[tokio::test]
async fn a_lead_is_found_by_the_words_it_has_now_and_only_in_its_org() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let mut ada = of("ada@engines.test");
    ada.details.last_name = Some("Lovelace".into());
    ada.details.company_name = Some("Analytical Engines".into());
    let ours = captured(&world, here, &ada).await;
    let theirs = captured(&world, there, &ada).await;
    captured(&world, here, &of("grace@ships.test")).await;

    for words in [
        "lovelace",
        "Analytical ada",
        "ada@engines.test",
        "\"analytical engines\"",
        "lovelace -grace",
        "lovelace OR nobody",
    ] {
        assert_eq!(found(&world, here, words).await, [ours], "{words}");
        assert_eq!(found(&world, there, words).await, [theirs], "{words}");
    }
    for words in ["lovelace -ada", "nobody", "", "?!", "'", &there.to_string()] {
        assert_eq!(found(&world, here, words).await, [], "{words}");
    }

    done(&world, here, async |tx, act| {
        let patch: LeadPatch = serde_json::from_value(json!({"last_name": "King"})).unwrap();
        command::update_lead(tx, act, ours, &patch, None)
            .await
            .unwrap();
    })
    .await;
    assert_eq!(found(&world, here, "king").await, [ours]);
    assert_eq!(found(&world, here, "lovelace").await, []);
    assert_eq!(found(&world, there, "lovelace").await, [theirs]);
}

#[tokio::test]
async fn row_security_does_not_keep_the_index_of_words_from_being_used() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    done(&world, org, async |tx, _| {
        let crew = "INSERT INTO leads (id, org_id, last_name)
            SELECT gen_random_uuid(), org_id, 'Sailor' || n FROM leads, generate_series(1, 2000) n";
        sqlx::query(crew).execute(tx).await.unwrap();
    })
    .await;
    sqlx::query("VACUUM ANALYZE lead_search")
        .execute(&world.pool)
        .await
        .unwrap();

    let mut tx = world.db.org(org).await.unwrap();
    let ids: Vec<LeadId> = sqlx::query_scalar("SELECT leads_with_words('ada')")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(ids, [lead]);
    let scans: i64 = sqlx::query_scalar(
        "SELECT pg_stat_get_xact_numscans(indexrelid) FROM pg_index WHERE indexrelid = 'lead_search_words_ix'::regclass",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(scans, 1);
    // It answers for the org of the session, whoever asks, and for nobody without one.
    tx.rollback().await.unwrap();
    let nobody: Vec<LeadId> = sqlx::query_scalar("SELECT leads_with_words('ada')")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(nobody, []);
}
