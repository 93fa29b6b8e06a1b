//! The queue over REST: who may look and act, that one sees one's own, and that it is in the audit log.

mod edited;
mod many;
mod orders;
mod schedules;

use axum::http::Method;
use domain::id::OrgId;
use domain::member::Role;
use domain::store::members;
use serde_json::{Value, json};

use super::writes::send;
use super::{get, key};
use crate::harness::World;

const ADMIN: &str = "/api/v1/admin";
const OPS: [&str; 2] = ["ops:read", "ops:write"];

/// A key of somebody who runs the platform.
async fn operator(world: &World, org: OrgId) -> String {
    let user = world.member(org, "Olga", Role::Member).await.user;
    let mut tx = world.db.platform().await.unwrap();
    members::set_platform_admin(&mut tx, user, true)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    key(world, org, &OPS, Some(user)).await
}

async fn post(world: &World, key: &str, path: &str, body: Value) -> (u16, Value) {
    let path = format!("{ADMIN}{path}");
    let (status, _, answer) = send(world, key, Method::POST, &path, &[], &body).await;
    (status, answer)
}

/// What the audit log of `org` says was done.
async fn audited(world: &World, org: OrgId) -> Vec<String> {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_scalar(
        "SELECT action FROM audit_log WHERE actor_kind = 'api_key' AND entity_type <> 'lead' ORDER BY at, id",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

fn ids(list: &Value) -> Vec<i64> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
    items
        .iter()
        .map(|item| item["id"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn operations_are_refused_to_who_may_not() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let rep = world.member(org, "Rep", Role::Member).await.user;
    let job = world.unreadable(org.uuid()).await;
    let leads = key(&world, org, &["leads:read", "leads:write"], None).await;
    let looks = key(&world, org, &["ops:read"], None).await;
    let acts = key(&world, org, &["ops:write"], None).await;
    let of_a_rep = key(&world, org, &OPS, Some(rep)).await;
    let of_the_org = key(&world, org, &OPS, None).await;

    let pages = [
        "jobs",
        "jobs/counts",
        "queues",
        "limits",
        "batches",
        "dead_letters",
        "schedules",
        "workers",
        "failing",
        "rates",
    ];
    for page in pages {
        let path = format!("{ADMIN}/{page}");
        assert_eq!(get(&world.app, &path, "").await["status"], 401, "{page}");
        for refused in [&leads, &acts, &of_a_rep] {
            let answer = get(&world.app, &path, refused).await;
            assert_eq!(
                (&answer["status"], &answer["type"]),
                (&json!(403), &json!("forbidden")),
                "{page}"
            );
        }
        // What holds for all orgs is not an org's to see.
        let whole = matches!(
            page,
            "jobs/counts" | "queues" | "limits" | "schedules" | "workers"
        );
        let answer = get(&world.app, &path, &of_the_org).await;
        assert_eq!(answer["items"].is_array(), !whole, "{page}: {answer}");
    }
    let acts_on_jobs = [
        ("/jobs".to_owned(), json!({"kind": "x", "payload": {}})),
        (format!("/jobs/{job}/cancel"), json!({})),
        (format!("/jobs/{job}/retry"), json!({})),
        ("/dead_letters/redrive".to_owned(), json!({"all": true})),
        ("/dead_letters/forget".to_owned(), json!({"all": true})),
        ("/batches/1/cancel".to_owned(), json!({})),
        (format!("/jobs/{job}/retry"), json!({"payload": {}})),
    ];
    let acts_on_all = [
        ("/limits/queue/mail/pause".to_owned(), json!({})),
        ("/limits/queue/mail/resume".to_owned(), json!({})),
        ("/schedules/refresh_scores/pause".to_owned(), json!({})),
        ("/schedules/refresh_scores/resume".to_owned(), json!({})),
        ("/schedules/refresh_scores/run".to_owned(), json!({})),
        (
            "/schedules/refresh_scores/backfill".to_owned(),
            json!({"from": "2030-01-01T00:00:00Z"}),
        ),
    ];
    for (path, body) in acts_on_jobs.iter().chain(&acts_on_all) {
        assert_eq!(post(&world, "", path, body.clone()).await.0, 401, "{path}");
        for refused in [&leads, &looks, &of_a_rep] {
            let (status, answer) = post(&world, refused, path, body.clone()).await;
            assert_eq!(status, 403, "{path}: {answer}");
        }
    }
    for (path, body) in &acts_on_all {
        let (status, answer) = post(&world, &of_the_org, path, body.clone()).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    let limits = format!("{ADMIN}/limits/queue/mail");
    for (method, body) in [
        (Method::PATCH, json!({"max_running": 1})),
        (Method::DELETE, json!({})),
    ] {
        for refused in [&leads, &looks, &of_a_rep, &of_the_org] {
            let (status, _, answer) =
                send(&world, refused, method.clone(), &limits, &[], &body).await;
            assert_eq!(status, 403, "{method}: {answer}");
        }
    }
    assert_eq!(audited(&world, org).await, Vec::<String>::new());
    assert_eq!(
        get(&world.app, &format!("{ADMIN}/jobs"), &looks).await["items"][0]["state"],
        "ready"
    );
}

#[tokio::test]
async fn a_key_reaches_the_jobs_of_its_org_and_no_others() {
    let world = World::new().await;
    world.leave_jobs();
    let (here, there) = (world.org().await, world.another_org().await);
    let own = key(&world, here, &OPS, None).await;
    let whole = operator(&world, here).await;
    let (mine, foreign) = (
        world.unreadable(here.uuid()).await,
        world.unreadable(there.uuid()).await,
    );
    world.dead_letter(here.uuid(), "550 no such box").await;
    world.dead_letter(there.uuid(), "550 no such box").await;

    for query in ["", &format!("?org={there}")] {
        let list = get(&world.app, &format!("{ADMIN}/jobs{query}"), &own).await;
        assert_eq!(ids(&list), [mine], "{query}");
    }
    let first = get(&world.app, &format!("{ADMIN}/jobs?limit=1"), &whole).await;
    let next = first["next"].as_str().unwrap();
    let second = format!("{ADMIN}/jobs?limit=1&cursor={next}");
    let second = get(&world.app, &second, &whole).await;
    assert_eq!((ids(&first), ids(&second)), (vec![foreign], vec![mine]));
    assert_eq!(second["next"], Value::Null);

    let path = format!("{ADMIN}/jobs/{foreign}");
    assert_eq!(get(&world.app, &path, &own).await["status"], 404);
    for verb in ["retry", "cancel"] {
        let path = format!("/jobs/{foreign}/{verb}");
        assert_eq!(post(&world, &own, &path, json!({})).await.0, 404);
    }
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{mine}"), &own).await;
    assert_eq!(shown["payload"], json!({"token": "•••"}));
    assert_eq!(shown["waiting"]["because"], "no_worker", "{shown}");

    let causes = get(
        &world.app,
        &format!("{ADMIN}/dead_letters?org={there}"),
        &own,
    )
    .await;
    assert_eq!(causes["items"][0]["count"], 1, "{causes}");
    let all = get(&world.app, &format!("{ADMIN}/dead_letters"), &whole).await;
    assert_eq!(
        (&all["items"][0]["count"], &all["items"][0]["lanes"]),
        (&json!(2), &json!(2))
    );
    let (status, done) = post(&world, &own, "/dead_letters/redrive", json!({"all": true})).await;
    assert_eq!((status, &done["retried"]), (200, &json!(1)), "{done}");
    let left = get(&world.app, &format!("{ADMIN}/dead_letters"), &whole).await;
    assert_eq!(left["items"][0]["count"], 1, "that of the other org");
    assert_eq!(audited(&world, here).await, ["dead_letters.redrive"]);
}

#[tokio::test]
async fn jobs_are_run_again_and_called_off_and_why_not_is_told() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let key = key(&world, org, &OPS, None).await;
    let job = world.unreadable(org.uuid()).await;

    let again = format!("/jobs/{job}/retry");
    let (status, problem) = post(&world, &key, &again, json!({})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("illegal")));
    assert_eq!(
        problem["detail"],
        format!("Job {job} is ready and waits for a worker")
    );
    let cancel = format!("/jobs/{job}/cancel");
    let reason = json!({"reason": "not wanted"});
    let (status, done) = post(&world, &key, &cancel, reason).await;
    assert_eq!(
        (status, done),
        (200, json!({"id": job, "done": "cancelled"}))
    );
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{job}"), &key).await;
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&json!("cancelled"), &json!("not wanted"))
    );
    assert_eq!(post(&world, &key, &cancel, json!({})).await.0, 409);
    let (status, done) = post(&world, &key, &again, json!({})).await;
    assert_eq!((status, &done["done"]), (200, &json!("retried")));
    assert_ne!(done["id"], job);
    assert_eq!(audited(&world, org).await, ["job.cancel", "job.retry"]);

    for (query, field) in [
        ("state=newish", "state"),
        ("finished=true&state=ready", "state"),
        ("colour=red", "colour"),
        ("cursor=x", "cursor"),
    ] {
        let problem = get(&world.app, &format!("{ADMIN}/jobs?{query}"), &key).await;
        assert_eq!(
            (&problem["status"], &problem["errors"][0]["field"]),
            (&json!(422), &json!(field))
        );
    }
    for body in [
        json!({"why": "x"}),
        json!({"reason": "a\0b"}),
        json!({"reason": 1}),
    ] {
        let (status, problem) = post(&world, &key, &cancel, body).await;
        assert_eq!((status, &problem["type"]), (422, &json!("validation")));
    }
}

