//! `/f/{token}`: four ways to post, two kinds of reader.

use axum::body::Body;
use axum::http::{Method, Request};
use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::json;

use super::{answer, form, inbox, org, post, web};
use crate::harness::World;

const URLENCODED: &str = "application/x-www-form-urlencoded";

fn with(mut request: Request<Body>, headers: &[(&'static str, &str)]) -> Request<Body> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn four_encodings_give_one_submission() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| {
        config.intake.double_click_window = "1s".parse().unwrap()
    });
    form(&world, org, "tok", json!({})).await;
    let part = |name: &str, value: &str| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = part("full_name", "Jane Smith")
        + &part("Email", "jane@example.com")
        + &part("interest", "a")
        + &part("interest", "b")
        + "--X--\r\n";
    for (kind, body) in [
        ("application/json", json!({"full_name": "Jane Smith", "Email": "jane@example.com", "interest": ["a", "b"]}).to_string()),
        ("text/plain", json!({"fields": [{"name": "full_name", "value": "Jane Smith"}, {"name": "Email", "value": "jane@example.com"},
            {"name": "interest", "value": "a"}, {"name": "interest", "value": "b"}], "context": {"hutk": "x"}}).to_string()),
        (URLENCODED, "full_name=Jane+Smith&Email=jane%40example.com&interest=a&interest=b&_subject=x&g-recaptcha-response=y".into()),
        ("multipart/form-data; boundary=X", parts),
    ] {
        let answered = answer(&web, post("/f/tok", kind, body)).await;
        assert!(answered.starts_with("200") || answered.starts_with("303"), "{answered}");
        world.clock.advance(TimeDelta::minutes(1));
    }
    let kept = inbox(&world, org).await;
    assert_eq!(kept.len(), 4);
    for event in &kept {
        assert_eq!(
            event.submission,
            json!({"name": "Jane Smith", "email": "jane@example.com",
                   "answers": {"full_name": "Jane Smith", "Email": "jane@example.com", "interest": ["a", "b"]}}),
            "{:?}",
            event.content_type
        );
    }
}

#[tokio::test]
async fn a_script_gets_json_and_a_browser_goes_on() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    form(&world, org, "plain", json!({})).await;
    form(&world, org, "own", json!({"redirect_url": "https://a.example/thanks", "allowed_origins": ["https://a.example"]})).await;
    let body = "email=jane@example.com";

    assert_snapshot!(
        "form_script",
        answer(
            &web,
            with(
                post("/f/own", URLENCODED, body),
                &[
                    ("accept", "application/json"),
                    ("origin", "https://a.example")
                ]
            )
        )
        .await
    );
    assert_snapshot!(
        "form_browser",
        answer(&web, post("/f/plain", URLENCODED, body)).await
    );
    assert_snapshot!(
        "form_redirect",
        answer(&web, post("/f/own", URLENCODED, body)).await
    );
    assert_snapshot!(
        "form_next",
        answer(
            &web,
            post(
                "/f/own",
                URLENCODED,
                "email=jane@example.com&_next=https://a.example/x%3Fy"
            )
        )
        .await
    );
    assert_snapshot!(
        "form_next_foreign",
        answer(
            &web,
            post(
                "/f/own",
                URLENCODED,
                "email=jane@example.com&_next=https://evil.example/"
            )
        )
        .await
    );
    assert_snapshot!(
        "form_next_relative",
        answer(
            &web,
            with(
                post("/f/own", URLENCODED, "email=jane@example.com&_next=/done"),
                &[("referer", "https://a.example/contact")],
            )
        )
        .await
    );
    assert_snapshot!(
        "form_thanks",
        answer(
            &web,
            Request::get("/f/plain/thanks").body(Body::empty()).unwrap()
        )
        .await
    );
}

