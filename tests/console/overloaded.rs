//! What pages say when the database has no time for them.

use axum::http::StatusCode;

use super::ops::operator;
use crate::harness::World;

#[tokio::test]
async fn nothing_is_said_to_be_well_that_could_not_be_looked_at() {
    let world = World::new().await;
    let browser = operator(&world).await;

    let mut held = world.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE queue.node, queue.schedule IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    let page = browser.get("/ops").await;
    held.rollback().await.unwrap();

    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    let words = page.words();
    for part in ["The queues", "The workers", "The schedules"] {
        let alarm = format!("{part} could not be looked at within two seconds");
        assert!(words.contains(&alarm), "{words}");
    }
    assert!(!words.contains("Nothing needs you"), "{words}");
    assert!(
        words.contains("– ready") && words.contains("– workers alive"),
        "{words}"
    );
    let gave_up = "The database gave up looking after two seconds.";
    assert_eq!(words.matches(gave_up).count(), 3, "{words}");
    assert!(!words.contains("There is no queue yet") && !words.contains("No worker has run"));

    let page = browser.get("/ops").await;
    let words = page.words();
    assert!(words.contains("0 ready") && words.contains("Nothing needs you"));
}