#[tokio::test]
async fn limits_are_set_paused_resumed_and_cleared() {
    let world = World::new().await;
    let org = world.org().await;
    let key = operator(&world, org).await;
    let path = format!("{ADMIN}/limits/queue/mail");
    let change = async |body: Value| {
        let (status, _, answer) = send(&world, &key, Method::PATCH, &path, &[], &body).await;
        (status, answer)
    };

    let (status, set) = change(json!({"max_running": 20, "rate": "100/min", "burst": 5})).await;
    assert_eq!(
        (status, &set["limits"]["rate"]),
        (200, &json!("100/min")),
        "{set}"
    );
    let (_, paused) = post(&world, &key, "/limits/queue/mail/pause", json!({})).await;
    assert_eq!(
        (
            &paused["limits"]["paused"],
            &paused["limits"]["max_running"]
        ),
        (&json!(true), &json!(20))
    );
    let (_, slower) = change(json!({"rate": null})).await;
    let wanted = json!({"scope": "queue", "name": "mail", "limits": {"paused": true, "max_running": 20, "lane_running": null,
        "key_running": null, "turns": false, "rate": null, "burst": null}});
    assert_eq!(slower, wanted, "a burst goes with its rate, the rest stays");
    let list = get(&world.app, &format!("{ADMIN}/limits"), &key).await;
    assert_eq!(
        (&list["items"][0]["name"], &list["next"]),
        (&json!("mail"), &Value::Null)
    );
    assert_eq!(list["items"][0]["paused"], true);
    let queues = get(&world.app, &format!("{ADMIN}/queues"), &key).await;
    assert_eq!(
        (&queues["items"][0]["name"], &queues["items"][0]["ready"]),
        (&json!("mail"), &json!(0))
    );
    let (_, resumed) = post(&world, &key, "/limits/queue/mail/resume", json!({})).await;
    assert_eq!(resumed["limits"]["paused"], false);
    let (status, _, _) = send(&world, &key, Method::DELETE, &path, &[], &json!({})).await;
    assert_eq!(status, 200);
    let none = get(&world.app, &format!("{ADMIN}/limits"), &key).await;
    assert_eq!(none["items"], json!([]));
    assert_eq!(audited(&world, org).await, ["limits.change"; 5]);

    let (_, problem) = change(json!({"max_running": 0})).await;
    assert_eq!(
        (&problem["status"], &problem["errors"][0]["field"]),
        (&json!(422), &json!("max_running"))
    );
    for (path, field) in [
        ("/limits/pool/mail/pause", "scope"),
        ("/limits/lane/mail/pause", "name"),
        ("/limits/queue/%00/pause", "name"),
    ] {
        let (status, problem) = post(&world, &key, path, json!({})).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (422, &json!(field)),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn batches_are_listed_and_shown() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let (own, whole) = (
        key(&world, here, &OPS, None).await,
        operator(&world, here).await,
    );
    let mut made = Vec::new();
    for lane in [here, here, there] {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO queue.batch (name, lane, total, remaining) VALUES ('sweep', $1, 3, 1) RETURNING id",
        )
        .bind(lane.uuid())
        .fetch_one(&world.pool)
        .await
        .unwrap();
        made.push(id);
    }

    let list = get(
        &world.app,
        &format!("{ADMIN}/batches?unfinished=true"),
        &own,
    )
    .await;
    assert_eq!(ids(&list), [made[1], made[0]]);
    let first = get(&world.app, &format!("{ADMIN}/batches?limit=2"), &whole).await;
    let next = first["next"].as_str().unwrap();
    let rest = get(
        &world.app,
        &format!("{ADMIN}/batches?limit=2&cursor={next}"),
        &whole,
    )
    .await;
    assert_eq!(
        (ids(&first), ids(&rest)),
        (vec![made[2], made[1]], vec![made[0]])
    );
    let shown = get(&world.app, &format!("{ADMIN}/batches/{}", made[0]), &own).await;
    assert_eq!(
        (&shown["done"], &shown["total"]),
        (&json!(2), &json!(3)),
        "{shown}"
    );
    for missing in [made[2].to_string(), "x".to_owned(), "99999".to_owned()] {
        let answer = get(&world.app, &format!("{ADMIN}/batches/{missing}"), &own).await;
        assert_eq!(answer["status"], 404, "{missing}");
    }
}

