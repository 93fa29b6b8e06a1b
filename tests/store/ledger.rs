//! A mail is written down once, attempted by one at a time, and never sent to whoever does not want it.

use domain::id::{AttemptToken, MessageId, OrgId};
use domain::mail::{Mail, MailFate, MailState, MailStream, NewMail};
use domain::store::mail_ledger;
use serde_json::json;

use super::{done, value};
use crate::harness::World;

/// A mail to Ada, written down now.
async fn written(world: &World, org: OrgId, key: &str, stream: MailStream) -> (MessageId, bool) {
    let id = MessageId::new();
    let new = NewMail {
        id,
        org,
        dedupe_key: key.into(),
        stream,
        lead: None,
        user: None,
        to: " Ada@Engines.test ",
        template: "lead_scored",
        template_version: 1,
        context: json!({}),
        rfc_message_id: format!("<{id}@leadmill.test>"),
        expires_at: None,
        at: world.clock.now(),
    };
    let fresh = done(world, org, async |tx, _| {
        mail_ledger::insert(tx, &new).await.unwrap()
    });
    (id, fresh.await)
}

async fn read(world: &World, org: OrgId, id: MessageId) -> Mail {
    done(world, org, async |tx, act| {
        mail_ledger::lock(tx, org, id, act.at)
            .await
            .unwrap()
            .unwrap()
    })
    .await
}

async fn begun(world: &World, org: OrgId, id: MessageId) -> AttemptToken {
    let token = AttemptToken::new();
    done(world, org, async |tx, act| {
        mail_ledger::begin(tx, org, id, token, act.at)
            .await
            .unwrap()
    })
    .await;
    token
}

async fn settled(
    world: &World,
    org: OrgId,
    id: MessageId,
    token: AttemptToken,
    state: MailState,
) -> bool {
    done(world, org, async |tx, act| {
        mail_ledger::settle(tx, org, id, token, &MailFate::of(state), act.at)
            .await
            .unwrap()
    })
    .await
}

/// The org is not to write to Ada: nothing, or nothing of one stream.
async fn suppressed(world: &World, org: OrgId, stream: &str) {
    done(world, org, async |tx, act| {
        sqlx::query(
            "INSERT INTO suppressions (org_id, email_norm, stream, reason, created_at)
             VALUES ($1, 'ada@engines.test', $2, 'unsubscribe', $3)",
        )
        .bind(org)
        .bind(stream)
        .bind(act.at)
        .execute(tx)
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_mail_of_one_key_is_written_down_once_in_an_org() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let (id, fresh) = written(&world, here, "news:1", MailStream::Transactional).await;
    assert!(fresh);
    assert!(
        !written(&world, here, "news:1", MailStream::Transactional)
            .await
            .1
    );
    assert!(
        written(&world, there, "news:1", MailStream::Transactional)
            .await
            .1
    );
    let mail = read(&world, here, id).await;
    assert_eq!(
        (mail.to_email.as_str(), mail.state),
        ("Ada@Engines.test", MailState::Queued)
    );
}

#[tokio::test]
async fn only_the_holder_of_the_attempt_writes_about_it() {
    let world = World::new().await;
    let org = world.org().await;
    let (id, _) = written(&world, org, "news:1", MailStream::Transactional).await;
    let old = begun(&world, org, id).await;
    let new = begun(&world, org, id).await;

    let handed = done(&world, org, async |tx, act| {
        [
            mail_ledger::hand_off(tx, org, id, old, act.at)
                .await
                .unwrap(),
            mail_ledger::hand_off(tx, org, id, new, act.at)
                .await
                .unwrap(),
            mail_ledger::hand_off(tx, org, id, new, act.at)
                .await
                .unwrap(),
        ]
    });
    assert_eq!(handed.await, [false, true, false]);
    assert!(!settled(&world, org, id, old, MailState::Failed).await);
    assert!(settled(&world, org, id, new, MailState::Sent).await);
    assert!(
        !settled(&world, org, id, new, MailState::Failed).await,
        "what is sent stays sent"
    );
    let mail = read(&world, org, id).await;
    assert_eq!((mail.state, mail.attempts), (MailState::Sent, 2));
}

#[tokio::test]
async fn an_answer_that_comes_late_settles_what_was_given_up_as_unknown() {
    let world = World::new().await;
    let org = world.org().await;
    let (id, _) = written(&world, org, "news:1", MailStream::Transactional).await;
    let token = begun(&world, org, id).await;
    assert!(settled(&world, org, id, token, MailState::Unknown).await);
    assert!(settled(&world, org, id, token, MailState::Sent).await);
    assert_eq!(read(&world, org, id).await.state, MailState::Sent);
}

#[tokio::test]
async fn an_attempt_has_a_token() {
    let world = World::new().await;
    let org = world.org().await;
    written(&world, org, "news:1", MailStream::Transactional).await;
    let mut tx = world.db.org(org).await.unwrap();
    let refused = sqlx::query("UPDATE email_messages SET state = 'sending'")
        .execute(&mut *tx)
        .await;
    assert_eq!(super::code(&refused.unwrap_err()), "23514");
}

#[tokio::test]
async fn who_does_not_want_marketing_still_gets_what_concerns_their_work() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let (offer, _) = written(&world, here, "offer:1", MailStream::Marketing).await;
    let (news, _) = written(&world, here, "news:1", MailStream::Transactional).await;
    let (theirs, _) = written(&world, there, "offer:1", MailStream::Marketing).await;

    suppressed(&world, here, "marketing").await;

    assert!(read(&world, here, offer).await.suppressed);
    let (late, _) = written(&world, here, "offer:2", MailStream::Marketing).await;
    assert!(read(&world, here, late).await.suppressed);
    assert!(!read(&world, here, news).await.suppressed);
    assert!(!read(&world, there, theirs).await.suppressed);
}

#[tokio::test]
async fn a_suppression_ends_when_it_says_so() {
    let world = World::new().await;
    let org = world.org().await;
    suppressed(&world, org, "all").await;
    done(&world, org, async |tx, act| {
        sqlx::query("UPDATE suppressions SET expires_at = $1")
            .bind(act.at + chrono::TimeDelta::days(1))
            .execute(tx)
            .await
            .unwrap();
    })
    .await;
    let (id, _) = written(&world, org, "news:1", MailStream::Transactional).await;
    assert!(read(&world, org, id).await.suppressed);
    world.clock.advance(chrono::TimeDelta::days(1));
    assert!(!read(&world, org, id).await.suppressed);
}

#[tokio::test]
async fn what_a_server_answers_is_kept_within_bounds() {
    let world = World::new().await;
    let org = world.org().await;
    let (id, _) = written(&world, org, "news:1", MailStream::Transactional).await;
    let token = begun(&world, org, id).await;
    let fate = MailFate {
        code: Some(550),
        error: Some("no\0 ".to_owned() + &"x".repeat(5_000)),
        ..MailFate::of(MailState::Failed)
    };
    done(&world, org, async |tx, act| {
        mail_ledger::settle(tx, org, id, token, &fate, act.at)
            .await
            .unwrap()
    })
    .await;
    let kept = value::<String>(
        &world,
        org,
        "SELECT smtp_code || ' ' || length(last_error) FROM email_messages",
    )
    .await;
    assert_eq!(kept, "550 1000");
}
