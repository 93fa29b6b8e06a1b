//! The procedures that need a key.

use axum::Router;
use axum::http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{get, key, lead, request};
use crate::harness::World;
use crate::web::{answer, web};

/// What a query is answered with.
async fn query(web: &Router, path: &str, input: &Value, key: &str) -> Value {
    get(web, &format!("/api/trpc/{path}?{}", sent(input)), key).await
}

/// An input as it stands in an address.
fn sent(input: &Value) -> String {
    let input: String =
        url::form_urlencoded::byte_serialize(input.to_string().as_bytes()).collect();
    format!("input={input}")
}

/// What every link and version sends with a GET besides the key: version 10 names a type for the body that it has not.
const CLIENTS: [(&str, &str); 2] = [
    ("content-type", "application/json"),
    ("x-trpc-source", "nextjs-react"),
];

/// What `web` answers to a GET with this header: its status, which methods it allows, its body.
async fn fetch(
    web: &Router,
    path: &str,
    client: (&'static str, &str),
    key: &str,
) -> (StatusCode, Option<String>, String) {
    let mut request = request(Method::GET, &format!("/api/trpc/{path}"), key);
    let headers = request.headers_mut();
    headers.insert(client.0, client.1.parse().unwrap());
    let response = web.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let allow = response.headers().get(header::ALLOW);
    let allow = allow.map(|methods| methods.to_str().unwrap().to_owned());
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, allow, String::from_utf8(body.to_vec()).unwrap())
}

/// The same where the body is JSON as a whole.
async fn fetch_json(
    web: &Router,
    path: &str,
    client: (&'static str, &str),
    key: &str,
) -> (StatusCode, Option<String>, Value) {
    let (status, allow, body) = fetch(web, path, client, key).await;
    (status, allow, serde_json::from_str(&body).unwrap())
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

/// A world with three leads, two of them new, and a key that reads and writes them.
async fn three_leads() -> (World, Router, String) {
    let world = World::new().await;
    let org = world.org().await;
    let web = web(&world, |_| {});
    let key = key(&world, org, &["leads:read", "leads:write"], None).await;
    for (name, status) in [("Ada", "new"), ("Bob", "new"), ("Cyd", "won")] {
        lead(&world, org, name, status).await;
    }
    (world, web, key)
}

#[tokio::test]
async fn a_query_is_fetched_with_its_input_in_the_address_and_without_one() {
    let (_world, web, key) = three_leads().await;
    for client in CLIENTS {
        let one = format!("crm.leads.list?{}", sent(&json!({"status": "won"})));
        let (status, _, body) = fetch_json(&web, &one, client, &key).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["result"]["data"]["items"][0]["firstName"], "Cyd");
        assert_eq!(body["result"]["data"]["total"], 1);

        let (status, _, body) = fetch_json(&web, "crm.leads.pipelineSummary", client, &key).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["result"]["data"]["total"], 3);

        let undefined = json!({"json": null, "meta": {"values": ["undefined"], "v": 1}});
        let summary = format!("crm.leads.pipelineSummary?{}", sent(&undefined));
        let (status, _, body) = fetch_json(&web, &summary, client, &key).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["result"]["data"]["json"]["total"], 3);

        let (status, _, body) =
            fetch_json(&web, "crm.leads.list?input=%7B%22page", client, &key).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(body["error"]["data"]["code"], "BAD_REQUEST");
        assert_eq!(body["error"]["data"]["path"], "crm.leads.list");
    }
}

