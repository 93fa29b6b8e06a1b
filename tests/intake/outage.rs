//! The database is gone: 503 in the sender's own format, and never a success that cannot be kept.

use insta::assert_snapshot;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;

use super::{answer, capture, jane, post};
use crate::harness::World;

#[tokio::test]
async fn nobody_is_told_success_when_nothing_can_be_kept() {
    let world = World::new().await;
    let org = super::org(&world, "active").await;
    let nowhere = PgPoolOptions::new()
        .acquire_timeout(std::time::Duration::from_millis(200))
        .connect_lazy("postgres://nobody@127.0.0.1:1/nothing")
        .unwrap();
    let web = super::web_on(&world, nowhere, |_| {});

    assert_snapshot!("outage_trpc", answer(&web, capture(&jane(org))).await);
    let batch = post(
        "/api/trpc/crm.leads.capture?batch=1",
        "application/json",
        json!({"0": jane(org)}).to_string(),
    );
    assert_snapshot!("outage_batch", answer(&web, batch).await);
    let script = post("/f/tok", "application/json", r#"{"email":"a@b.co"}"#);
    assert_snapshot!("outage_form_json", answer(&web, script).await);
    let browser = post(
        "/f/tok",
        "application/x-www-form-urlencoded",
        "email=a@b.co",
    );
    let page = answer(&web, browser).await;
    assert!(
        page.starts_with(
            "503 Service Unavailable\ncontent-type: text/html; charset=utf-8\nretry-after: 5\n"
        ),
        "{page}"
    );
    assert!(page.contains("Not available just now, please try again"));
}
