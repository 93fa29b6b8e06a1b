//! Every night each org gets a job of its own.

use jobs::RefreshScores;
use serde_json::json;

use super::*;

#[tokio::test]
async fn every_active_org_is_scored_anew_and_no_other() {
    let (world, org, _) = staffed_at("2030-03-05T03:00:00Z").await;
    let (second, closed) = (world.another_org().await, world.another_org().await);
    for org in [org, second, closed] {
        lead(&world, org).await;
    }
    let mut tx = world.db.platform().await.unwrap();
    sqlx::query("UPDATE orgs SET status = 'suspended' WHERE id = $1")
        .bind(closed)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let due_at = world.clock.now();
    world.enqueue(&RefreshScores { due_at }).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(
        results(&world, "refresh_scores").await,
        [("completed".to_owned(), Some(json!({"orgs": 2, "batch": 1})))]
    );
    assert_eq!(drained.count("refresh_org_scores"), 2);
    let mut db = world.pool.acquire().await.unwrap();
    let batch = queue::admin::batch(&mut db, 1).await.unwrap().unwrap();
    assert_eq!(
        (batch.name.as_str(), batch.state.as_str()),
        ("refresh_scores", "completed")
    );
    assert_eq!((batch.total, batch.done), (2, 2));
    drop(db);
    for (org, scored) in [(org, true), (second, true), (closed, false)] {
        assert_eq!(leads(&world, org).await[0].score_total.is_some(), scored);
    }
}

#[tokio::test]
async fn it_runs_at_three_and_reminders_at_eight_as_utc_counts() {
    let mut due = Vec::new();
    for schedule in jobs::schedules() {
        let next = schedule
            .cadence()
            .unwrap()
            .next(time("2030-03-04T12:00:00Z"));
        due.push((schedule.name().to_owned(), next));
    }
    let tomorrow = |at: &str| Some(time(&format!("2030-03-05T{at}:00Z")));
    assert_eq!(
        due,
        [
            ("refresh_scores".to_owned(), tomorrow("03:00")),
            ("remind_follow_ups".to_owned(), tomorrow("08:00")),
            ("forget_expired".to_owned(), tomorrow("04:00")),
            ("assume_sent".to_owned(), Some(time("2030-03-04T12:05:00Z"))),
        ]
    );
}

#[tokio::test]
async fn a_schedule_that_fires_leaves_the_job_of_that_time() {
    let (world, org, _) = staffed().await;
    lead(&world, org).await;
    for schedule in jobs::schedules() {
        let mut db = world.pool.acquire().await.unwrap();
        queue::schedule::run_now(&mut db, &schedule).await.unwrap();
    }

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    for kind in [
        "refresh_scores",
        "refresh_org_scores",
        "remind_follow_ups",
        "remind_org_follow_ups",
        "forget_expired",
        "assume_sent",
    ] {
        assert_eq!(drained.count(kind), 1, "{kind}");
    }
}
