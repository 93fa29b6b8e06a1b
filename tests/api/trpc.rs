//! The procedures that need a key.

use axum::Router;
use axum::http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{get, key, lead, request};
use crate::harness::World;
use crate::web::{answer, web};

/// What a query is answered with.
async fn query(web: &Router, path: &str, input: &Value, key: &str) -> Value {
    let input: String =
        url::form_urlencoded::byte_serialize(input.to_string().as_bytes()).collect();
    get(web, &format!("/api/trpc/{path}?input={input}"), key).await
}

#[tokio::test]
async fn a_list_is_paged_by_number_and_counts_all() {
    let world = World::new().await;
    let org = world.org().await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], None).await;
    for (name, status) in [("Ada", "new"), ("Bob", "new"), ("Cyd", "won")] {
        lead(&world, org, name, status).await;
    }

    let page = query(
        &web,
        "crm.leads.list",
        &json!({"status": "new", "page": 2, "limit": 1, "unknown": 1}),
        &key,
    )
    .await;
    let data = &page["result"]["data"];
    assert_eq!(data["items"][0]["firstName"], "Ada");
    assert_eq!(
        (&data["total"], &data["page"], &data["limit"]),
        (&json!(2), &json!(2), &json!(1))
    );

    let wrapped = query(&web, "crm.leads.list", &json!({"json": {"limit": 1}}), &key).await;
    let dates = &wrapped["result"]["data"]["meta"]["values"];
    assert_eq!(dates["items.0.createdAt"], json!(["Date"]));

    let wrong = query(&web, "crm.leads.list", &json!({"stageId": "x"}), &key).await;
    assert_eq!(wrong["error"]["data"]["code"], "BAD_REQUEST");
    let issues: Value = serde_json::from_str(wrong["error"]["message"].as_str().unwrap()).unwrap();
    assert_eq!(issues[0]["path"], json!(["stageId"]));
}

#[tokio::test]
async fn the_summary_equals_a_recount() {
    let world = World::new().await;
    let org = world.org().await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], None).await;
    let empty = query(&web, "crm.leads.pipelineSummary", &json!(null), &key).await;
    let data = &empty["result"]["data"];
    assert_eq!(
        (&data["total"], &data["conversionRate"], &data["avgScore"]),
        (&json!(0), &json!(0.0), &json!(null))
    );
    assert_eq!(data["byStage"].as_array().unwrap().len(), 7);

    for (name, status, stage, value, score) in [
        ("A", "new", Some("New"), 1_000, Some(10_i16)),
        ("B", "proposal", Some("Proposal"), 2_005, Some(25)),
        ("C", "won", Some("Won"), 5_000, Some(90)),
        ("D", "lost", None, 700, None),
    ] {
        let id = lead(&world, org, name, status).await;
        let mut tx = world.db.org(org).await.unwrap();
        sqlx::query(
            "UPDATE leads SET estimated_value_minor = $2, score_total = $3,
                stage_id = (SELECT id FROM pipeline_stages WHERE name = $4) WHERE id = $1",
        )
        .bind(id)
        .bind(i64::from(value))
        .bind(score)
        .bind(stage)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
    let mut summary = query(&web, "crm.leads.pipelineSummary", &json!(null), &key).await;
    let data = summary["result"]["data"].take();
    let stages = data["byStage"].as_array().unwrap().iter();
    let stages: Vec<String> = stages
        .map(|stage| {
            format!(
                "{} {} {}",
                stage["stageName"], stage["count"], stage["value"]
            )
        })
        .collect();
    assert_eq!(
        stages,
        [
            r#""New" 1 1000"#,
            r#""Contacted" 0 0"#,
            r#""Qualified" 0 0"#,
            r#""Proposal" 1 2005"#,
            r#""Negotiating" 0 0"#,
            r#""Won" 1 5000"#,
            r#""Lost" 0 0"#,
            "null 1 700",
        ]
    );
    let figures = [
        "total",
        "active",
        "won",
        "lost",
        "totalPipelineValue",
        "weightedPipelineValue",
        "conversionRate",
        "avgScore",
    ];
    let figures: Vec<Value> = figures.iter().map(|name| data[*name].clone()).collect();
    assert_eq!(json!(figures), json!([4, 2, 1, 1, 3005, 1303, 25.0, 41.7]));
}

#[tokio::test]
async fn one_lead_is_found_by_its_id() {
    let world = World::new().await;
    let org = world.org().await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read"], None).await;
    let ada = lead(&world, org, "Ada", "new").await;
    let found = query(&web, "crm.leads.get", &json!({"id": ada}), &key).await;
    assert_eq!(found["result"]["data"]["displayName"], "Ada");
    let missing = query(&web, "crm.leads.get", &json!({"id": org}), &key).await;
    assert_eq!(missing["error"]["message"], "Lead not found");
    let nonsense = query(&web, "crm.leads.get", &json!({}), &key).await;
    assert_eq!(
        nonsense["error"]["data"]["zodError"]["fieldErrors"]["id"],
        json!(["Required"])
    );
}

#[tokio::test]
async fn a_call_without_a_key_is_unauthorized_in_an_envelope() {
    let world = World::new().await;
    let web = web(&world, |_| {});
    for path in [
        "crm.leads.list",
        "crm.leads.get",
        "crm.leads.pipelineSummary",
        "crm.notifications.list",
    ] {
        let answered = answer(&web, request(Method::GET, &format!("/api/trpc/{path}"), "")).await;
        assert_snapshot!("trpc_unauthorized", answered.replace(path, "[procedure]"));
    }
}
