//! Batches called off, dead letters forgotten, and how many jobs ended.

use domain::id::OrgId;
use queue::admin::{self, COUNTED_TO, Counted, DeadFilter};
use serde_json::{Value, json};

use super::{ADMIN, OPS, audited, get, key, operator, post};
use crate::harness::World;
use crate::queue::cast::until;

#[tokio::test]
async fn a_batch_is_called_off_and_only_ones_own() {
    let world = World::new().await;
    world.leave_jobs();
    let (here, there) = (world.org().await, world.another_org().await);
    let key = key(&world, here, &OPS, None).await;
    let mut made = Vec::new();
    for lane in [here, there] {
        made.push(world.batch(lane, 3).await);
    }
    let (own, foreign) = (made[0], made[1]);
    for missing in [foreign.to_string(), "x".to_owned()] {
        let path = format!("/batches/{missing}/cancel");
        assert_eq!(post(&world, &key, &path, json!({})).await.0, 404, "{path}");
    }

    let path = format!("/batches/{own}/cancel");
    let (status, done) = post(&world, &key, &path, json!({"reason": "not wanted"})).await;

    assert_eq!((status, done), (200, json!({"cancelled": 3, "asked": 0})));
    let shown = get(&world.app, &format!("{ADMIN}/batches/{own}"), &key).await;
    assert_eq!(
        (&shown["state"], &shown["cancelled"]),
        (&json!("completed"), &json!(3)),
        "{shown}"
    );
    let finished = get(&world.app, &format!("{ADMIN}/jobs?finished=true"), &key).await;
    assert_eq!(finished["items"].as_array().unwrap().len(), 3);
    let job = &finished["items"][0]["id"];
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{job}"), &key).await;
    assert_eq!(shown["reason"], "not wanted");
    // Nothing is left of it to call off, and nothing more in the audit log.
    let (status, problem) = post(&world, &key, &path, json!({})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("illegal")));
    assert_eq!(audited(&world, here).await, ["batch.cancel"]);
    let whole = operator(&world, here).await;
    let other = get(&world.app, &format!("{ADMIN}/batches/{foreign}"), &whole).await;
    assert_eq!(
        (&other["state"], &other["remaining"]),
        (&json!("open"), &json!(3))
    );
}

#[tokio::test]
async fn dead_letters_are_forgotten_by_their_cause_and_counted_before() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let key = key(&world, here, &OPS, None).await;
    for error in ["550 no such box", "551 no such box", "timed out"] {
        world.dead_letter(here.uuid(), error).await;
    }
    world.dead_letter(there.uuid(), "550 no such box").await;
    let letters = async |query: &str| {
        let path = format!("{ADMIN}/dead_letters{query}");
        let list = get(&world.app, &path, &key).await;
        list["items"]
            .as_array()
            .unwrap_or_else(|| panic!("{list}"))
            .clone()
    };
    let cause = letters("").await[0]["fingerprint"].clone();
    assert_eq!(letters("?since=2190-01-01").await, [] as [Value; 0]);
    let forget = async |body: Value| post(&world, &key, "/dead_letters/forget", body).await;

    let preview = json!({"fingerprint": cause, "dry_run": true});
    assert_eq!(
        forget(preview.clone()).await,
        (200, json!({"forgotten": 0, "would_forget": 2}))
    );
    let (status, would) = post(&world, &key, "/dead_letters/redrive", preview).await;
    assert_eq!((status, &would["would_retry"]), (200, &json!(2)), "{would}");
    assert_eq!(letters("").await.len(), 2, "a dry run does nothing");
    assert_eq!(audited(&world, here).await, Vec::<String>::new());

    let (status, gone) = forget(json!({"fingerprint": cause})).await;

    assert_eq!((status, &gone["forgotten"]), (200, &json!(2)), "{gone}");
    let left = letters("").await;
    assert_eq!((left.len(), &left[0]["error"]), (1, &json!("timed out")));
    assert_eq!(audited(&world, here).await, ["dead_letters.forget"]);
    let whole = operator(&world, here).await;
    let all = get(
        &world.app,
        &format!("{ADMIN}/dead_letters?org={there}"),
        &whole,
    )
    .await;
    assert_eq!(all["items"][0]["count"], 1, "that of the other org");

    for (body, field) in [
        (json!({}), "all"),
        (json!({"all": true, "kind": "x"}), "all"),
        (json!({"since": "9999-01-01T00:00:00Z"}), "since"),
        (json!({"rate": "1/s", "all": true}), "body"),
    ] {
        let (status, problem) = forget(body).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (422, &json!(field)),
            "{problem}"
        );
    }
}

