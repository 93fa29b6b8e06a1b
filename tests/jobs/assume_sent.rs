//! A mail in doubt is taken for sent after a day, and counted until then.

use domain::id::MessageId;
use domain::mail::{MailStream, NewMail};
use domain::store::mail_ledger;
use jobs::{AssumeSent, SendMail};
use serde_json::json;

use super::*;

async fn state(world: &World, org: OrgId, key: &str) -> String {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_scalar("SELECT state FROM email_messages WHERE dedupe_key = $1")
        .bind(key)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_mail_of_which_nothing_was_heard_for_a_day_is_taken_for_sent() {
    let (world, org, _) = staffed().await;
    let mut ids = Vec::new();
    for key in ["old", "young", "waiting"] {
        let id = MessageId::new();
        let new = NewMail {
            id,
            org,
            dedupe_key: key.into(),
            stream: MailStream::Transactional,
            lead: None,
            user: None,
            to: "ada@engines.test",
            template: "lead_scored",
            template_version: 1,
            context: json!({}),
            rfc_message_id: format!("<{id}@leadmill.test>"),
            expires_at: None,
            at: world.clock.now(),
        };
        let mut tx = world.db.org(org).await.unwrap();
        assert!(mail_ledger::insert(&mut tx, &new).await.unwrap());
        tx.commit().await.unwrap();
        ids.push(id);
    }
    change(
        &world,
        org,
        "UPDATE email_messages SET state = 'unknown', claimed_at = not_before WHERE dedupe_key <> 'waiting'",
    )
    .await;
    change(
        &world,
        org,
        "UPDATE email_messages SET claimed_at = not_before + interval '1 second' WHERE dedupe_key = 'young'",
    )
    .await;
    world.clock.advance(chrono::TimeDelta::hours(24));
    let due_at = world.clock.now();
    world.enqueue(&AssumeSent { due_at }).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(
        results(&world, "assume_sent").await,
        [(
            "completed".to_owned(),
            Some(json!({"assumed": 1, "unknown": 1}))
        )]
    );
    assert_eq!(state(&world, org, "old").await, "assumed_sent");
    assert_eq!(state(&world, org, "young").await, "unknown");
    assert_eq!(state(&world, org, "waiting").await, "queued");

    // Whoever would send it still, leaves it alone.
    let message = ids[0];
    world.enqueue(&SendMail { org, message }).await;
    world.work().await;
    assert_eq!(world.mailbox().await.count(), 0);
}
