//! A captured lead becomes an enriched, scored lead and a told rep.

use axum::Json;
use axum::Router;
use axum::routing::get;
use domain::lead::EnrichmentStatus;
use domain::member::Role;
use domain::status::Status;
use domain::store::{bell, lead_pages};
use serde_json::json;

use crate::harness::World;
use crate::intake::{capture, jane};

/// A provider that knows everybody.
async fn provider() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lookup", listener.local_addr().unwrap());
    let answer = json!({
        "person": {"job_title": "Chief Executive Officer"},
        "company": {"name": "Example Inc", "employees": 1200, "industry": "Software"}
    });
    let routes = Router::new().route("/lookup", get(async || Json(answer)));
    tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
    url
}

#[tokio::test]
async fn a_captured_lead_is_enriched_scored_and_told() {
    let world = World::new().await;
    let org = world.org().await;
    let boss = world.member(org, "Boss", Role::Owner).await;
    world.look_up_at(&provider().await);
    let answer = world.send(capture(&jane(org))).await;
    assert_eq!(answer.status(), 200);

    let drained = world.work().await;

    assert_eq!(drained.failures(), [], "{drained:?}");
    let mut tx = world.db.org(org).await.unwrap();
    let leads = lead_pages::list(&mut tx, org, &Default::default(), 10)
        .await
        .unwrap();
    assert_eq!(leads.len(), 1);
    let lead = &leads[0];
    assert_eq!(lead.enrichment_status, EnrichmentStatus::Done);
    assert_eq!(lead.status, Status::Mql);
    assert_eq!(
        lead.details.job_title.as_deref(),
        Some("Chief Executive Officer")
    );
    assert!(lead.score_total.is_some_and(|score| score > 0));
    let news = bell::list(&mut tx, org, boss.user, false, None, 10)
        .await
        .unwrap();
    let kinds: Vec<_> = news.iter().map(|news| news.kind.as_str()).collect();
    assert_eq!(kinds, ["lead_scored"]);
    let mails = world.mailbox().await.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails.iter().all(|mail| mail.to == ["boss@example.test"]));
}
