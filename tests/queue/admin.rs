//! What people see of the queue and may do to it.

use queue::admin::{
    self, Act, Counted, Cursor, DeadFilter, Filter, Refused, Scope, Share, Waiting,
};
use serde_json::json;
use sqlx::PgConnection;

use crate::harness::World;

const READY: i16 = 0;
const SCHEDULED: i16 = 1;
/// Ready, and leased.
const RUNNING: i16 = -1;
const PARKED: i16 = 3;

/// A live job of the queue `mail`.
async fn job(db: &mut PgConnection, state: i16, key: Option<&str>) -> i64 {
    sqlx::query_scalar(
        r#"
        WITH made AS (
            INSERT INTO queue.job (queue, kind, payload, state, run_at, max_attempts, lease_by, started_at, unique_key)
            VALUES ('mail', 'send_mail', '{"n": 1}', greatest($1, 0), now() + $1 * interval '1 hour', 3,
                CASE WHEN $1 < 0 THEN 7 END, CASE WHEN $1 < 0 THEN now() END, $2)
            RETURNING id, lease_by
        ), noted AS (
            INSERT INTO queue.claim (node, number, jobs) SELECT lease_by, id, ARRAY[id] FROM made WHERE lease_by IS NOT NULL
        )
        SELECT id FROM made
        "#,
    )
    .bind(state)
    .bind(key)
    .fetch_one(db)
    .await
    .unwrap()
}

/// A dead letter, `ago` minutes old.
async fn dead(db: &mut PgConnection, ago: i32, error: &str, key: Option<&str>) -> i64 {
    sqlx::query_scalar(
        r#"
        INSERT INTO queue.job_history (id, queue, kind, version, priority, payload, attempt, max_attempts, errors,
            unique_key, created_at, finished_at, outcome)
        SELECT coalesce(max(id), 1000) + 1, 'mail', 'send_mail', 1, 0, '{"n": 1}', 3, 3, $1, $2, now(),
            date_trunc('minute', now()) - make_interval(mins => $3), 'discarded'
        FROM queue.job_history
        RETURNING id
        "#,
    )
    .bind(json!([{ "attempt": 3, "error": error }]))
    .bind(key)
    .bind(ago)
    .fetch_one(db)
    .await
    .unwrap()
}

async fn node(db: &mut PgConnection, queues: &[&str], kinds: &[&str]) {
    sqlx::query(
        r#"
        INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
        VALUES ('here', 1, '0', $1, $2, now() + interval '1 minute')
        "#,
    )
    .bind(queues)
    .bind(kinds)
    .execute(db)
    .await
    .unwrap();
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    for place in 0..7 {
        job(&mut db, READY, None).await;
        // Two of the same moment, so that the id has to decide.
        dead(&mut db, place / 2, "no", None).await;
    }

    for finished in [false, true] {
        let filter = Filter {
            finished,
            limit: Some(3),
            ..Filter::default()
        };
        let mut ids = Vec::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            let page = admin::list(&mut db, &filter, cursor).await.unwrap();
            ids.extend(page.items.iter().map(|job| job.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            assert_eq!(page.items.len(), 3);
        }
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!((ids.len(), unique.len()), (7, 7), "finished: {finished}");
    }
}

#[tokio::test]
async fn a_list_holds_what_was_asked_for() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let ready = job(&mut db, READY, None).await;
    let parked = job(&mut db, PARKED, None).await;
    let old = dead(&mut db, 90, "no", None).await;
    let new = dead(&mut db, 1, "no", None).await;

    let filters = [
        (json!({"state": "parked"}), vec![parked]),
        (json!({"queue": "mail"}), vec![parked, ready]),
        (json!({"queue": "other"}), vec![]),
        (json!({"kind": "other"}), vec![]),
        (
            json!({"finished": true, "state": "discarded"}),
            vec![new, old],
        ),
        (json!({"finished": true, "state": "completed"}), vec![]),
        (
            json!({"lane": "00000000-0000-0000-0000-000000000001"}),
            vec![],
        ),
    ];
    for (asked, expected) in filters {
        let filter: Filter = serde_json::from_value(asked.clone()).unwrap();
        let page = admin::list(&mut db, &filter, None).await.unwrap();
        let ids: Vec<i64> = page.items.iter().map(|job| job.id).collect();
        assert_eq!(ids, expected, "{asked}");
    }
}

