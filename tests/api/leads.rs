//! Reading leads.

use axum::http::Method;
use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{get, key, lead, request};
use crate::harness::World;
use crate::web::{answer, org, web};

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["first_name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], None).await;
    // Two at each instant, so that a page may end between them.
    for n in 0..7 {
        lead(&world, org, &format!("N{n}"), "new").await;
        if n % 2 == 1 {
            world.clock.advance(TimeDelta::seconds(1));
        }
    }

    let mut seen = Vec::new();
    let mut path = "/api/v1/leads?limit=2".to_owned();
    loop {
        let page = get(&web, &path, &key).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/leads?limit=2&cursor={next}");
    }

    assert_eq!(seen, ["N6", "N5", "N4", "N3", "N2", "N1", "N0"]);
}

#[tokio::test]
async fn filters_narrow_the_list_and_wrong_ones_are_named() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], None).await;
    lead(&world, org, "Ada", "new").await;
    lead(&world, org, "Bob", "won").await;
    lead(&world, org, "Cyd", "lost").await;

    for (query, expected) in [
        ("", vec!["Cyd", "Bob", "Ada"]),
        ("status=new&status=won", vec!["Bob", "Ada"]),
        ("source=other", vec!["Cyd", "Bob", "Ada"]),
        ("source=manual", vec!["Cyd", "Bob", "Ada"]),
        ("source=referral", vec![]),
        ("q=bob%40example.com", vec!["Bob"]),
        ("q=%22'%3B--", vec![]),
        ("date_from=2000-01-01&date_to=2001-01-01", vec![]),
        ("never_contacted=true&limit=1", vec!["Cyd"]),
        ("band=hot", vec![]),
    ] {
        assert_eq!(
            names(&get(&web, &format!("/api/v1/leads?{query}"), &key).await),
            expected,
            "{query}"
        );
    }
    let wrong = request(
        Method::GET,
        "/api/v1/leads?status=x&limit=1000&pgae=2&assigned_to_me=true",
        &key,
    );
    assert_snapshot!("wrong_filters", answer(&web, wrong).await);
}

#[tokio::test]
async fn a_lead_is_shown_with_its_version_and_not_to_other_orgs() {
    let world = World::at("2030-03-04T09:00:00Z".parse().unwrap()).await;
    let (ours, theirs) = (org(&world, "active").await, org(&world, "active").await);
    let web = web(&world, |_| {});
    let (our_key, their_key) = (
        key(&world, ours, &["leads:read"], None).await,
        key(&world, theirs, &["leads:read"], None).await,
    );
    let ada = lead(&world, ours, "Ada", "new").await;
    let path = format!("/api/v1/leads/{ada}");

    assert_snapshot!(
        "shown",
        answer(&web, request(Method::GET, &path, &our_key)).await
    );
    for (path, key) in [
        (path.as_str(), &their_key),
        (&format!("{path}/timeline"), &their_key),
        (&format!("{path}/scores"), &their_key),
        ("/api/v1/leads/nonsense", &our_key),
    ] {
        assert_snapshot!(
            "lead_not_found",
            answer(&web, request(Method::GET, path, key)).await
        );
    }
    assert_eq!(
        names(&get(&web, "/api/v1/leads", &their_key).await),
        Vec::<&str>::new()
    );
}

#[tokio::test]
async fn a_deleted_lead_is_gone() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], None).await;
    let ada = lead(&world, org, "Ada", "new").await;
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE leads SET deleted_at = now()")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();

    assert_eq!(
        get(&web, "/api/v1/leads", &key).await,
        json!({"items": [], "next": null})
    );
    assert_eq!(
        get(&web, &format!("/api/v1/leads/{ada}"), &key).await["type"],
        "not-found"
    );
}

#[tokio::test]
async fn timeline_and_scores_come_newest_first_page_by_page() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], None).await;
    let ada = lead(&world, org, "Ada", "new").await;
    let mut tx = world.db.org(org).await.unwrap();
    for n in 0..3_i16 {
        sqlx::query(
            "INSERT INTO activities (id, org_id, lead_id, activity_type, description, occurred_at)
             VALUES ($1, $2, $3, 'note', 'note ' || $4, $5)",
        )
        .bind(uuid::Uuid::now_v7())
        .bind(org)
        .bind(ada)
        .bind(n)
        .bind(world.clock.now())
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO lead_scores (id, org_id, lead_id, score, band, version, profile_id, factors, trigger, input_hash, computed_at)
             VALUES ($1, $2, $3, $4, 'cold', '1', $1, '[]', 'created', '', $5)",
        )
        .bind(uuid::Uuid::now_v7())
        .bind(org)
        .bind(ada)
        .bind(n)
        .bind(world.clock.now())
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();

    for (list, member, expected) in [
        (
            "timeline",
            "description",
            json!(["note 2", "note 1", "note 0"]),
        ),
        ("scores", "score", json!([2, 1, 0])),
    ] {
        let first = get(&web, &format!("/api/v1/leads/{ada}/{list}?limit=2"), &key).await;
        let next = first["next"].as_str().unwrap();
        let second = get(
            &web,
            &format!("/api/v1/leads/{ada}/{list}?limit=2&cursor={next}"),
            &key,
        )
        .await;
        let items = [&first, &second]
            .into_iter()
            .flat_map(|page| page["items"].as_array().unwrap());
        assert_eq!(
            items.map(|item| item[member].clone()).collect::<Value>(),
            expected
        );
        assert_eq!(second["next"], Value::Null);
    }
}

#[tokio::test]
async fn what_is_mine_and_whom_nobody_spoke_to_lately() {
    let world = World::at("2030-03-04T09:00:00Z".parse().unwrap()).await;
    let org = world.org().await;
    let ada = world.rep("Ada").await.user;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], Some(ada)).await;
    for (name, status, owner, spoken) in [
        ("Ann", "enriched", Some(ada), None),
        ("Ben", "contacted", Some(ada), Some("2030-01-09T12:00:00Z")),
        ("Cem", "contacted", None, Some("2030-03-01T12:00:00Z")),
        ("Dag", "enriched", None, None),
    ] {
        let lead = lead(&world, org, name, status).await;
        let mut tx = world.db.org(org).await.unwrap();
        sqlx::query(
            "UPDATE leads SET assigned_to_user_id = $2, last_contacted_at = $3::timestamptz WHERE id = $1",
        )
        .bind(lead)
        .bind(owner)
        .bind(spoken)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    for (query, expected) in [
        ("assigned_to_me=true", vec!["Ben", "Ann"]),
        ("status=enriched&assigned_to_me=true", vec!["Ann"]),
        (&format!("assigned_to={ada}"), vec!["Ben", "Ann"]),
        ("last_contacted_before=2030-01-10", vec!["Ben"]),
        ("last_contacted_before=2030-02-02", vec!["Ben"]),
        ("never_contacted=true", vec!["Dag", "Ann"]),
    ] {
        let mut found = names(&get(&web, &format!("/api/v1/leads?{query}"), &key).await)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        // All were made in the same instant.
        found.sort_by(|a, b| b.cmp(a));
        assert_eq!(found, expected, "{query}");
    }
}
