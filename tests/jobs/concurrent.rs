//! Many at once: whoever comes first, the world ends up the same.

use std::time::Duration;

use futures::future::join_all;
use jobs::Ctx;
use queue::{Attempt, Enqueued, Job, JobResult, Key, Outcome, Registry};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
    world.work_early().await;
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
    world.enqueue(&Followed(enrich(org, lead))).await;
    let registry = Registry::new().add::<Followed>();
    let ctx = world.ctx().await;

    let drained = queue::drain(&world.pool, &registry, &ctx).await.unwrap();

    assert_eq!(drained.failures(), []);
    assert_eq!(provider.asked().len(), 1);
    let next = results(&world, "enrich_lead").await;
    assert_eq!(next[0].1, Some(json!("new")), "{next:?}");
}

/// A look-up whose lead changes after it is done, and before the queue knows.
#[derive(Serialize, Deserialize)]
struct Followed(EnrichLead);

impl Job for Followed {
    const NAME: &'static str = EnrichLead::NAME;
    const QUEUE: &'static str = EnrichLead::QUEUE;
    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        self.0.key()
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        self.0.run(ctx, attempt).await?;
        let mut db = ctx.db.pool().acquire().await?;
        let next = queue::job(&self.0).after(Duration::from_secs(3_600));
        Ok(Outcome::DoneWith(match next.enqueue(&mut db).await? {
            Enqueued::New(_) => json!("new"),
            Enqueued::Exists(_) => json!("lost"),
        }))
    }
}