#[tokio::test]
async fn what_must_be_mended_is_named_and_the_answers_are_kept() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let id = form(&world, org, "tok", json!({})).await;
    let mut tx = world.db.org(org).await.unwrap();
    for (at, (key, kind, required, options, rules, place)) in [
        ("mail", "email", true, json!([]), json!({}), Some("email")),
        (
            "who",
            "text",
            true,
            json!([]),
            json!({"minLength": 2, "maxLength": 5}),
            Some("name"),
        ),
        (
            "seats",
            "number",
            false,
            json!([]),
            json!({"min": 1, "max": 10}),
            Some("custom_fields.seats"),
        ),
        (
            "plan",
            "select",
            false,
            json!(["s", {"value": "l", "label": "Large"}]),
            json!({}),
            None,
        ),
        ("site", "url", false, json!([]), json!({}), None),
        ("day", "date", false, json!([]), json!({}), None),
        ("call", "phone", false, json!([]), json!({}), None),
        ("ok", "consent", true, json!([]), json!({}), None),
    ]
    .into_iter()
    .enumerate()
    {
        sqlx::query("INSERT INTO form_fields (id, org_id, form_id, field_key, field_type, label, is_required, field_order, options, validation_rules, maps_to)
                     VALUES ($1, $2, $3, $4, $5, initcap($4), $6, $7, $8, $9, $10)")
            .bind(uuid::Uuid::now_v7()).bind(org).bind(id).bind(key).bind(kind).bind(required)
            .bind(i32::try_from(at).unwrap() + 1).bind(options).bind(rules).bind(place)
            .execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();

    let bad = "mail=jane&who=%3Cb%3E12345&seats=11&plan=xl&site=javascript:1&day=tomorrow&call=me&note=keep+%22this%22";
    assert_snapshot!(
        "mend_script",
        answer(
            &web,
            with(
                post("/f/tok", URLENCODED, bad),
                &[("x-requested-with", "XMLHttpRequest")]
            )
        )
        .await
    );
    assert_snapshot!(
        "mend_browser",
        answer(&web, post("/f/tok", URLENCODED, bad)).await
    );
    assert_eq!(inbox(&world, org).await.len(), 0);

    let good = "mail=jane@example.com&who=Jane&seats=10&plan=l&site=https://a.example&day=2030-01-31&call=%2B1+555-0123&ok=on";
    assert!(
        answer(&web, post("/f/tok", URLENCODED, good))
            .await
            .starts_with("303")
    );
    let kept = inbox(&world, org).await.remove(0).submission;
    assert_eq!(
        (&kept["name"], &kept["email"], &kept["custom_fields"]),
        (
            &json!("Jane"),
            &json!("jane@example.com"),
            &json!({"seats": "10"})
        )
    );
}

#[tokio::test]
async fn a_post_that_is_no_form_is_named() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| config.http.body_limit = 2_000);
    form(&world, org, "tok", json!({})).await;
    let json = "application/json";
    for (name, request) in [
        ("malformed", post("/f/tok", json, "{\"a\":")),
        ("no_object", post("/f/tok", json, "[1]")),
        (
            "bad_utf8",
            post("/f/tok", json, b"{\"a\":\"\xFF\"}".to_vec()),
        ),
        ("nothing", post("/f/tok", json, "{}")),
        (
            "bad_email",
            post("/f/tok", json, r#"{"your-email":"jane"}"#),
        ),
        (
            "injected_email",
            post(
                "/f/tok",
                json,
                r#"{"email":"jane@example.com\r\nBcc: all@example.com"}"#,
            ),
        ),
        (
            "file",
            post(
                "/f/tok",
                "multipart/form-data; boundary=X",
                "--X\r\nContent-Disposition: form-data; name=\"cv\"; filename=\"a.pdf\"\r\n\r\nx\r\n--X--\r\n",
            ),
        ),
        ("unknown", post("/f/nothing", json, "{}")),
        ("too_large", post("/f/tok", json, vec![b' '; 2_001])),
        (
            "put",
            Request::builder()
                .method(Method::PUT)
                .uri("/f/tok")
                .body(Body::empty())
                .unwrap(),
        ),
    ] {
        let request = with(request, &[("accept", "application/json")]);
        assert_snapshot!(format!("form_{name}"), answer(&web, request).await);
    }
    assert_eq!(inbox(&world, org).await.len(), 0);
}

