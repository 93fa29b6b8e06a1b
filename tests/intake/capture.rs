//! `crm.leads.capture`: what it takes, what it refuses, what it keeps.

use axum::http::Request;
use domain::id::OrgId;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{answer, capture, inbox, jane, org, post, web};
use crate::harness::World;

#[tokio::test]
async fn the_documented_request_is_kept_byte_for_byte_and_answered_with_its_id() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let body = format!(
        "{{\n\"orgId\": \"{org}\",\n\"firstName\": \"Jane\",\n\"lastName\": \"Smith\",\n\"email\": \"jane@example.com\",\n\"source\": \"website\"\n}}"
    );

    let request = post(
        "/api/trpc/crm.leads.capture",
        "application/json",
        body.clone(),
    );
    let answered = answer(&web, request).await;

    assert_snapshot!(answered);
    let inbox = inbox(&world, org).await;
    assert_eq!(inbox.len(), 1);
    let jobs: Vec<(String, String, uuid::Uuid, Value)> =
        sqlx::query_as("SELECT queue, kind, lane, payload FROM queue.job")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let payload = json!({"org": org, "event": inbox[0].id});
    let waiting = (
        "intake".into(),
        "process_intake".into(),
        org.uuid(),
        payload,
    );
    assert_eq!(jobs, [waiting]);
    assert_eq!(inbox[0].body, body.as_bytes());
    assert_eq!(inbox[0].state, "received");
    assert_eq!(
        inbox[0].submission,
        json!({"first_name": "Jane", "last_name": "Smith", "email": "jane@example.com", "source": "website"})
    );
}

#[tokio::test]
async fn every_field_has_its_place() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let mut input = jane(org);
    let more = json!({
        "source": "partner", "phone": " +1 555 0123 ", "company": "Acme", "jobTitle": "VP\tSales", "message": "Hi\r\nthere",
        "linkedinUrl": "https://linkedin.com/in/jane", "sourceUrl": "https://acme.example/?x=1", "utmSource": "g",
        "utmMedium": "cpc", "utmCampaign": "c", "utmTerm": "t", "utmContent": "o", "gclid": "G1", "liFatId": "L1",
        "estimatedValue": 125_000, "customFields": {"seats": 5, "deep": {"a": [1, null]}}, "website": "", "unknown": true
    });
    input
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());

    answer(&web, capture(&input)).await;

    let kept = &inbox(&world, org).await[0].submission;
    assert_snapshot!(serde_json::to_string_pretty(kept).unwrap());
}

#[tokio::test]
async fn a_filled_honeypot_is_answered_like_anything_else_and_kept_as_spam() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let mut spam = jane(org);
    spam["website"] = "http://cheap.example".into();
    spam["email"] = "no address".into();

    let clean = answer(&web, capture(&jane(org))).await;
    let bot = answer(&web, capture(&spam)).await;

    assert_eq!(clean, bot);
    let states: Vec<String> = inbox(&world, org)
        .await
        .into_iter()
        .map(|event| event.state)
        .collect();
    assert_eq!(states, ["received", "spam"]);
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM queue.job")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(jobs, 1, "nothing is to be made of spam");
}

#[tokio::test]
async fn an_org_that_is_not_served_is_not_found() {
    let world = World::new().await;
    let web = web(&world, |_| {});
    for org in [
        OrgId::new(),
        org(&world, "suspended").await,
        org(&world, "deleted").await,
    ] {
        assert_snapshot!("not_found", answer(&web, capture(&jane(org))).await);
        assert_eq!(inbox(&world, org).await.len(), 0);
    }
}

#[tokio::test]
async fn every_mistake_in_an_input_is_told_as_an_issue() {
    let world = World::new().await;
    let web = web(&world, |_| {});
    let input = json!({
        "orgId": "nonsense", "firstName": 5, "email": "jane@@example", "source": "telepathy", "phone": true,
        "message": "x".repeat(10_001), "estimatedValue": -1, "customFields": [], "jobTitle": "a\u{0}b", "company": null
    });
    assert_snapshot!(answer(&web, capture(&input)).await);
}

#[tokio::test]
async fn an_input_that_is_no_object_is_told_so() {
    let world = World::new().await;
    let web = web(&world, |_| {});
    for (name, body) in [
        ("null", "null"),
        ("array", "[1]"),
        ("empty", ""),
        ("text", "\"x\""),
    ] {
        let request = post("/api/trpc/crm.leads.capture", "application/json", body);
        assert_snapshot!(format!("no_object_{name}"), answer(&web, request).await);
    }
}

#[tokio::test]
async fn numbers_are_taken_whole_and_within_reason() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let mut shown = String::new();
    for value in [
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!("12"),
        json!(0),
        Value::Null,
    ] {
        let mut input = jane(org);
        input["estimatedValue"] = value.clone();
        let answered = answer(&web, capture(&input)).await;
        let first = answered.lines().next().unwrap();
        let message = answered
            .split("message\\\": \\\"")
            .nth(1)
            .unwrap_or_default();
        shown += &format!(
            "{value}: {first} {}\n",
            message.split('\\').next().unwrap_or_default()
        );
    }
    assert_snapshot!(shown);
}

