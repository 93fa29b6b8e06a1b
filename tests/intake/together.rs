//! Captures that come at once share commits, and each sender is answered for its own.

use std::collections::HashSet;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use domain::id::OrgId;
use futures::future::{join_all, maybe_done};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{capture, inbox, jane, org, web};
use crate::harness::World;
use crate::queue::cast::until;

const ONE_WAITS: &str = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'intake_events'::regclass AND NOT granted)";

fn of(org: OrgId, name: &str) -> Value {
    let mut input = jane(org);
    input["lastName"] = json!(name);
    input
}

/// What a sender was told.
#[derive(Debug)]
struct Told {
    status: u16,
    id: Option<uuid::Uuid>,
}

async fn send(web: Router, request: Request<Body>) -> Told {
    let response = web.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let id = body.pointer("/result/data/id");
    let id = id.map(|id| id.as_str().unwrap().parse().unwrap());
    Told { status, id }
}

/// Sends these while nothing can be written to the inbox, and gives the answers.
async fn at_once(world: &World, web: &Router, requests: Vec<Request<Body>>) -> Vec<Told> {
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE intake_events IN SHARE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let requests = requests.into_iter();
    // One that is refused is answered whatever the inbox does.
    let sent = requests.map(|request| Box::pin(maybe_done(send(web.clone(), request))));
    let mut sent: Vec<_> = sent.collect();
    for one in &mut sent {
        let _ = futures::poll!(one.as_mut());
    }
    until(&world.pool, ONE_WAITS).await;
    tx.commit().await.unwrap();
    let all = join_all(sent.iter_mut().map(|one| one.as_mut()));
    let told = tokio::time::timeout(Duration::from_secs(40), all).await;
    told.expect("every sender is answered");
    let told = sent.iter_mut().map(|one| one.as_mut().take_output());
    told.map(Option::unwrap).collect()
}

/// From now on the database keeps no capture of somebody of that name.
async fn refuse_poison(world: &World) {
    sqlx::raw_sql("ALTER TABLE intake_events ADD CONSTRAINT healthy CHECK (submission::text NOT LIKE '%poison%')")
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captures_of_several_orgs_share_commits_and_each_lands_in_its_own_org() {
    let world = World::new().await;
    let orgs = [org(&world, "active").await, org(&world, "active").await];
    let closed = org(&world, "suspended").await;
    let web = web(&world, |_| {});
    let names: Vec<String> = (0..90).map(|number| format!("Doe {number}")).collect();
    let whose = |number: usize| match number % 3 {
        2 => closed,
        other => orgs[other],
    };
    let requests = names.iter().enumerate();
    let requests = requests.map(|(number, name)| capture(&of(whose(number), name)));

    let answers = at_once(&world, &web, requests.collect()).await;

    for org in orgs {
        let kept = inbox(&world, org).await;
        assert_eq!(kept.len(), 30);
        for event in kept {
            let name = event.submission["last_name"].as_str().unwrap().to_owned();
            let number = names.iter().position(|one| *one == name).unwrap();
            assert_eq!(whose(number), org);
            assert_eq!(answers[number].id, Some(event.id));
        }
    }
    assert!(inbox(&world, closed).await.is_empty());
    let refused = answers.iter().skip(2).step_by(3);
    for answer in refused {
        assert_eq!(answer.status, 404);
    }
    let (jobs, commits): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(DISTINCT xmin::text) FROM queue.job WHERE kind = 'process_intake'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(jobs, 60);
    assert!(commits <= 20, "60 captures took {commits} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_kept_spoils_no_other() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    refuse_poison(&world).await;
    let web = web(&world, |_| {});
    let requests = (0..40).map(|number| match number % 10 {
        7 => capture(&of(org, "poison")),
        _ => capture(&of(org, &format!("Doe {number}"))),
    });

    let answers = at_once(&world, &web, requests.collect()).await;

    for (number, answer) in answers.iter().enumerate() {
        let expected = if number % 10 == 7 { 500 } else { 200 };
        assert_eq!(answer.status, expected, "{number}");
    }
    assert_eq!(inbox(&world, org).await.len(), 36);
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM queue.job")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(jobs, 36);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_kept_counts_none_twice_against_the_limit() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    refuse_poison(&world).await;
    let web = web(&world, |config| config.intake.per_org_per_minute = 20);
    let requests = (0..20).map(|number| match number {
        10 => capture(&of(org, "poison")),
        _ => capture(&of(org, &format!("Doe {number}"))),
    });

    let answers = at_once(&world, &web, requests.collect()).await;

    for (number, answer) in answers.iter().enumerate() {
        let expected = if number == 10 { 500 } else { 200 };
        assert_eq!(answer.status, expected, "{number}");
    }
    assert_eq!(inbox(&world, org).await.len(), 19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_many_times_at_once_is_kept_once() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let with_key = |input: &Value| {
        let mut request = capture(input);
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "abc".parse().unwrap());
        request
    };
    let mut requests: Vec<_> = (0..20).map(|_| with_key(&jane(org))).collect();
    requests.push(with_key(&of(org, "Jones")));

    let answers = at_once(&world, &web, requests).await;

    let kept = inbox(&world, org).await;
    assert_eq!(kept.len(), 1);
    let told: HashSet<_> = answers.iter().filter_map(|answer| answer.id).collect();
    assert_eq!(told, HashSet::from([kept[0].id]));
    // Which of the two submissions was the first is a matter of chance.
    for (number, answer) in answers.iter().enumerate() {
        let is_other = (number == 20) != (kept[0].submission["last_name"] == "Jones");
        assert_eq!(answer.status, if is_other { 409 } else { 200 });
    }
}
