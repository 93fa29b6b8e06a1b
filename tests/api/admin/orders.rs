//! Jobs put into their queues and removed for good, and how things are: what the console and the command line have.

use axum::http::Method;
use domain::id::{IntakeEventId, MessageId, OrgId};
use serde_json::{Value, json};

use super::{ADMIN, OPS, audited, get, ids, key, operator, post};
use crate::api::writes::send;
use crate::harness::World;

async fn delete(world: &World, key: &str, job: i64) -> (u16, Value) {
    let path = format!("{ADMIN}/jobs/{job}");
    let (status, _, answer) = send(world, key, Method::DELETE, &path, &[], &Value::Null).await;
    (status, answer)
}

#[tokio::test]
async fn a_job_is_enqueued_as_if_the_program_had_left_it() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let key = key(&world, org, &OPS, None).await;
    let payload = json!({"org": org, "event": IntakeEventId::new()});
    let order = json!({"kind": "process_intake", "payload": payload, "in": "10m", "priority": 7});

    let (status, made) = post(&world, &key, "/jobs", order.clone()).await;
    let (_, again) = post(&world, &key, "/jobs", order).await;

    assert_eq!((status, &made["new"]), (200, &json!(true)), "{made}");
    assert_eq!(again, json!({"id": made["id"], "new": false}));
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{}", made["id"]), &key).await;
    assert_eq!(
        (&shown["state"], &shown["priority"], &shown["lane"]),
        (&json!("scheduled"), &json!(7), &json!(org))
    );
    assert_eq!(shown["payload"], payload);
    assert_eq!(audited(&world, org).await, ["job.enqueue"; 2]);
    // What concerns all orgs is for those who run the platform.
    let sweep = json!({"kind": "refresh_scores", "payload": {"due_at": "2030-03-04T03:00:00Z"},
        "at": "2030-03-04T03:00:00Z"});
    assert_eq!(post(&world, &key, "/jobs", sweep.clone()).await.0, 422);
    let whole = operator(&world, org).await;
    let (status, made) = post(&world, &whole, "/jobs", sweep).await;
    assert_eq!((status, &made["new"]), (200, &json!(true)), "{made}");
}

#[tokio::test]
async fn a_job_that_cannot_be_enqueued_is_refused_by_its_field_and_none_is_left() {
    let world = World::new().await;
    let (org, there) = (world.org().await, world.another_org().await);
    let key = key(&world, org, &OPS, None).await;
    let mail = |org: OrgId| json!({"org": org, "message": MessageId::new()});
    let order = |more: Value| {
        let mut order = json!({"kind": "send_mail", "payload": mail(org)});
        let (fields, more) = (order.as_object_mut().unwrap(), more.as_object().unwrap());
        fields.extend(more.clone());
        order
    };

    for (body, field, why) in [
        (json!({}), "body", "missing field `kind`"),
        (order(json!({"kind": "send_mial"})), "kind", "send_mail"),
        (
            order(json!({"payload": {"org": org}})),
            "payload",
            "missing field `message`",
        ),
        (
            order(json!({"payload": mail(there)})),
            "payload",
            "Must be of your organisation",
        ),
        (order(json!({"payload": {"a": "\0"}})), "body", "NUL"),
        (order(json!({"in": "1d"})), "in", "no length of time"),
        (order(json!({"in": "90000h"})), "in", "more than ten years"),
        (
            order(json!({"at": "9999-01-01T00:00:00Z"})),
            "at",
            "1900 to 2200",
        ),
        (
            order(json!({"at": "2030-01-01T00:00:00Z", "in": "1s"})),
            "in",
            "either",
        ),
        (order(json!({"colour": "red"})), "body", "colour"),
    ] {
        let (status, problem) = post(&world, &key, "/jobs", body).await;
        let error = &problem["errors"][0];
        assert_eq!((status, &error["field"]), (422, &json!(field)), "{problem}");
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
    }
    assert_eq!(audited(&world, org).await, Vec::<String>::new());
    let list = get(&world.app, &format!("{ADMIN}/jobs"), &key).await;
    assert_eq!(ids(&list), [0_i64; 0]);
}

