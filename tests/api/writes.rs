//! Writing leads, over REST and tRPC.

use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use domain::id::OrgId;
use domain::member::Role;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{get, key};
use crate::harness::World;

/// What the org's key is answered to a JSON body: status, ETag, body.
pub(crate) async fn send(
    world: &World,
    key: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> (u16, Option<String>, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response: Response<Body> = world
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await;
    let status = response.status().as_u16();
    let etag = response.headers().get(header::ETAG);
    let etag = etag.map(|etag| etag.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, etag, serde_json::from_slice(&body).unwrap())
}

pub(super) async fn writer(world: &World) -> (OrgId, String) {
    let org = world.org().await;
    (
        org,
        key(world, org, &["leads:read", "leads:write"], None).await,
    )
}

#[tokio::test]
async fn a_lead_that_is_created_is_scored_in_the_background() {
    let world = World::new().await;
    let (org, key) = writer(&world).await;
    let rep = world.member(org, "Rep", Role::Member).await;
    let body = json!({
        "first_name": "Ada", "email": "Ada@engines.example", "company": "Engines", "estimated_value": 250_000,
        "source": "referral", "tags": ["fair"], "assigned_to": rep.user, "status": "contacted"
    });

    let (status, etag, lead) = send(&world, &key, Method::POST, "/api/v1/leads", &[], &body).await;

    assert_eq!(status, 201, "{lead}");
    assert!(etag.is_some());
    assert_eq!(lead["capture_channel"], "api");
    assert_eq!(
        (&lead["status"], &lead["assigned_to"]),
        (&json!("contacted"), &json!(rep.user))
    );
    let failures = world.work().await.failures();
    assert!(failures.is_empty(), "{failures:?}");
    let id = lead["id"].as_str().unwrap();
    let lead = get(&world.app, &format!("/api/v1/leads/{id}"), &key).await;
    assert!(lead["score"].as_i64().unwrap() > 0, "{lead}");
    let mails = world.mailbox().await.mails();
    assert!(mails.iter().all(|mail| mail.to == ["rep@example.test"]));
    assert!(!mails.is_empty());
}

#[tokio::test]
async fn a_lead_that_is_there_is_named_and_every_mistake_too() {
    let world = World::new().await;
    let (_, key) = writer(&world).await;
    let ada = json!({"email": "ada@engines.example"});
    let (_, _, first) = send(&world, &key, Method::POST, "/api/v1/leads", &[], &ada).await;

    let (status, _, problem) = send(&world, &key, Method::POST, "/api/v1/leads", &[], &ada).await;
    assert_eq!((status, &problem["lead_id"]), (409, &first["id"]));

    let wrong = json!({"email": "x", "country": "GBR", "nmae": "Ada"});
    let (status, _, problem) = send(&world, &key, Method::POST, "/api/v1/leads", &[], &wrong).await;
    assert_eq!(status, 422);
    let mut fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["country", "email", "nmae"]);

    let nobody = json!({"notes": "no name, no address"});
    let (status, _, problem) =
        send(&world, &key, Method::POST, "/api/v1/leads", &[], &nobody).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("email"))
    );
    let stranger = json!({"email": "b@engines.example", "assigned_to": uuid::Uuid::now_v7()});
    let (status, _, problem) =
        send(&world, &key, Method::POST, "/api/v1/leads", &[], &stranger).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("assigned_to"))
    );
    world.work().await;
    let leads = get(&world.app, "/api/v1/leads", &key).await;
    assert_eq!(
        leads["items"].as_array().unwrap().len(),
        1,
        "what was refused left nothing"
    );
}

#[tokio::test]
async fn a_request_sent_again_makes_one_lead_and_is_answered_the_same() {
    let world = World::new().await;
    let (_, key) = writer(&world).await;
    let ada = json!({"email": "ada@engines.example"});
    let again = [("idempotency-key", "one")];

    let first = send(&world, &key, Method::POST, "/api/v1/leads", &again, &ada).await;
    let second = send(&world, &key, Method::POST, "/api/v1/leads", &again, &ada).await;
    assert_eq!((first.0, &first.2), (second.0, &second.2));
    let other = json!({"email": "bob@engines.example"});
    let (status, _, _) = send(&world, &key, Method::POST, "/api/v1/leads", &again, &other).await;
    assert_eq!(status, 409);
    world.work().await;
}

