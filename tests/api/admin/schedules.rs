//! Schedules over REST.

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use queue::schedule::Ticker;
use serde_json::{Value, json};

use super::{ADMIN, audited, get, operator, post};
use crate::api::writes::send;
use crate::harness::World;

#[tokio::test]
async fn schedules_are_paused_resumed_run_and_made_up_for() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let key = operator(&world, org).await;
    let ticker = Ticker::new(jobs::schedules()).unwrap();
    ticker.define(&world.pool).await.unwrap();
    let act = async |verb: &str, body: Value| {
        post(
            &world,
            &key,
            &format!("/schedules/refresh_scores/{verb}"),
            body,
        )
        .await
    };
    let row = async || {
        let list = get(&world.app, &format!("{ADMIN}/schedules"), &key).await;
        let mut rows = list["items"].as_array().unwrap().clone().into_iter();
        rows.find(|row| row["name"] == "refresh_scores").unwrap()
    };
    let planned = row().await["next_due"].clone();

    let held = json!({"name": "refresh_scores", "paused": true});
    assert_eq!(act("pause", json!({})).await, (200, held));
    let (status, ran) = act("run", json!({})).await;
    assert_eq!(
        (status, ran["fired"].as_array().unwrap().len()),
        (200, 1),
        "{ran}"
    );
    let now = row().await;
    assert_eq!((&now["paused"], &now["next_due"]), (&json!(true), &planned));
    assert_eq!(act("resume", json!({})).await.1["paused"], false);

    let next: DateTime<Utc> = planned.as_str().unwrap().parse().unwrap();
    let span = json!({"from": next - TimeDelta::days(2)});
    let mut preview = span.clone();
    preview["dry_run"] = json!(true);
    assert_eq!(
        act("backfill", preview).await.1["would_fire"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        act("backfill", span.clone()).await.1["fired"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(act("backfill", span).await.1["fired"], json!([]));
    let done = [
        "schedule.pause",
        "schedule.run",
        "schedule.resume",
        "schedule.backfill",
        "schedule.backfill",
    ];
    assert_eq!(audited(&world, org).await, done);

    let (status, problem) = act("backfill", json!({"from": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("from")),
        "{problem}"
    );
    assert_eq!(act("backfill", json!({})).await.0, 422);
    for verb in ["pause", "resume", "run"] {
        for name in ["nightly", "%00"] {
            let path = format!("/schedules/{name}/{verb}");
            assert_eq!(post(&world, &key, &path, json!({})).await.0, 404, "{path}");
        }
    }
    let forget = async |name: &str| {
        let path = format!("{ADMIN}/schedules/{name}");
        send(&world, &key, Method::DELETE, &path, &[], &json!({}))
            .await
            .0
    };
    assert_eq!(forget("refresh_scores").await, 409);
    assert_eq!((forget("nightly").await, forget("%00").await), (404, 404));
}
