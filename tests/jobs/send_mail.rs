//! The mail ledger: whatever happens at whichever step, a mail goes once, or the ledger says that nobody knows.

use chrono::TimeDelta;
use domain::id::{AttemptToken, MessageId};
use domain::mail::MailState;
use domain::store::{Db, mail_ledger};
use jobs::effects::mail::{MailSettings, Mailer, OnUnknown};
use jobs::{Ctx, NotifyRep, SendMail};
use leadmill::dev::smtp::Trouble;
use queue::Registry;
use sqlx::PgPool;

use super::*;
use crate::processes::proxy::Line;

/// A world in which somebody is about to be written to, and the mail.
async fn about_to_write() -> (World, OrgId, MessageId) {
    let (world, org, _) = staffed().await;
    let lead = lead(&world, org).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;
    // Mail waits in another queue.
    let registry = Registry::new().add::<NotifyRep>();
    let ctx = world.ctx().await;
    let drained = queue::drain(&world.pool, &registry, &ctx).await.unwrap();
    assert_eq!(drained.failures(), []);
    let mut tx = world.db.org(org).await.unwrap();
    let message = sqlx::query_scalar("SELECT id FROM email_messages")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    (world, org, message)
}

async fn value(world: &World, org: OrgId, sql: &'static str) -> String {
    let mut tx = world.db.org(org).await.unwrap();
    let query = sqlx::query_scalar(sql).fetch_one(&mut *tx);
    query.await.unwrap()
}

/// The jobs' parts, but mail leaves otherwise.
async fn mailing(world: &World, change: impl FnOnce(&mut MailSettings)) -> Ctx {
    let mut ctx = world.ctx().await;
    let mut settings = world.mail().await;
    change(&mut settings);
    ctx.effects.mail = Mailer::new(settings).unwrap();
    ctx
}

/// How a mail stands: its state, attempts, code and error.
#[derive(Debug, sqlx::FromRow)]
struct Stand {
    state: MailState,
    attempts: i32,
    smtp_code: Option<i32>,
    last_error: Option<String>,
}

