//! What is typed is kept whole, or refused by its field with what was typed still there.

use axum::http::StatusCode;
use domain::member::Role;

use super::ops::operator;
use crate::harness::World;

#[tokio::test]
async fn a_note_or_a_reason_that_is_too_long_is_not_cut_but_refused() {
    let world = World::new().await;
    let org = world.org().await;
    world.member(org, "Ada", Role::Owner).await;
    let ada = world.browser("ada@example.test").await;
    let lead = crate::api::lead(&world, org, "Jane", "new").await;
    let own = format!("/dashboard/crm/leads/{lead}");
    for (form, field, most, more) in [
        ("note", "notes", 10_000, ("method", "call")),
        ("contact", "notes", 10_000, ("method", "call")),
        ("status", "reason", 500, ("status", "lost")),
    ] {
        let text = "ß".repeat(most + 1);
        let path = format!("{own}/{form}");
        let refused = ada.post(&path, &[more, (field, &text)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        let told = format!("Must be at most {most} characters.");
        assert!(refused.words().contains(&told), "{form}");
        assert!(refused.text.contains(&text), "{form}");
        let fits = ada.post(&path, &[more, (field, &text[..2 * most])]).await;
        assert_eq!(fits.status, StatusCode::SEE_OTHER, "{form}");
    }
    let mut tx = world.db.org(org).await.unwrap();
    let reason: String = sqlx::query_scalar("SELECT lost_reason FROM leads")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(reason.chars().count(), 500);
}

#[tokio::test]
async fn a_reason_for_what_is_done_to_jobs_is_not_cut_but_refused() {
    let world = World::new().await;
    let browser = operator(&world).await;
    let reason = "x".repeat(501);
    let fields = [("verb", "cancel"), ("id", "1"), ("reason", &*reason)];
    let refused = browser.post("/ops/jobs/act", &fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused
            .words()
            .contains("reason: Must be at most 500 characters"),
        "{}",
        refused.words()
    );
}