#[tokio::test]
async fn a_dead_letter_is_retried_under_a_new_id() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let old = dead(&mut db, 5, "mailbox full", Some("k")).await;

    let shown = admin::show(&mut db, old).await.unwrap().unwrap();
    assert_eq!(shown.job.state, "discarded");
    assert_eq!(shown.job.last_error.as_deref(), Some("mailbox full"));
    let Act::Retried(new) = admin::retry(&mut db, old).await.unwrap() else {
        panic!("it was finished");
    };

    assert!(admin::show(&mut db, old).await.unwrap().is_none());
    let shown = admin::show(&mut db, new).await.unwrap().unwrap();
    assert_eq!((shown.job.state.as_str(), shown.job.attempt), ("ready", 0));
    assert_eq!(
        (shown.retried_from, shown.payload),
        (Some(old), json!({"n": 1}))
    );
    assert_eq!(shown.errors, json!([]));

    let twin = dead(&mut db, 5, "mailbox full", Some("k")).await;
    let refused = admin::retry(&mut db, twin).await;
    assert!(matches!(refused, Err(Refused::KeyTaken(id)) if id == twin));
    assert!(admin::show(&mut db, twin).await.unwrap().is_some());
}

#[tokio::test]
async fn a_dead_letter_goes_on_where_it_was_and_a_completed_job_starts_anew() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    for (outcome, kept) in [("discarded", Some(json!(9))), ("completed", None)] {
        let old = dead(&mut db, 5, "no", None).await;
        sqlx::query("UPDATE queue.job_history SET progress = '9', outcome = $2 WHERE id = $1")
            .bind(old)
            .bind(outcome)
            .execute(&mut *db)
            .await
            .unwrap();
        let Act::Retried(new) = admin::retry(&mut db, old).await.unwrap() else {
            panic!("it was finished");
        };
        let shown = admin::show(&mut db, new).await.unwrap().unwrap();
        assert_eq!(shown.progress, kept, "{outcome}");
    }
}

#[tokio::test]
async fn each_state_allows_what_makes_sense_and_refuses_the_rest_with_a_reason() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let mut told = Vec::new();
    for (name, state) in [
        ("ready", READY),
        ("scheduled", SCHEDULED),
        ("running", RUNNING),
        ("parked", PARKED),
    ] {
        let id = job(&mut db, state, None).await;
        let retried = admin::retry(&mut db, id).await;
        let cancelled = admin::cancel(&mut db, id, "not needed").await;
        let deleted = admin::delete(&mut db, id).await;
        for (verb, outcome) in [
            ("retry", retried),
            ("cancel", cancelled),
            ("delete", deleted),
        ] {
            let outcome = outcome.map(|act| format!("{act:?}"));
            let outcome = outcome.unwrap_or_else(|refused| refused.to_string());
            told.push(format!(
                "{name} {verb}: {}",
                outcome.replace(&id.to_string(), "N")
            ));
        }
    }
    told.push(format!(
        "none: {}",
        admin::retry(&mut db, 9).await.unwrap_err()
    ));

    insta::assert_snapshot!(told.join("\n"), @r"
    ready retry: job N is ready and waits for a worker
    ready cancel: Cancelled
    ready delete: Deleted
    scheduled retry: Hastened
    scheduled cancel: Cancelled
    scheduled delete: Deleted
    running retry: job N is running; wait until this attempt has ended
    running cancel: Cancelling
    running delete: job N is running; wait until this attempt has ended
    parked retry: job N is parked until a worker knows its kind and version
    parked cancel: Cancelled
    parked delete: Deleted
    none: there is no job 9
    ");
}

#[tokio::test]
async fn a_cancelled_job_is_kept_with_the_reason() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let id = job(&mut db, SCHEDULED, Some("k")).await;

    admin::cancel(&mut db, id, "not needed").await.unwrap();

    let shown = admin::show(&mut db, id).await.unwrap().unwrap();
    assert_eq!(shown.job.state, "cancelled");
    assert_eq!(shown.reason.as_deref(), Some("not needed"));
    let again = admin::cancel(&mut db, id, "again").await;
    assert!(matches!(again, Err(Refused::Finished(_))));
}