#[tokio::test]
async fn an_idempotency_key_makes_one_submission_of_many() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let send = |input: Value| {
        let mut request = capture(&input);
        request
            .headers_mut()
            .insert("idempotency-key", "abc".parse().unwrap());
        request
    };

    let first = answer(&web, send(jane(org))).await;
    let again = answer(&web, send(jane(org))).await;
    let mut other = jane(org);
    other["lastName"] = "Jones".into();
    let reused = answer(&web, send(other)).await;

    assert_eq!(first, again);
    assert_snapshot!(reused);
    assert_eq!(inbox(&world, org).await.len(), 1);
}

#[tokio::test]
async fn fifty_replays_are_fifty_submissions_none_of_them_lost() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let first = answer(&web, capture(&jane(org))).await;
    for _ in 1..50 {
        assert_eq!(answer(&web, capture(&jane(org))).await, first);
    }
    assert_eq!(inbox(&world, org).await.len(), 50);
}

#[tokio::test]
async fn forms_and_beacons_may_be_captured_too() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let path = "/api/trpc/crm.leads.capture";
    let form = format!(
        "orgId={org}&firstName=Jane&lastName=Smith&email=jane%40example.com&estimatedValue=5&phone="
    );
    let parts: String = [
        ("orgId", org.to_string().as_str()),
        ("firstName", "Jane"),
        ("lastName", "Smith"),
        ("email", "jane@example.com"),
    ]
    .iter()
    .map(|(name, value)| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    })
    .collect();

    let expected = answer(&web, capture(&jane(org))).await;
    for request in [
        post(path, "application/x-www-form-urlencoded", form),
        post(path, "multipart/form-data; boundary=X", parts + "--X--\r\n"),
        post(path, "text/plain;charset=UTF-8", jane(org).to_string()),
        post(
            path,
            "application/x-www-form-urlencoded",
            jane(org).to_string(),
        ),
        Request::post(path)
            .body(jane(org).to_string().into())
            .unwrap(),
    ] {
        assert_eq!(answer(&web, request).await, expected);
    }
    let kept = inbox(&world, org).await;
    assert_eq!(kept.len(), 6);
    assert_eq!(kept[1].submission["estimated_value_minor"], 5);
}

#[tokio::test]
async fn one_address_and_one_org_are_held_to_their_rates() {
    let world = World::new().await;
    let (one, other) = (org(&world, "active").await, org(&world, "active").await);
    let by_address = web(&world, |config| {
        config.intake.per_ip_per_minute = 1;
        config.intake.per_ip_burst = 2;
    });
    answer(&by_address, capture(&jane(one))).await;
    answer(&by_address, capture(&jane(other))).await;
    let refused = answer(&by_address, capture(&jane(one))).await;
    let wait = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("retry-after"))
            .unwrap()
            .to_owned()
    };
    assert_snapshot!(
        "too_many",
        refused.replace(&wait(&refused), "retry-after: [seconds]")
    );

    let by_org = web(&world, |config| config.intake.per_org_per_minute = 1);
    assert!(
        answer(&by_org, capture(&jane(one)))
            .await
            .starts_with("200")
    );
    let refused = answer(&by_org, capture(&jane(one))).await;
    assert_snapshot!(
        "too_many",
        refused.replace(&wait(&refused), "retry-after: [seconds]")
    );
    assert!(
        answer(&by_org, capture(&jane(other)))
            .await
            .starts_with("200")
    );
}

#[tokio::test]
async fn what_helps_to_understand_a_submission_is_kept_and_secrets_are_not() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let mut request = capture(&jane(org));
    for (name, value) in [
        ("user-agent", "Firefox"),
        ("referer", "https://a.example/x"),
        ("cookie", "s=1"),
        ("authorization", "Bearer x"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    answer(&web, request).await;

    let kept = inbox(&world, org).await.remove(0);
    assert_eq!(
        kept.headers,
        json!({"user-agent": "Firefox", "referer": "https://a.example/x"})
    );
    assert_eq!(kept.content_type.as_deref(), Some("application/json"));
    assert_eq!(kept.id.get_version_num(), 7);
}

#[tokio::test]
async fn every_source_that_there_is_may_be_named() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let sources = [
        "website",
        "referral",
        "paid_ads",
        "organic_search",
        "social_media",
        "cold_outreach",
        "event",
        "partner",
        "other",
    ];
    for source in sources {
        let mut input = jane(org);
        input["source"] = source.into();
        let answered = answer(&web, capture(&input)).await;
        assert!(answered.starts_with("200 OK"), "{source}: {answered}");
    }
    let kept = inbox(&world, org).await;
    let kept: Vec<_> = kept
        .iter()
        .map(|event| event.submission["source"].as_str().unwrap())
        .collect();
    assert_eq!(kept, sources);
}
