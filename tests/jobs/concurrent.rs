//! Many at once: whoever comes first, the world ends up the same.

use futures::future::join_all;
use queue::Enqueued;

use super::*;
use crate::harness::{Answer, Provider};

#[tokio::test]
async fn however_many_submissions_of_one_address_are_worked_on_at_once_there_is_one_lead() {
    let (world, org, boss) = staffed().await;
    for n in 0..24 {
        let mut submission = jane();
        submission.job_title = (n % 3 == 0).then(|| "Head of Maths".into());
        submit(&world, org, &submission).await;
    }
    let ctx = world.ctx().await;

    let drained = join_all((0..6).map(|_| world.work_with(&ctx))).await;

    for drained in &drained {
        assert_eq!(drained.failures(), []);
    }
    world.work().await;
    let all = leads(&world, org).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].details.job_title.as_deref(), Some("Head of Maths"));
    assert_eq!(kinds(&world, org, boss).await, ["lead_scored"]);
    assert_eq!(world.mailbox().await.count(), 1);
    let mut tx = world.db.org(org).await.unwrap();
    let states: Vec<(String, bool)> =
        sqlx::query_as("SELECT DISTINCT state, lead_id IS NOT NULL FROM intake_events ORDER BY 1")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    let (done, same) = (
        ("processed".to_owned(), true),
        ("duplicate".to_owned(), true),
    );
    assert!(
        states.iter().all(|state| *state == done || *state == same),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_look_up_that_is_done_leaves_room_for_the_next_before_it_has_ended() {
    let (world, org, _) = staffed().await;
    let provider = Provider::that_says([Answer::manager()]).await;
    world.look_up_at(provider.url());
    let lead = lead(&world, org).await;
    let Enqueued::New(job) = world.enqueue(&enrich(org, lead)).await else {
        panic!("it is the first");
    };
    let attempt = claimed(&world, job).await;
    let ctx = world.ctx().await;

    queue::Job::run(&enrich(org, lead), &ctx, &attempt)
        .await
        .unwrap();

    // The queue does not know yet that it is done; a change of the lead now must not be lost.
    let next = world.enqueue(&enrich(org, lead)).await;
    assert!(matches!(next, Enqueued::New(_)), "{next:?}");
    world.leave_jobs();
}

/// The attempt of a process that has just claimed the job.
async fn claimed(world: &World, job: queue::JobId) -> queue::Attempt {
    let (queue, epoch, at): (String, i32, Timestamp) = sqlx::query_as(
        "UPDATE queue.job SET state = 2, lease_by = 1, epoch = epoch + 1, attempt = 1, started_at = now() \
         WHERE id = $1 RETURNING queue, epoch, created_at",
    )
    .bind(job)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    queue::Attempt {
        job,
        epoch,
        number: 1,
        max: 20,
        queue: queue.into(),
        kind: "enrich_lead",
        lane: None,
        scheduled_at: at,
        created_at: at,
        trace: None,
    }
}