#[tokio::test]
async fn it_is_told_why_a_job_waits() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let first = job(&mut db, READY, None).await;
    let second = job(&mut db, READY, None).await;
    let parked = job(&mut db, PARKED, None).await;
    let running = job(&mut db, RUNNING, None).await;
    let scheduled = job(&mut db, SCHEDULED, None).await;
    let finished = dead(&mut db, 1, "no", None).await;
    let mut told = Vec::new();

    told.push(admin::explain(&mut db, first).await.unwrap());
    node(&mut db, &["mail"], &["other"]).await;
    told.push(admin::explain(&mut db, first).await.unwrap());
    node(&mut db, &["mail"], &["send_mail"]).await;
    admin::pause(&mut db, Scope::Queue, "mail").await.unwrap();
    told.push(admin::explain(&mut db, first).await.unwrap());
    admin::resume(&mut db, Scope::Queue, "mail").await.unwrap();
    for id in [first, second, parked, running, finished, 999_999] {
        told.push(admin::explain(&mut db, id).await.unwrap());
    }

    let told: Vec<String> = told.iter().map(Waiting::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    no live worker serves the queue mail
    no live worker that serves its queue knows send_mail
    the queue mail is paused
    it is next
    it is behind 1 others
    no worker knows send_mail in version 1
    node 7 ran it and is gone; it is about to be taken back
    it is finished: discarded
    there is no such job
    ");
    let waits = admin::explain(&mut db, scheduled).await.unwrap();
    assert!(matches!(waits, Waiting::Future { failed: 0, .. }));
}

#[tokio::test]
async fn queues_are_counted_up_to_a_limit() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    sqlx::query(
        r#"
        INSERT INTO queue.job (queue, kind, payload, max_attempts, run_at)
        SELECT 'score', 'score_lead', '{}', 3, now() - interval '1 minute' FROM generate_series(1, 10050)
        "#,
    )
    .execute(&mut *db)
    .await
    .unwrap();
    job(&mut db, PARKED, None).await;
    job(&mut db, RUNNING, None).await;
    node(&mut db, &["enrich", "score"], &[]).await;
    admin::pause(&mut db, Scope::Queue, "score").await.unwrap();

    let rows = admin::queues(&mut db).await.unwrap();

    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            let waits = row.oldest_ready_seconds.is_some_and(|age| age >= 60.0);
            format!(
                "{} paused={} ready={} scheduled={} running={} parked={} waits={waits} nodes={}",
                row.name, row.paused, row.ready, row.scheduled, row.running, row.parked, row.nodes
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    enrich paused=false ready=0 scheduled=0 running=0 parked=0 waits=false nodes=1
    mail paused=false ready=0 scheduled=0 running=1 parked=1 waits=false nodes=0
    score paused=true ready=10,000+ scheduled=0 running=0 parked=0 waits=true nodes=1
    ");
    let written = serde_json::to_value([Counted(3), rows[2].ready]).unwrap();
    assert_eq!(written, json!([3, "10,000+"]));
    let nodes = admin::nodes(&mut db).await.unwrap();
    assert!(nodes.len() == 1 && nodes[0].alive);
}

#[tokio::test]
async fn letters_that_died_before_fingerprints_were_kept_are_found_by_their_kind() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    dead(&mut db, 1, "host 10.0.0.1 answered 503", None).await;
    let last = dead(&mut db, 0, "host 10.0.0.2 answered 503", None).await;

    let groups = admin::dead(&mut db, &DeadFilter::default()).await.unwrap();
    let told: Vec<_> = groups
        .iter()
        .map(|group| (group.fingerprint, group.error.as_str(), group.count.0))
        .collect();
    assert_eq!(told, [(None, "host #.#.#.# answered #", 2)]);
    assert_eq!(groups[0].sample, last);
}

#[tokio::test]
async fn the_last_hour_of_a_lane_is_told_minute_by_minute() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let lane = uuid::Uuid::from_u128(7);
    for ago in [0, 1, 70] {
        dead(&mut db, ago, "no", None).await;
    }
    sqlx::query("UPDATE queue.job_history SET lane = $1")
        .bind(lane)
        .execute(&mut *db)
        .await
        .unwrap();
    let of = |queue, lane| Share {
        queue: Some(queue),
        lane: Some(lane),
    };
    let minutes = admin::rates(&mut db, of("mail", lane)).await.unwrap();
    assert_eq!(minutes.len(), 60);
    let discarded = minutes.iter().map(|minute| minute.discarded);
    assert_eq!(discarded.sum::<i64>(), 2);
    // The one that ended before the hour is not looked at.
    assert_eq!(minutes.iter().map(|minute| minute.made).sum::<i64>(), 2);
    for (queue, lane) in [("other", lane), ("mail", uuid::Uuid::nil())] {
        let none = admin::rates(&mut db, of(queue, lane)).await.unwrap();
        assert!(
            none.iter()
                .all(|minute| minute.made + minute.discarded == 0)
        );
    }
}
