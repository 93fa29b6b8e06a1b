//! A job that ran and was not believed runs again, and one that was taken for dead may still be running: the world is the
//! same as if each had run once.

use domain::id::MessageId;
use jobs::{Ctx, RefreshOrgScores, RefreshScores, RemindFollowUps, RemindOrgFollowUps, SendMail};
use queue::{Attempt, Job, JobResult, Outcome, Registry};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::harness::{Answer, Provider};

/// A world in which one of everything has happened: its lead, submission and mail.
async fn lived_in() -> (World, OrgId, LeadId, IntakeEventId, MessageId, Provider) {
    let (world, org, _) = staffed_at("2030-03-04T08:00:00Z").await;
    let provider = Provider::that_says([Answer::manager()]).await;
    world.look_up_at(provider.url());
    let event = submit(&world, org, &jane()).await;
    assert_eq!(world.work().await.failures(), []);
    change(
        &world,
        org,
        "UPDATE leads SET next_follow_up_at = '2030-03-04T07:00:00Z'",
    )
    .await;
    let due_at = world.clock.now();
    world.enqueue(&RefreshScores { due_at }).await;
    world.enqueue(&RemindFollowUps { due_at }).await;
    assert_eq!(world.work().await.failures(), []);
    let lead = leads(&world, org).await[0].id;
    let mut tx = world.db.org(org).await.unwrap();
    let message = sqlx::query_scalar("SELECT id FROM email_messages ORDER BY id LIMIT 1")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    drop(tx);
    (world, org, lead, event, message, provider)
}

#[tokio::test]
async fn each_job_run_again_leaves_the_world_as_it_is() {
    let (world, org, lead, event, message, provider) = lived_in().await;
    let due_at = world.clock.now();
    let before = everything(&world, org).await;
    let (sent, asked) = (world.mailbox().await.count(), provider.asked().len());

    world.enqueue(&ProcessIntake { org, event }).await;
    world.enqueue(&notify(org, lead, Reason::Scored)).await;
    world.enqueue(&SendMail { org, message }).await;
    world.enqueue(&RefreshScores { due_at }).await;
    world.enqueue(&RemindFollowUps { due_at }).await;
    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(everything(&world, org).await, before);
    assert_eq!(world.mailbox().await.count(), sent);

    // These two write what they found out once more into the lead's history, and nothing else anew.
    world.enqueue(&enrich(org, lead)).await;
    world.enqueue(&score(org, lead)).await;
    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(provider.asked().len(), asked);
    assert_eq!(world.mailbox().await.count(), sent);
    let after = everything(&world, org).await;
    for table in [
        "notifications",
        "email_messages",
        "enrichment_runs",
        "lead_status_history",
        "companies",
    ] {
        assert_eq!(after.get(table), before.get(table), "{table}");
    }
}

/// The same job in a process that is taken for dead as soon as it has claimed it, and does not know.
#[derive(Serialize, Deserialize)]
struct Late<J>(J);

impl<J: Job<Ctx = Ctx>> Job for Late<J> {
    const NAME: &'static str = J::NAME;
    const QUEUE: &'static str = J::QUEUE;
    type Ctx = Ctx;

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let claim = "UPDATE queue.job SET epoch = epoch + $2 WHERE id = $1";
        let moved = async |by: i32| {
            let query = sqlx::query(claim).bind(attempt.job).bind(by);
            query.execute(ctx.db.pool()).await
        };
        moved(1).await?;
        let ended = self.0.run(ctx, attempt).await;
        moved(-1).await?;
        Ok(match ended {
            Err(why) => Outcome::DoneWith(json!(format!("{why:#}"))),
            Ok(outcome) => Outcome::discard(format!("it went through: {outcome:?}")),
        })
    }
}

async fn run_late<J: Job<Ctx = Ctx>>(world: &World, job: J) {
    let late = Late(job);
    let (mut db, ctx) = (world.pool.acquire().await.unwrap(), world.ctx().await);
    let id = queue::enqueue(&mut db, &late).await.unwrap().id();
    drop(db);
    let registry = Registry::new().add::<Late<J>>();
    let drained = queue::drain(&world.pool, &registry, &ctx).await.unwrap();
    assert_eq!(drained.failures(), []);
    let said: Value = sqlx::query_scalar("SELECT result FROM queue.job_history WHERE id = $1")
        .bind(id)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(
        said,
        json!(format!("the claim on job {id} is gone")),
        "{}",
        J::NAME
    );
}

#[tokio::test]
async fn an_attempt_that_was_taken_for_dead_writes_nothing() {
    let (world, org, _) = staffed_at("2030-03-04T08:00:00Z").await;
    let provider = Provider::that_says([Answer::manager()]).await;
    world.look_up_at(provider.url());
    let event = submit(&world, org, &jane()).await;
    let due_at = world.clock.now();
    let lead = lead_with(&world, org, |capture| {
        capture.details.next_follow_up_at = Some(due_at);
    })
    .await;
    let ctx = world.ctx().await;
    let only_news = Registry::new().add::<NotifyRep>();
    world.enqueue(&notify(org, lead, Reason::Scored)).await;
    queue::drain(&world.pool, &only_news, &ctx).await.unwrap();
    let mut tx = world.db.org(org).await.unwrap();
    let message = sqlx::query_scalar("SELECT id FROM email_messages")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    drop(tx);
    change(
        &world,
        org,
        "INSERT INTO enrichment_runs (id, org_id, lead_id, provider_key, request_hash, state, outcome)
            SELECT gen_random_uuid(), org_id, id, 'pdl', '', 'done', 'blocked' FROM leads",
    )
    .await;
    let before = everything(&world, org).await;
    sqlx::query("DELETE FROM queue.job")
        .execute(&world.pool)
        .await
        .unwrap();

    run_late(&world, ProcessIntake { org, event }).await;
    run_late(&world, enrich(org, lead)).await;
    run_late(&world, score(org, lead)).await;
    run_late(&world, notify(org, lead, Reason::TurnedHot)).await;
    run_late(&world, SendMail { org, message }).await;
    run_late(&world, RefreshScores { due_at }).await;
    run_late(
        &world,
        RefreshOrgScores {
            org,
            due_at,
            after: None,
        },
    )
    .await;
    run_late(&world, RemindFollowUps { due_at }).await;
    run_late(&world, RemindOrgFollowUps { org, due_at }).await;

    assert_eq!(everything(&world, org).await, before);
    assert_eq!(live(&world).await, 0, "nothing was enqueued");
    assert_eq!(provider.asked().len(), 0);
    assert_eq!(world.mailbox().await.count(), 0);
}

/// How many jobs wait.
async fn live(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM queue.job")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}
