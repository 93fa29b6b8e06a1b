//! An address is one address, however its letters are written.

use axum::http::Method;
use serde_json::{Value, json};

use super::get;
use super::writes::{send, writer};
use crate::harness::World;
use crate::intake::{capture, inbox, jane};

/// The same address twice, in letters that the database's own lower() leaves alone or takes otherwise.
const TWICE: [[&str; 2]; 4] = [
    ["JOSÉ@example.com", "josé@Example.com"],
    ["JOSÉ@example.com", "JOSÉ@example.com"],
    ["İ@example.com", "İ@example.com"],
    ["ΝΙΚΟΣ@example.com", "νικος@example.com"],
];

async fn listed(world: &World, key: &str) -> Vec<Value> {
    let leads = get(&world.app, "/api/v1/leads", key).await;
    leads["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_second_capture_joins_whatever_letters_the_address_has() {
    for addresses in TWICE {
        let world = World::new().await;
        let (org, key) = writer(&world).await;
        for (nth, address) in addresses.iter().enumerate() {
            let mut input = jane(org);
            input["email"] = json!(address);
            input["message"] = json!(format!("{nth}"));
            assert_eq!(world.send(capture(&input)).await.status(), 200);
            let drained = world.work().await;
            assert_eq!(drained.failures(), [], "{addresses:?}");
        }

        let leads = listed(&world, &key).await;

        assert_eq!(leads.len(), 1, "{addresses:?}");
        assert_eq!(leads[0]["email"], addresses[0]);
        let events = inbox(&world, org).await;
        let states: Vec<_> = events.iter().map(|event| event.state.as_str()).collect();
        assert!(
            matches!(*states, ["processed", "processed" | "duplicate"]),
            "{addresses:?}: {states:?}"
        );
    }
}

#[tokio::test]
async fn a_lead_that_is_there_is_named_whatever_letters_the_address_has() {
    for [first, second] in TWICE {
        let world = World::new().await;
        let (_, key) = writer(&world).await;
        let path = "/api/v1/leads";
        let (status, _, lead) = send(
            &world,
            &key,
            Method::POST,
            path,
            &[],
            &json!({"email": first}),
        )
        .await;
        assert_eq!(status, 201, "{lead}");

        let (status, _, problem) = send(
            &world,
            &key,
            Method::POST,
            path,
            &[],
            &json!({"email": second}),
        )
        .await;
        assert_eq!(
            (status, &problem["lead_id"]),
            (409, &lead["id"]),
            "{second}"
        );

        let other = json!({"email": "other@example.com"});
        let (_, _, other) = send(&world, &key, Method::POST, path, &[], &other).await;
        let other = format!("{path}/{}", other["id"].as_str().unwrap());
        let (status, _, problem) = send(
            &world,
            &key,
            Method::PATCH,
            &other,
            &[],
            &json!({"email": second}),
        )
        .await;
        assert_eq!(
            (status, &problem["lead_id"]),
            (409, &lead["id"]),
            "{second}"
        );

        let own = format!("{path}/{}", lead["id"].as_str().unwrap());
        let (status, _, changed) = send(
            &world,
            &key,
            Method::PATCH,
            &own,
            &[],
            &json!({"email": second}),
        )
        .await;
        assert_eq!((status, &changed["email"]), (200, &json!(second)));
        world.work().await;
    }
}