#[tokio::test]
async fn a_change_names_what_it_changes_and_the_version_it_has_read() {
    let world = World::new().await;
    let (_, key) = writer(&world).await;
    let ada =
        json!({"first_name": "Ada", "email": "ada@engines.example", "phone": "+44 20 7946 0018"});
    let (_, etag, lead) = send(&world, &key, Method::POST, "/api/v1/leads", &[], &ada).await;
    world.work().await;
    let path = format!("/api/v1/leads/{}", lead["id"].as_str().unwrap());
    let lead = get(&world.app, &path, &key).await;
    let stale = etag.unwrap();

    let change = json!({"job_title": "Countess", "phone": null, "status": "qualified"});
    let version = format!("\"{}\"", lead["version"]);
    let headers = [("if-match", version.as_str())];
    let (status, _, changed) = send(&world, &key, Method::PATCH, &path, &headers, &change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        [
            &changed["first_name"],
            &changed["job_title"],
            &changed["phone"],
            &changed["status"]
        ],
        [
            &json!("Ada"),
            &json!("Countess"),
            &Value::Null,
            &json!("qualified")
        ]
    );

    let headers = [("if-match", stale.as_str())];
    let (status, _, problem) = send(
        &world,
        &key,
        Method::PATCH,
        &path,
        &headers,
        &json!({"notes": "x"}),
    )
    .await;
    assert_eq!((status, &problem["version"]), (412, &changed["version"]));
    let (status, _, problem) = send(
        &world,
        &key,
        Method::PATCH,
        &path,
        &[],
        &json!({"status": "disqualified"}),
    )
    .await;
    assert_eq!(status, 409, "{problem}");
    let (status, _, _) = send(
        &world,
        &key,
        Method::PATCH,
        "/api/v1/leads/nobody",
        &[],
        &json!({}),
    )
    .await;
    assert_eq!(status, 404);
    world.work().await;
}

