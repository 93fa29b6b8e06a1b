//! Batches called off, dead letters forgotten, missed ticks made up for: told before, and only one's own.

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use domain::member::Role;
use queue::schedule::Ticker;

use super::assert_labelled;
use super::held::{audited, world_with_letters};
use super::ops::operator;
use crate::harness::World;

#[tokio::test]
async fn a_batch_is_called_off_after_a_question_and_only_ones_own() {
    let world = World::new().await;
    world.leave_jobs();
    let (here, there) = (world.org().await, world.another_org().await);
    world.member(here, "Olaf", Role::Owner).await;
    let owner = world.browser("olaf@example.test").await;
    let (own, foreign) = (world.batch(here, 3).await, world.batch(there, 2).await);
    world.rep("Ada").await;
    let rep = world.browser("ada@example.test").await;

    let page = owner.get("/ops/batches?unfinished=true").await;
    assert_labelled(&page);
    let asked = format!("Cancel sweep {own}?");
    assert!(page.words().contains(&asked), "{}", page.words());
    assert!(
        page.words().contains("Still to end: 3 of 3 jobs."),
        "{}",
        page.words()
    );
    let path = |id: &str| format!("/ops/batches/{id}/cancel");
    let (mine, others) = (path(&own.to_string()), path(&foreign.to_string()));
    for (browser, path, status) in [
        (&rep, &mine, StatusCode::FORBIDDEN),
        (&owner, &others, StatusCode::NOT_FOUND),
        (&owner, &path("x"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(browser.post(path, &[]).await.status, status, "{path}");
    }
    let long = owner.post(&mine, &[("reason", &*"x".repeat(501))]).await;
    assert!(
        long.words().contains("reason: Must be at most 500"),
        "{}",
        long.words()
    );

    let fields = [
        ("reason", "not wanted"),
        ("back", "/ops/batches?unfinished=true"),
    ];
    let done = owner.post(&mine, &fields).await;
    assert_eq!(
        done.location,
        "/ops/batches?unfinished=true&said=called_off.3",
        "{}",
        done.words()
    );
    let back = owner.get(&done.location).await.words();
    assert!(back.contains("Cancelled 3 jobs;"), "{back}");
    assert!(!back.contains(&asked), "{back}");
    let finished = owner.get("/ops/batches").await.words();
    assert!(
        finished.contains("completed Analytical Engines 3 of 3 0 3"),
        "{finished}"
    );
    let again = owner.post(&mine, &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.words());
    assert_eq!(audited(&world, here).await, ["batch.cancel"]);
    let whole = operator(&world).await.get("/ops/batches").await;
    assert!(
        whole.words().contains("open Analytical Engines 0 of 2 0 0"),
        "{}",
        whole.words()
    );
}

#[tokio::test]
async fn dead_letters_of_one_cause_are_forgotten_after_a_question_and_only_ones_own() {
    let (world, here) = world_with_letters().await;
    let owner = world.browser("olaf@example.test").await;

    let page = owner.get("/ops/dead").await;
    assert_labelled(&page);
    assert!(
        page.words().contains("Forget 2 of send_mail?"),
        "{}",
        page.words()
    );
    let (cause, until) = (page.field("fingerprint"), page.field("until"));
    let fields = [
        ("kind", "send_mail"),
        ("fingerprint", &*cause),
        ("until", &*until),
    ];
    // One more dies of it before somebody has made up their mind.
    world.dead_letter(here.uuid(), "552 no such box").await;
    let done = owner.post("/ops/dead/forget", &fields).await;
    assert_eq!(
        done.location,
        "/ops/dead?said=forgotten.2",
        "{}",
        done.words()
    );
    let back = owner.get(&done.location).await.words();
    assert!(back.contains("Removed 2 dead letters for good."), "{back}");
    assert!(back.contains("timed out"), "{back}");
    assert!(back.contains("# no such box send_mail 1"), "{back}");
    assert_eq!(audited(&world, here).await, ["dead_letters.forget"]);
    let whole = operator(&world).await.get("/ops/dead").await;
    assert!(
        whole.words().contains("# no such box send_mail 2"),
        "{}",
        whole.words()
    );

    // Nothing is forgotten by mistake.
    let wrong = owner
        .post("/ops/dead/forget", &[("kind", "send_mail")])
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    world.rep("Ada").await;
    let rep = world.browser("ada@example.test").await;
    let refused = rep.post("/ops/dead/forget", &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn missed_ticks_are_told_before_they_are_made_up_for() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let browser = operator(&world).await;
    let ticker = Ticker::new(jobs::schedules()).unwrap();
    ticker.define(&world.pool).await.unwrap();
    let list = browser.get("/ops/schedules").await;
    let path = "/ops/schedules/refresh_scores/backfill";
    assert!(
        list.text.replace("&#x2f;", "/").contains(path),
        "{}",
        list.text
    );
    let next: DateTime<Utc> =
        sqlx::query_scalar("SELECT next_due FROM queue.schedule WHERE name = 'refresh_scores'")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    let first = next - TimeDelta::days(2);

    let empty = browser.get(path).await;
    assert_labelled(&empty);
    assert!(
        !empty.words().contains("would fire at"),
        "{}",
        empty.words()
    );
    let local = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M").to_string();
    let span = format!("{path}?from={}", local(first));
    let told = browser.get(&span).await;
    assert_labelled(&told);
    assert!(
        told.words().contains("2 ticks would fire"),
        "{}",
        told.words()
    );
    let day = first.format("%A, %-d %B %Y, 03:00:00 UTC").to_string();
    assert!(told.words().contains(&day), "{}", told.words());
    assert_eq!(jobs_left(&world).await, 0, "looking fires nothing");

    let ticks = [first, next - TimeDelta::days(1)].map(|at| at.to_rfc3339());
    let fields = [("from", &*ticks[0]), ("to", &*ticks[1])];
    let done = browser.post(path, &fields).await;
    assert_eq!(
        done.location,
        "/ops/schedules?said=filled.2",
        "{}",
        done.words()
    );
    assert_eq!(jobs_left(&world).await, 2);
    let back = browser.get(&done.location).await.words();
    assert!(back.contains("Fired 2 missed ticks."), "{back}");
    let over = browser.get(&span).await.words();
    assert!(over.contains("Nothing would fire"), "{over}");
    let again = browser.post(path, &fields).await;
    assert_eq!(again.location, "/ops/schedules?said=filled.0");
    assert_eq!(audited(&world, org).await, ["schedule.backfill"; 2]);

    for (query, why) in [
        ("from=soon", "Must be a time that there is on your clock"),
        ("from=2020-01-01T00:00", "more than 399 days ago"),
        ("from=2026-02-01T00:00&to=2026-01-01T00:00", "before from"),
        ("to=2026-01-01T00:00", "Say from when"),
    ] {
        let wrong = browser.get(&format!("{path}?{query}")).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(wrong.words().contains(why), "{query}: {}", wrong.words());
        assert_labelled(&wrong);
    }
    let nowhere = browser.get("/ops/schedules/nightly/backfill").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    world.member(org, "Olaf", Role::Owner).await;
    let owner = world.browser("olaf@example.test").await;
    assert_eq!(owner.get(path).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        owner.post(path, &fields).await.status,
        StatusCode::FORBIDDEN
    );
}

async fn jobs_left(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM queue.job WHERE kind = 'refresh_scores'")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}