#[tokio::test]
async fn a_job_is_deleted_for_good_unless_it_is_of_another() {
    let world = World::new().await;
    world.leave_jobs();
    let (here, there) = (world.org().await, world.another_org().await);
    let key = key(&world, here, &OPS, None).await;
    let (own, foreign) = (
        world.unreadable(here.uuid()).await,
        world.unreadable(there.uuid()).await,
    );

    assert_eq!(delete(&world, &key, foreign).await.0, 404);
    let gone = json!({"id": own, "done": "deleted"});
    assert_eq!(delete(&world, &key, own).await, (200, gone));

    assert_eq!(delete(&world, &key, own).await.0, 404);
    assert_eq!(audited(&world, here).await, ["job.delete"]);
    let left: Vec<i64> = sqlx::query_scalar("SELECT id FROM queue.job")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, [foreign]);
}

#[tokio::test]
async fn what_works_and_what_fails_is_told_to_whom_it_concerns() {
    let world = World::new().await;
    world.leave_jobs();
    let (here, there) = (world.org().await, world.another_org().await);
    let own = key(&world, here, &OPS, None).await;
    let whole = operator(&world, here).await;
    let mine = world.unreadable(here.uuid()).await;
    world.unreadable(there.uuid()).await;
    sqlx::raw_sql(
        r#"
        INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
        VALUES ('left', 1, '0.1.0', '{mail}', '{}', now() - interval '1 minute'),
            ('here', 2, '0.1.0', '{mail}', '{}', now() + interval '1 minute');
        UPDATE queue.job SET attempt = 1, max_attempts = 3, errors = '[{"error": "421 busy"}]';
        "#,
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let look = async |path: &str, key: &str| {
        let list = get(&world.app, &format!("{ADMIN}/{path}"), key).await;
        list["items"]
            .as_array()
            .unwrap_or_else(|| panic!("{list}"))
            .clone()
    };

    let workers = look("workers", &whole).await;
    let told: Vec<_> = workers
        .iter()
        .map(|worker| (worker["host"].as_str().unwrap(), worker["alive"] == true))
        .collect();
    assert_eq!(told, [("here", true), ("left", false)]);

    let failing = look("failing", &own).await;
    assert_eq!(failing.len(), 1);
    assert_eq!(
        (
            &failing[0]["fingerprint"],
            &failing[0]["count"],
            &failing[0]["sample"]
        ),
        (&json!("# busy"), &json!(1), &json!(mine))
    );
    assert_eq!(look("failing", &whole).await[0]["count"], 2);
    assert_eq!(look("failing?queue=score", &whole).await, [] as [Value; 0]);
    let of_one = look(&format!("failing?org={there}"), &whole).await;
    assert_eq!(of_one[0]["count"], 1);
    let of_one = look(&format!("failing?org={there}"), &own).await;
    assert_eq!(of_one[0]["sample"], mine);

    for (key, made) in [(&own, 1), (&whole, 2)] {
        let minutes = look("rates", key).await;
        let sum: i64 = minutes
            .iter()
            .map(|minute| minute["made"].as_i64().unwrap())
            .sum();
        assert_eq!((minutes.len(), sum), (60, made));
    }
}

#[tokio::test]
async fn a_backslash_in_a_reason_is_no_nul_character() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let key = key(&world, org, &OPS, None).await;
    let job = world.unreadable(org.uuid()).await;
    let reason = r"C:\u0000";

    let cancel = format!("/jobs/{job}/cancel");
    let (status, done) = post(&world, &key, &cancel, json!({"reason": reason})).await;

    assert_eq!(
        (status, &done["done"]),
        (200, &json!("cancelled")),
        "{done}"
    );
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{job}"), &key).await;
    assert_eq!(shown["reason"], reason);
}