/// What the audit log of `org` says of the number of letters.
async fn letters_audited(world: &World, org: OrgId) -> Vec<Value> {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_scalar(
        "SELECT after -> 'letters' FROM audit_log WHERE entity_type = 'dead_letters' ORDER BY at",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn dead_letters_are_counted_to_ten_thousand_and_all_are_forgotten() {
    let world = World::new().await;
    let org = world.org().await;
    let key = operator(&world, org).await;
    sqlx::raw_sql(
        "INSERT INTO queue.job_history (id, queue, kind, version, priority, payload, attempt, max_attempts, errors,
            created_at, finished_at, outcome)
         SELECT id, 'mail', 'send_mail', 1, 0, '{}', 1, 1, '[]', now(), now() - interval '1 minute', 'discarded'
         FROM generate_series(1, 10050) id",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let would = async |path: &str, body: Value| post(&world, &key, path, body).await.1;
    let (redrive, forget) = ("/dead_letters/redrive", "/dead_letters/forget");
    for (most, told) in [
        (json!(null), json!("10,000+")),
        (json!(20_000), json!("10,000+")),
        (json!(10), json!(10)),
    ] {
        let body = json!({"all": true, "limit": most, "dry_run": true});
        assert_eq!(would(redrive, body).await["would_retry"], told);
    }
    let body = json!({"all": true, "dry_run": true});
    assert_eq!(would(forget, body).await["would_forget"], "10,000+");

    let mut db = world.pool.acquire().await.unwrap();
    let counted = admin::count_dead(&mut db, &DeadFilter::default()).await;
    assert_eq!(counted.unwrap(), Counted(COUNTED_TO + 1));

    let (status, gone) = post(&world, &key, forget, json!({"all": true})).await;

    assert_eq!((status, &gone["forgotten"]), (200, &json!(10_050)));
    assert_eq!(letters_audited(&world, org).await, [json!("10,000+")]);
}

#[tokio::test]
async fn letters_that_cannot_be_counted_in_time_are_forgotten_all_the_same() {
    let world = World::new().await;
    let org = world.org().await;
    let key = operator(&world, org).await;
    world.dead_letter(org.uuid(), "550 no such box").await;
    let mut held = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE queue.job_history")
        .execute(&mut *held)
        .await
        .unwrap();

    let forget = post(&world, &key, "/dead_letters/forget", json!({"all": true}));
    let release = async {
        // Counting was given up, and removing waits.
        until(
            &world.pool,
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                AND query LIKE '%DELETE FROM queue.job_history%')",
        )
        .await;
        held.rollback().await.unwrap();
    };
    let ((status, gone), ()) = tokio::join!(forget, release);

    assert_eq!((status, &gone["forgotten"]), (200, &json!(1)), "{gone}");
    assert_eq!(letters_audited(&world, org).await, [Value::Null]);
}

#[tokio::test]
async fn what_ended_is_counted_by_queue_and_outcome() {
    let world = World::new().await;
    let org = world.org().await;
    let key = operator(&world, org).await;
    let path = format!("{ADMIN}/jobs/counts");
    assert_eq!(get(&world.app, &path, &key).await["items"], json!([]));
    world.unreadable(org.uuid()).await;
    world.work().await;

    let counts = get(&world.app, &path, &key).await;

    let wanted = json!([{"queue": "mail", "outcome": "discarded", "last_hour": 1, "last_day": 1, "ever": 1}]);
    assert_eq!((&counts["items"], &counts["next"]), (&wanted, &Value::Null));
}