#[tokio::test]
async fn a_form_of_an_org_that_is_not_served_does_not_exist() {
    let world = World::new().await;
    let org = org(&world, "suspended").await;
    let web = web(&world, |_| {});
    form(&world, org, "tok", json!({})).await;
    let answered = answer(
        &web,
        post("/f/tok", "application/json", r#"{"email":"a@b.co"}"#),
    )
    .await;
    assert_snapshot!("form_unknown_json", answered);
}

#[tokio::test]
async fn traps_are_answered_as_success_and_kept_as_spam() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    form(&world, org, "tok", json!({"honeypot": "fax"})).await;
    for trap in ["_gotcha", "bot-field", "fax"] {
        let body =
            json!({"email": "not even an address", "message": trap, (trap): "x"}).to_string();
        let answered = answer(&web, post("/f/tok", "application/json", body)).await;
        assert_snapshot!("form_trapped", answered);
    }
    let kept = inbox(&world, org).await;
    let states: Vec<_> = kept.iter().map(|event| event.state.as_str()).collect();
    assert_eq!(states, ["spam"; 3]);
}

#[tokio::test]
async fn a_double_click_is_one_submission_and_a_later_one_is_another() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    form(&world, org, "tok", json!({})).await;
    let send = |note: &str| {
        post(
            "/f/tok",
            "application/json",
            json!({"email": "Jane@Example.com", "note": note}).to_string(),
        )
    };

    // Across the turn of a ten-minute bucket, wherever the world's clock stands.
    for _ in 0..4 {
        answer(&web, send("a")).await;
        world.clock.advance(TimeDelta::seconds(149));
    }
    assert_eq!(inbox(&world, org).await.len(), 1);
    answer(&web, send("b")).await;
    assert_eq!(inbox(&world, org).await.len(), 2);
    world.clock.advance(TimeDelta::minutes(21));
    answer(&web, send("a")).await;
    assert_eq!(inbox(&world, org).await.len(), 3);

    let keyed = |note: &str| with(send(note), &[("idempotency-key", "k")]);
    answer(&web, keyed("c")).await;
    answer(&web, keyed("c")).await;
    assert_snapshot!("form_key_reused", answer(&web, keyed("d")).await);
    assert_eq!(inbox(&world, org).await.len(), 4);
}

#[tokio::test]
async fn browsers_of_other_sites_are_kept_out_where_a_form_names_its_own() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    form(&world, org, "open", json!({})).await;
    form(
        &world,
        org,
        "own",
        json!({"allowed_origins": ["https://a.example"]}),
    )
    .await;
    let ask = |path: &str, origin: &str| {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        with(request, &[("origin", origin)])
    };
    assert_snapshot!(
        "cors_open",
        answer(&web, ask("/f/open", "https://b.example")).await
    );
    assert_snapshot!(
        "cors_own",
        answer(&web, ask("/f/own", "https://a.example")).await
    );
    assert_snapshot!(
        "cors_foreign",
        answer(&web, ask("/f/own", "https://b.example")).await
    );
    let posted = with(
        post("/f/own", "application/json", r#"{"email":"a@b.co"}"#),
        &[("origin", "https://b.example")],
    );
    assert_snapshot!("cors_refused", answer(&web, posted).await);
}

#[tokio::test]
async fn campaigns_are_read_from_the_page_and_from_hidden_fields() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    form(&world, org, "tok", json!({})).await;
    let request = with(
        post(
            "/f/tok",
            URLENCODED,
            "email=a@b.co&utm_medium=hidden&fbclid=F",
        ),
        &[(
            "referer",
            "https://a.example/?utm_source=g&utm_medium=cpc&gclid=G&x=y",
        )],
    );
    answer(&web, request).await;
    let kept = inbox(&world, org).await.remove(0).submission;
    assert_eq!(
        (&kept["utm_source"], &kept["utm_medium"]),
        (&json!("g"), &json!("hidden"))
    );
    assert_eq!(kept["click_ids"], json!({"gclid": "G", "fbclid": "F"}));
    assert_eq!(
        kept["source_url"],
        "https://a.example/?utm_source=g&utm_medium=cpc&gclid=G&x=y"
    );
}
