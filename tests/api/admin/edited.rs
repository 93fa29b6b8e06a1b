//! A finished job that runs again with another payload: checked first, its secrets kept, and of its org still.

use domain::id::{MessageId, OrgId};
use jobs::SendSignInLink;
use serde_json::{Value, json};

use super::{ADMIN, OPS, audited, get, key, operator, post};
use crate::harness::World;

/// The dead letter of the org.
const LETTER: i64 = 1000;

async fn world_with_a_letter() -> (World, OrgId, String) {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    world.dead_letter(org.uuid(), "missing field `org`").await;
    let key = key(&world, org, &OPS, None).await;
    (world, org, key)
}

#[tokio::test]
async fn a_dead_letter_runs_again_with_another_payload() {
    let (world, org, key) = world_with_a_letter().await;
    let payload = json!({"org": org, "message": MessageId::new()});
    let body = json!({"payload": payload, "reason": "mended"});

    let (status, done) = post(&world, &key, &format!("/jobs/{LETTER}/retry"), body).await;

    assert_eq!((status, &done["done"]), (200, &json!("retried")), "{done}");
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{}", done["id"]), &key).await;
    assert_eq!(
        (&shown["payload"], &shown["retried_from"], &shown["lane"]),
        (&payload, &json!(LETTER), &json!(org))
    );
    let gone = get(&world.app, &format!("{ADMIN}/jobs/{LETTER}"), &key).await;
    assert_eq!(gone["status"], 404);
    assert_eq!(audited(&world, org).await, ["job.retry"]);

    // What waits is not edited.
    let again = format!("/jobs/{}/retry", done["id"]);
    let (status, problem) = post(&world, &key, &again, json!({"payload": payload})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("illegal")));
    let why = problem["detail"].as_str().unwrap();
    assert!(why.contains("has not ended; cancel it first"), "{why}");
}

#[tokio::test]
async fn a_payload_that_cannot_be_taken_changes_nothing() {
    let (world, org, key) = world_with_a_letter().await;
    let (there, message) = (world.another_org().await, MessageId::new());
    for (payload, why) in [
        (json!({}), "missing field `org`"),
        (
            json!({"org": org, "message": 7}),
            "not a payload of send_mail",
        ),
        (
            json!({"org": org, "message": message, "colour": "red"}),
            "a payload of send_mail has no field colour",
        ),
        (
            json!({"org": there, "message": message}),
            "Names another organisation",
        ),
    ] {
        let path = format!("/jobs/{LETTER}/retry");
        let (status, problem) = post(&world, &key, &path, json!({"payload": payload})).await;
        let error = &problem["errors"][0];
        assert_eq!(
            (status, &error["field"]),
            (422, &json!("payload")),
            "{problem}"
        );
        let told = error["message"].as_str().unwrap();
        assert!(told.contains(why), "{told}");
    }
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{LETTER}"), &key).await;
    assert_eq!(shown["state"], "discarded");
    let live = get(&world.app, &format!("{ADMIN}/jobs"), &key).await;
    assert_eq!(live["items"], json!([]));
    assert_eq!(audited(&world, org).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_masked_in_a_payload_stays_as_it_is() {
    let (world, org, of_the_org) = world_with_a_letter().await;
    let email = "ada@example.test".to_owned();
    let job = world
        .enqueue(&SendSignInLink {
            email: email.clone(),
        })
        .await
        .id()
        .0;
    let key = operator(&world, org).await;
    let act = async |key: &str, verb: &str, body: Value| {
        post(&world, key, &format!("/jobs/{job}/{verb}"), body).await
    };
    assert_eq!(act(&key, "cancel", json!({})).await.0, 200);
    let shown = get(&world.app, &format!("{ADMIN}/jobs/{job}"), &key).await;
    assert_eq!(shown["payload"], json!({"email": "•••"}));
    let edited = json!({"payload": shown["payload"]});
    // A job of the platform is none of an org's.
    assert_eq!(act(&of_the_org, "retry", edited.clone()).await.0, 404);

    let (status, done) = act(&key, "retry", edited).await;

    assert_eq!(status, 200, "{done}");
    let kept: Value = sqlx::query_scalar("SELECT payload FROM queue.job WHERE id = $1")
        .bind(done["id"].as_i64())
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(kept, json!({"email": email}));
}