#[tokio::test]
async fn a_key_that_may_only_read_writes_nothing() {
    let world = World::new().await;
    let org = world.org().await;
    let reader = key(&world, org, &["leads:read"], None).await;
    let body = json!({"email": "ada@engines.example"});
    let (status, _, _) = send(&world, &reader, Method::POST, "/api/v1/leads", &[], &body).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn a_person_types_a_lead_in_over_trpc_and_changes_it() {
    let world = World::new().await;
    let (_, key) = writer(&world).await;
    let (status, _, missing) = send(
        &world,
        &key,
        Method::POST,
        "/api/trpc/crm.leads.create",
        &[],
        &json!({"firstName": "Ada"}),
    )
    .await;
    assert_eq!(
        (status, &missing["error"]["data"]["code"]),
        (400, &json!("BAD_REQUEST"))
    );
    let issues: Vec<Value> =
        serde_json::from_str(missing["error"]["message"].as_str().unwrap()).unwrap();
    let paths: Vec<_> = issues
        .iter()
        .map(|issue| issue["path"][0].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["lastName", "email"]);

    let ada = json!({"firstName": "Ada", "lastName": "Byron", "email": "ada@engines.example"});
    let (status, _, made) = send(
        &world,
        &key,
        Method::POST,
        "/api/trpc/crm.leads.create",
        &[],
        &ada,
    )
    .await;
    assert_eq!(status, 200, "{made}");
    let lead = &made["result"]["data"];
    let change = json!({"id": lead["id"], "jobTitle": "Countess"});
    let (_, _, changed) = send(
        &world,
        &key,
        Method::POST,
        "/api/trpc/crm.leads.update",
        &[],
        &change,
    )
    .await;
    assert_eq!(
        changed["result"]["data"]["jobTitle"], "Countess",
        "{changed}"
    );
    world.work().await;
}

#[tokio::test]
async fn the_company_that_is_named_is_kept_and_one_that_is_not_there_refused() {
    let world = World::new().await;
    let (_, key) = writer(&world).await;
    let path = "/api/v1/leads";
    let ada = json!({"email": "ada@engines.example", "company": "Engines"});
    let (_, _, ada) = send(&world, &key, Method::POST, path, &[], &ada).await;
    let engines = &ada["company_id"];
    assert!(engines.is_string(), "{ada}");

    let bob = json!({"email": "bob@looms.example", "company": "Looms", "company_id": engines});
    let (status, _, bob) = send(&world, &key, Method::POST, path, &[], &bob).await;
    assert_eq!((status, &bob["company_id"]), (201, engines), "{bob}");
    let looms = json!({"email": "cas@looms.example", "company": "Looms"});
    let (_, _, cas) = send(&world, &key, Method::POST, path, &[], &looms).await;
    assert_ne!(&cas["company_id"], engines);

    let nowhere = json!({"email": "dan@looms.example", "company_id": uuid::Uuid::now_v7()});
    let own = format!("{path}/{}", bob["id"].as_str().unwrap());
    for (method, path) in [(Method::POST, path), (Method::PATCH, &*own)] {
        let (status, _, problem) = send(&world, &key, method, path, &[], &nowhere).await;
        let field = &problem["errors"][0]["field"];
        assert_eq!((status, field), (422, &json!("company_id")), "{problem}");
    }
    world.work().await;
    let leads = get(&world.app, path, &key).await;
    assert_eq!(leads["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_time_that_nobody_lives_in_is_refused_wherever_one_is_given() {
    let world = World::new().await;
    let (_, key) = writer(&world).await;
    let leads = "/api/v1/leads";
    let ada = json!({"email": "ada@engines.example"});
    let (_, _, ada) = send(&world, &key, Method::POST, leads, &[], &ada).await;
    let own = format!("{leads}/{}", ada["id"].as_str().unwrap());
    for far in [
        "0000-01-01T00:00:00Z",
        "1899-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z",
    ] {
        for (method, path) in [(Method::POST, leads), (Method::PATCH, &*own)] {
            let body = json!({"email": "bob@engines.example", "next_follow_up_at": far});
            let (status, _, problem) = send(&world, &key, method, path, &[], &body).await;
            let field = &problem["errors"][0]["field"];
            assert_eq!((status, field), (422, &json!("next_follow_up_at")), "{far}");
        }
        for name in [
            "date_from",
            "date_to",
            "last_contacted_before",
            "follow_up_by",
        ] {
            let problem = get(&world.app, &format!("{leads}?{name}={far}"), &key).await;
            assert_eq!(
                (&problem["status"], &problem["errors"][0]["field"]),
                (&json!(422), &json!(name))
            );
        }
        let place = leadmill::web::cursor::encode(&(far, uuid::Uuid::nil()));
        for list in [
            leads.to_owned(),
            format!("{own}/timeline"),
            format!("{own}/scores"),
        ] {
            let problem = get(&world.app, &format!("{list}?cursor={place}"), &key).await;
            assert_eq!(
                (&problem["status"], &problem["errors"][0]["field"]),
                (&json!(422), &json!("cursor")),
                "{list}"
            );
        }
    }
    let near = json!({"next_follow_up_at": "2200-12-31T23:59:59Z"});
    let (status, _, changed) = send(&world, &key, Method::PATCH, &own, &[], &near).await;
    assert_eq!(
        (status, &changed["next_follow_up_at"]),
        (200, &near["next_follow_up_at"])
    );
    world.work().await;
}

#[tokio::test]
async fn a_version_may_be_weak_and_is_one() {
    let world = World::new().await;
    let (_, key) = writer(&world).await;
    let ada = json!({"email": "ada@engines.example"});
    let (_, _, ada) = send(&world, &key, Method::POST, "/api/v1/leads", &[], &ada).await;
    world.work().await;
    let own = format!("/api/v1/leads/{}", ada["id"].as_str().unwrap());
    let version = get(&world.app, &own, &key).await["version"]
        .as_i64()
        .unwrap();
    let other = version + 7;
    for (tag, expected) in [
        (format!("\"{version}\", \"{other}\""), 422),
        ("\"soon\"".to_owned(), 422),
        (format!("W/\"{other}\""), 412),
        (format!("W/\"{version}\""), 200),
        ("*".to_owned(), 200),
    ] {
        let change = json!({"notes": tag});
        let headers = [("if-match", &*tag)];
        let (status, _, answer) = send(&world, &key, Method::PATCH, &own, &headers, &change).await;
        assert_eq!(status, expected, "{tag}: {answer}");
    }
    world.work().await;
}