#[tokio::test]
async fn dead_letters_run_again_by_their_cause_at_a_rate() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let key = key(&world, org, &OPS, None).await;
    for error in ["550 no such box", "551 no such box", "timed out"] {
        world.dead_letter(org.uuid(), error).await;
    }

    let causes = get(&world.app, &format!("{ADMIN}/dead_letters"), &key).await;
    let cause = &causes["items"][0];
    assert_eq!(
        (&cause["count"], &cause["kind"]),
        (&json!(2), &json!("send_mail")),
        "{causes}"
    );
    let body = json!({"fingerprint": cause["fingerprint"], "rate": "1/min"});
    let (status, done) = post(&world, &key, "/dead_letters/redrive", body).await;
    assert_eq!((status, &done["retried"]), (200, &json!(2)), "{done}");
    let left = get(&world.app, &format!("{ADMIN}/dead_letters"), &key).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    let states: Vec<i16> = sqlx::query_scalar("SELECT state FROM queue.job ORDER BY id")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(states, [0, 1], "one runs now, one in a minute");

    for body in [
        json!({}),
        json!({"all": true, "kind": "x"}),
        json!({"rate": "fast", "all": true}),
    ] {
        let (status, problem) = post(&world, &key, "/dead_letters/redrive", body).await;
        assert_eq!((status, &problem["type"]), (422, &json!("validation")));
    }
}