async fn stand(world: &World, org: OrgId, message: MessageId) -> Stand {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_as(
        "SELECT state, attempts, smtp_code::int4 AS smtp_code, last_error FROM email_messages WHERE id = $1",
    )
    .bind(message)
    .fetch_one(&mut *tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_mail_goes_once_however_often_its_job_runs() {
    let (world, org, message) = about_to_write().await;

    world.work().await;
    for _ in 0..3 {
        world.enqueue(&SendMail { org, message }).await;
        let drained = world.work().await;
        assert_eq!(drained.runs[0].outcome, "skipped");
    }

    let stand = stand(&world, org, message).await;
    assert_eq!(
        (stand.state, stand.attempts, stand.smtp_code),
        (MailState::Sent, 1, Some(250))
    );
    assert_eq!(stand.last_error, None);
    assert_eq!(world.mailbox().await.count(), 1);
}

#[tokio::test]
async fn an_attempt_that_died_before_the_hand_off_is_made_again() {
    let (world, org, message) = about_to_write().await;
    let mut tx = world.db.org(org).await.unwrap();
    let now = world.clock.now();
    mail_ledger::begin(&mut tx, org, message, AttemptToken::new(), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();

    world.work().await;

    let stand = stand(&world, org, message).await;
    assert_eq!((stand.state, stand.attempts), (MailState::Sent, 2));
    assert_eq!(world.mailbox().await.count(), 1);
}

/// A mail whose attempt died while the server was given it; and the attempt's token.
async fn died_in_hand_off() -> (World, OrgId, MessageId, AttemptToken) {
    let (world, org, message) = about_to_write().await;
    let mut tx = world.db.org(org).await.unwrap();
    let (now, token) = (world.clock.now(), AttemptToken::new());
    mail_ledger::begin(&mut tx, org, message, token, now)
        .await
        .unwrap();
    assert!(
        mail_ledger::hand_off(&mut tx, org, message, token, now)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    (world, org, message, token)
}

#[tokio::test]
async fn a_mail_that_may_have_gone_is_not_sent_again_but_called_unknown() {
    let (world, org, message, token) = died_in_hand_off().await;

    let drained = world.work().await;
    world.enqueue(&SendMail { org, message }).await;
    world.work().await;

    assert_eq!(drained.runs[0].outcome, "skipped");
    let found = stand(&world, org, message).await;
    assert_eq!((found.state, found.attempts), (MailState::Unknown, 1));
    assert!(found.last_error.is_some());
    assert_eq!(world.mailbox().await.count(), 0);

    // The attempt was only slow, and now brings its answer.
    let mut tx = world.db.org(org).await.unwrap();
    let fate = domain::mail::MailFate::of(MailState::Sent);
    let now = world.clock.now();
    assert!(
        mail_ledger::settle(&mut tx, org, message, token, &fate, now)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    assert_eq!(stand(&world, org, message).await.state, MailState::Sent);
}

#[tokio::test]
async fn where_a_server_knows_a_mail_again_it_is_sent_again() {
    let (world, org, message, _) = died_in_hand_off().await;
    let ctx = mailing(&world, |settings| {
        settings.on_unknown = OnUnknown::Resend;
        settings.idempotency_header = Some("Idempotency-Key".into());
    })
    .await;

    world.work_with(&ctx).await;

    assert_eq!(stand(&world, org, message).await.state, MailState::Sent);
    let mails = letters(&world).await;
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].header("Idempotency-Key").is_some(),
        "{}",
        mails[0].head
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_final_dot_leaves_a_mail_that_nobody_knows_of() {
    let (world, org, message) = about_to_write().await;
    world.mailbox().await.trouble(Trouble::HangUpAfterDot);

    world.work().await;
    world.enqueue(&SendMail { org, message }).await;
    world.work().await;

    assert_eq!(stand(&world, org, message).await.state, MailState::Unknown);
    assert_eq!(world.mailbox().await.count(), 1, "it did have it");
}

#[tokio::test]
async fn a_mail_that_is_sent_again_in_doubt_is_so_for_three_days_and_no_longer() {
    let (world, org, message) = about_to_write().await;
    change(&world, org, "UPDATE email_messages SET expires_at = NULL").await;
    let ctx = mailing(&world, |settings| settings.on_unknown = OnUnknown::Resend).await;
    world.mailbox().await.trouble(Trouble::HangUpAfterDot);
    world.mailbox().await.trouble(Trouble::HangUpAfterDot);
    let drained = world.work_with(&ctx).await;
    assert_eq!(drained.runs[0].outcome, "snoozed");

    world.clock.advance(TimeDelta::days(4));
    sqlx::query("UPDATE queue.job SET run_at = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    let drained = world.work_with(&ctx).await;

    assert_eq!(drained.runs[0].outcome, "skipped");
    let found = stand(&world, org, message).await;
    assert_eq!((found.state, found.attempts), (MailState::Unknown, 2));
}

#[tokio::test]
async fn a_server_that_says_later_gets_it_later_with_the_same_message_id() {
    let (world, org, message) = about_to_write().await;
    world.mailbox().await.trouble(Trouble::Refuse(451));

    let drained = world.work().await;
    assert_eq!(drained.runs[0].outcome, "snoozed");
    let found = stand(&world, org, message).await;
    assert_eq!(
        (found.state, found.smtp_code),
        (MailState::Deferred, Some(451))
    );
    world.work_early().await;
    assert_eq!(world.mailbox().await.count(), 0, "not before its time");

    world.clock.advance(TimeDelta::minutes(5));
    world.work_early().await;
    let found = stand(&world, org, message).await;
    assert_eq!((found.state, found.attempts), (MailState::Sent, 2));
    let mut tx = world.db.org(org).await.unwrap();
    let id: String = sqlx::query_scalar("SELECT rfc_message_id FROM email_messages")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let mails = letters(&world).await;
    assert!(
        mails[0]
            .header("Message-ID")
            .is_some_and(|sent| sent.contains(id.trim_matches(['<', '>'])))
    );
}

#[tokio::test]
async fn a_server_that_says_no_is_not_asked_again() {
    let (world, org, message) = about_to_write().await;
    world.mailbox().await.trouble(Trouble::Refuse(550));

    let drained = world.work().await;
    world.enqueue(&SendMail { org, message }).await;
    world.work().await;

    assert_eq!(drained.runs[0].outcome, "discarded");
    let found = stand(&world, org, message).await;
    assert_eq!(
        (found.state, found.smtp_code, found.attempts),
        (MailState::Failed, Some(550), 1)
    );
    assert_eq!(world.mailbox().await.count(), 0);
}

#[tokio::test]
async fn what_a_server_says_of_an_address_stays_out_of_the_queue() {
    for code in [451, 550] {
        let (world, org, message) = about_to_write().await;
        world.mailbox().await.trouble(Trouble::Refuse(code));

        world.work().await;

        let reply: String = value(&world, org, "SELECT smtp_reply FROM email_messages").await;
        assert!(reply.contains("boss@example.test"), "{reply}");
        let queue: String = sqlx::query_scalar(
            "SELECT concat((SELECT jsonb_agg(to_jsonb(job)) FROM queue.job),
                (SELECT jsonb_agg(to_jsonb(past)) FROM queue.job_history past))",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap();
        assert!(queue.contains(&message.to_string()), "{queue}");
        assert!(!queue.contains("boss@"), "{queue}");
        world.leave_jobs();
    }
}

#[tokio::test]
async fn without_a_server_mail_waits_and_is_given_up_after_three_days() {
    let (world, org, message) = about_to_write().await;
    change(&world, org, "UPDATE email_messages SET expires_at = NULL").await;
    // Nobody listens there.
    let gone = mailing(&world, |settings| {
        settings.url = "smtp://127.0.0.1:1?tls=none".into()
    })
    .await;

    let drained = world.work_with(&gone).await;
    assert_eq!(drained.runs[0].outcome, "snoozed");
    let found = stand(&world, org, message).await;
    assert_eq!(found.state, MailState::Deferred);
    assert!(found.last_error.is_some());

    world.clock.advance(TimeDelta::days(4));
    sqlx::query("UPDATE queue.job SET run_at = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    let drained = world.work_with(&gone).await;

    assert_eq!(drained.runs[0].outcome, "discarded");
    assert_eq!(stand(&world, org, message).await.state, MailState::Failed);
}

#[tokio::test]
async fn a_mail_that_is_too_late_is_not_sent() {
    let (world, org, message) = about_to_write().await;
    world.clock.advance(TimeDelta::days(3));

    world.work().await;

    assert_eq!(stand(&world, org, message).await.state, MailState::Expired);
    assert_eq!(world.mailbox().await.count(), 0);
}

#[tokio::test]
async fn an_address_that_must_not_be_written_to_is_not() {
    let insert = "INSERT INTO suppressions (org_id, email_norm, stream, reason, created_at) \
                  SELECT org_id, 'boss@example.test', $1, 'hard_bounce', now() FROM email_messages";
    for (stream, state) in [
        ("all", MailState::Suppressed),
        ("marketing", MailState::Sent),
    ] {
        let (world, org, message) = about_to_write().await;
        let mut tx = world.db.org(org).await.unwrap();
        sqlx::query(insert)
            .bind(stream)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();

        world.work().await;

        assert_eq!(stand(&world, org, message).await.state, state);
    }
}

#[tokio::test]
async fn a_mail_that_was_called_off_does_not_go() {
    let (world, org, message) = about_to_write().await;
    change(&world, org, "UPDATE email_messages SET state = 'cancelled'").await;

    let drained = world.work().await;

    assert_eq!(drained.runs[0].outcome, "skipped");
    assert_eq!(
        stand(&world, org, message).await.state,
        MailState::Cancelled
    );
    assert_eq!(world.mailbox().await.count(), 0);
}

#[tokio::test]
async fn a_mail_that_cannot_be_written_waits_for_a_release_that_can() {
    let (world, org, message) = about_to_write().await;
    change(
        &world,
        org,
        "UPDATE email_messages SET template_key = 'of_tomorrow'",
    )
    .await;

    let drained = world.work().await;
    assert_eq!(drained.failures().len(), 1);
    assert_eq!(stand(&world, org, message).await.state, MailState::Deferred);
    change(
        &world,
        org,
        "UPDATE email_messages SET template_key = 'lead_scored'",
    )
    .await;
    world.work_early().await;

    assert_eq!(stand(&world, org, message).await.state, MailState::Sent);
    assert_eq!(world.mailbox().await.count(), 1);
}

#[tokio::test]
async fn an_answer_is_kept_until_the_database_is_there_to_take_it() {
    let (world, org, message) = about_to_write().await;
    // A sequence counts also what is rolled back: the answer is refused twice, as by a server that shuts down.
    sqlx::raw_sql(
        "CREATE SEQUENCE refusals; GRANT USAGE ON SEQUENCE refusals TO leadmill_app;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('refusals') <= 2 THEN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON email_messages FOR EACH ROW WHEN (NEW.state = 'sent')
            EXECUTE FUNCTION refuse()",
    )
    .execute(&world.pool)
    .await
    .unwrap();

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let stand = stand(&world, org, message).await;
    assert_eq!((stand.state, stand.attempts), (MailState::Sent, 1));
    assert_eq!(world.mailbox().await.count(), 1);
}

#[tokio::test]
async fn a_mail_that_was_announced_and_not_handed_off_is_no_mail_in_doubt() {
    let (world, org, message) = about_to_write().await;
    let line = Line::to(world.database_url()).await;
    let pool = PgPool::connect(&line.url).await.unwrap();
    let mut ctx = world.ctx().await;
    ctx.db = Db::new(pool);
    line.lose_commit_of("SET state = 'handoff'");

    let drained = world.work_with(&ctx).await;

    assert_eq!(drained.failures().len(), 1, "{drained:?}");
    let found = stand(&world, org, message).await;
    assert_eq!((found.state, found.attempts), (MailState::Deferred, 1));
    assert_eq!(world.mailbox().await.count(), 0);
    world.work_early().await;
    assert_eq!(stand(&world, org, message).await.state, MailState::Sent);
    assert_eq!(world.mailbox().await.count(), 1);
}