#[tokio::test]
async fn queries_are_fetched_in_a_batch_by_the_numbers_of_their_inputs() {
    let (_world, web, key) = three_leads().await;
    let both = "crm.leads.list,crm.leads.pipelineSummary?batch=1";
    for client in CLIENTS {
        let batch = format!("{both}&{}", sent(&json!({"0": {"status": "new"}})));
        let (status, _, body) = fetch_json(&web, &batch, client, &key).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body.as_array().unwrap().len(), 2);
        assert_eq!(body[0]["result"]["data"]["total"], 2);
        assert_eq!(body[1]["result"]["data"]["total"], 3);

        let second = format!(
            "crm.leads.pipelineSummary,crm.leads.list?batch=1&{}",
            sent(&json!({"1": {"json": {"status": "won"}}}))
        );
        let (status, _, body) = fetch_json(&web, &second, client, &key).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body[0]["result"]["data"]["total"], 3);
        assert_eq!(body[1]["result"]["data"]["json"]["total"], 1);

        // The batch link batches a call that is alone as well, and leaves out what is undefined.
        let (status, _, body) = fetch_json(&web, "crm.leads.list?batch=1", client, &key).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body.as_array().unwrap().len(), 1);
        assert_eq!(body[0]["result"]["data"]["total"], 3);

        let mixed = format!("{both}&{}", sent(&json!({"0": {"stageId": "x"}})));
        let (status, _, body) = fetch_json(&web, &mixed, client, &key).await;
        assert_eq!(status, StatusCode::MULTI_STATUS);
        assert_eq!(body[0]["error"]["data"]["code"], "BAD_REQUEST");
        assert_eq!(body[1]["result"]["data"]["total"], 3);

        let list = format!("{both}&{}", sent(&json!([{"status": "new"}])));
        let (status, _, body) = fetch_json(&web, &list, client, &key).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let refused = body.as_array().unwrap().iter();
        let paths: Vec<&Value> = refused.map(|it| &it["error"]["data"]["path"]).collect();
        assert_eq!(paths, ["crm.leads.list", "crm.leads.pipelineSummary"]);
    }
}

#[tokio::test]
async fn queries_are_fetched_in_a_batch_by_the_stream_links_of_both_versions() {
    let (_world, web, key) = three_leads().await;
    let batch = format!(
        "crm.leads.list,crm.leads.capture?batch=1&{}",
        sent(&json!({"0": {"status": "new", "limit": 1}}))
    );
    let v11 = ("trpc-accept", "application/jsonl");
    let (status, allow, lines) = fetch(&web, &batch, v11, &key).await;
    assert_eq!((status, allow), (StatusCode::OK, None));
    let line: Value = serde_json::from_str(lines.strip_suffix('\n').unwrap()).unwrap();
    assert_eq!(line["0"][0][0]["result"]["data"]["total"], 2);
    let refused = &line["1"][0][0]["error"]["data"];
    assert_eq!(refused["code"], "METHOD_NOT_SUPPORTED");

    let v10 = ("trpc-batch-mode", "stream");
    let (status, allow, pieces) = fetch(&web, &batch, v10, &key).await;
    assert_eq!((status, allow), (StatusCode::OK, None));
    let pieces: Vec<&str> = pieces.split_terminator('\n').collect();
    let [first, second, "}"] = pieces[..] else {
        panic!("a piece a call: {pieces:?}");
    };
    let first: Value = serde_json::from_str(first.strip_prefix("{\"0\":").unwrap()).unwrap();
    assert_eq!(first["result"]["data"]["total"], 2);
    let second: Value = serde_json::from_str(second.strip_prefix(",\"1\":").unwrap()).unwrap();
    assert_eq!(second["error"]["data"]["httpStatus"], 405);
}

#[tokio::test]
async fn a_mutation_is_never_fetched() {
    let (world, web, key) = three_leads().await;
    let mutations = [
        "crm.leads.capture",
        "crm.leads.create",
        "crm.leads.update",
        "crm.notifications.markRead",
    ];
    let input = sent(&json!({"firstName": "Eve", "email": "eve@example.com"}));
    for (path, client) in mutations
        .into_iter()
        .flat_map(|path| CLIENTS.map(|client| (path, client)))
    {
        let (status, allow, body) =
            fetch_json(&web, &format!("{path}?{input}"), client, &key).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(allow.as_deref(), Some("POST"), "{path}");
        let text = format!("Unsupported GET-request to mutation procedure at path \"{path}\"");
        assert_eq!(
            body,
            json!({"error": {"message": text, "code": -32005, "data":
                {"code": "METHOD_NOT_SUPPORTED", "httpStatus": 405, "path": path}}})
        );
    }

    let all = format!("{}?batch=1", mutations.join(","));
    let (status, allow, body) = fetch_json(&web, &all, CLIENTS[0], &key).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(allow.as_deref(), Some("POST"));
    for (index, path) in mutations.into_iter().enumerate() {
        assert_eq!(body[index]["error"]["code"], -32005, "{path}");
        assert_eq!(body[index]["error"]["data"]["path"], path);
    }
    let mut tx = world.db.org(world.org().await).await.unwrap();
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM intake_events")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let leads: i64 = sqlx::query_scalar("SELECT count(*) FROM leads")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!((stored, leads), (0, 3));
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM queue.job")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(jobs, 0);
}
