//! A mail in doubt is taken for sent after a day, and counted until then.

use domain::id::MessageId;
use domain::mail::{MailStream, NewMail};
use domain::store::mail_ledger;
use jobs::{AssumeSent, SendMail};
use queue::Registry;
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

/// Mails under these keys, which nobody has a job for.
async fn written(world: &World, org: OrgId, keys: &[&str]) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for key in keys {
        let id = MessageId::new();
        let new = NewMail {
            id,
            org,
            dedupe_key: (*key).into(),
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
    ids
}

/// The sweep and what it left, but no mail goes.
async fn sweep(world: &World) -> Vec<MessageId> {
    let due_at = world.clock.now();
    world.enqueue(&AssumeSent { due_at }).await;
    let registry = Registry::new().add::<AssumeSent>();
    let ctx = world.ctx().await;
    let drained = queue::drain(&world.pool, &registry, &ctx).await.unwrap();
    assert_eq!(drained.failures(), []);
    let waiting = "SELECT (payload ->> 'message')::uuid FROM queue.job ORDER BY id";
    let waiting = sqlx::query_scalar(waiting);
    waiting.fetch_all(&world.pool).await.unwrap()
}

#[tokio::test]
async fn a_mail_of_which_nothing_was_heard_for_a_day_is_taken_for_sent() {
    let (world, org, _) = staffed().await;
    let ids = written(&world, org, &["old", "young", "waiting"]).await;
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

    let resumed = sweep(&world).await;

    assert_eq!(resumed, [ids[2]]);
    assert_eq!(
        results(&world, "assume_sent").await,
        [(
            "completed".to_owned(),
            Some(json!({"assumed": 1, "unknown": 1, "resumed": 1, "called_off": 0}))
        )]
    );
    assert_eq!(state(&world, org, "old").await, "assumed_sent");
    assert_eq!(state(&world, org, "young").await, "unknown");
    assert_eq!(state(&world, org, "waiting").await, "queued");

    // Whoever would send it still, leaves it alone.
    let message = ids[0];
    world.enqueue(&SendMail { org, message }).await;
    let registry = Registry::new().add::<SendMail>();
    change(
        &world,
        org,
        "UPDATE email_messages SET state = 'cancelled' WHERE dedupe_key = 'waiting'",
    )
    .await;
    let ctx = world.ctx().await;
    queue::drain(&world.pool, &registry, &ctx).await.unwrap();
    assert_eq!(world.mailbox().await.count(), 0);
}

#[tokio::test]
async fn a_mail_that_its_job_left_in_hand_off_is_in_doubt_like_any_other() {
    let (world, org, _) = staffed().await;
    written(&world, org, &["left"]).await;
    change(
        &world,
        org,
        "UPDATE email_messages SET state = 'handoff', claimed_at = not_before, attempt_token = id",
    )
    .await;
    let in_doubt = async || {
        let mut tx = world.db.org(org).await.unwrap();
        mail_ledger::unknown(&mut tx, org, world.clock.now())
            .await
            .unwrap()
    };
    world.clock.advance(chrono::TimeDelta::minutes(59));
    assert_eq!(in_doubt().await, 0, "the attempt may go on");
    world.clock.advance(chrono::TimeDelta::minutes(1));
    assert_eq!(in_doubt().await, 1);
    sweep(&world).await;
    assert_eq!(state(&world, org, "left").await, "handoff");

    world.clock.advance(chrono::TimeDelta::hours(23));
    sweep(&world).await;

    assert_eq!(state(&world, org, "left").await, "assumed_sent");
    assert_eq!(in_doubt().await, 0);
}

#[tokio::test]
async fn a_mail_that_is_to_go_and_has_lost_its_job_gets_another() {
    let (world, org, _) = staffed().await;
    world.leave_jobs();
    let keys = [
        "queued",
        "deferred",
        "sending",
        "sent",
        "later",
        "has a job",
    ];
    let ids = written(&world, org, &keys).await;
    change(
        &world,
        org,
        "UPDATE email_messages SET state = dedupe_key, claimed_at = not_before, attempt_token = id
            WHERE dedupe_key IN ('queued', 'deferred', 'sending', 'sent')",
    )
    .await;
    change(
        &world,
        org,
        "UPDATE email_messages SET not_before = not_before + interval '1 second' WHERE dedupe_key = 'later'",
    )
    .await;
    let message = ids[5];
    world.enqueue(&SendMail { org, message }).await;
    assert_eq!(sweep(&world).await, [message], "all may have theirs");

    world.clock.advance(chrono::TimeDelta::hours(1));
    let mut waiting = sweep(&world).await;

    waiting.sort();
    let mut expected = [ids[0], ids[1], ids[2], message];
    expected.sort();
    assert_eq!(waiting, expected);
    assert_eq!(sweep(&world).await.len(), 4, "and none a second time");
}

#[tokio::test]
async fn a_mail_whose_job_somebody_cancelled_does_not_go_after_all() {
    let (world, org, _) = staffed().await;
    world.leave_jobs();
    let ids = written(&world, org, &["cancelled", "kept", "thought better of"]).await;
    let jobs = ids.iter().map(|message| SendMail {
        org,
        message: *message,
    });
    let mut db = world.pool.acquire().await.unwrap();
    for job in jobs {
        let job = queue::enqueue(&mut db, &job).await.unwrap().id();
        queue::admin::cancel(&mut db, job.0, "wrong list")
            .await
            .unwrap();
    }
    let message = ids[2];
    world.enqueue(&SendMail { org, message }).await;
    // One that was cancelled before there was this mail of its key says nothing.
    sqlx::query("UPDATE queue.job_history SET finished_at = finished_at - interval '2 days' WHERE unique_key = $1")
        .bind(ids[1].to_string())
        .execute(&mut *db)
        .await
        .unwrap();
    world.clock.advance(chrono::TimeDelta::hours(1));

    assert_eq!(sweep(&world).await, [ids[2], ids[1]]);

    assert_eq!(state(&world, org, "cancelled").await, "cancelled");
    assert_eq!(state(&world, org, "kept").await, "queued");
    assert_eq!(state(&world, org, "thought better of").await, "queued");
    let (_, said) = results(&world, "assume_sent").await.remove(0);
    assert_eq!(
        said,
        Some(json!({"assumed": 0, "unknown": 0, "resumed": 1, "called_off": 1}))
    );
}

#[tokio::test]
async fn a_run_that_was_interrupted_goes_on_behind_the_last_org() {
    let (world, first, _) = staffed().await;
    let second = world.another_org().await;
    let doubt = "UPDATE email_messages SET state = 'unknown', claimed_at = not_before";
    for org in [first, second] {
        written(&world, org, &["old"]).await;
        change(&world, org, doubt).await;
    }
    world.clock.advance(chrono::TimeDelta::hours(24));
    // A sequence counts also what is rolled back: the second mail is refused once.
    sqlx::raw_sql(
        "CREATE SEQUENCE mails; GRANT USAGE ON SEQUENCE mails TO leadmill_app;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('mails') = 2 THEN RAISE EXCEPTION 'not now'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON email_messages FOR EACH ROW WHEN (NEW.state = 'assumed_sent')
            EXECUTE FUNCTION refuse()",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let due_at = world.clock.now();
    world.enqueue(&AssumeSent { due_at }).await;
    assert_eq!(world.work().await.failures().len(), 1);
    let (done, left) = match state(&world, first, "old").await.as_str() {
        "unknown" => (second, first),
        _ => (first, second),
    };
    // Left to the next run.
    change(&world, done, doubt).await;

    assert_eq!(world.work_early().await.failures(), []);

    assert_eq!(state(&world, done, "old").await, "unknown");
    assert_eq!(state(&world, left, "old").await, "assumed_sent");
    let (_, said) = results(&world, "assume_sent").await.remove(0);
    assert_eq!(
        said,
        Some(json!({"assumed": 2, "unknown": 0, "resumed": 0, "called_off": 0}))
    );
}
