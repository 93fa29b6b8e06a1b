use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use http_body_util::BodyExt;
use serde_json::json;

use super::*;

mod providers;

/// A provider that answers everything in one way and remembers what it was asked.
struct Fake {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Script {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn fake(status: u16, headers: &Headers, body: impl ToString) -> Fake {
    let asked = Arc::default();
    let script = Script {
        status,
        headers: headers.to_vec(),
        body: body.to_string(),
        asked: Arc::clone(&asked),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(script);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Fake { base, asked }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap());
    let key = ["x-api-key", "authorization"].into_iter().find_map(header);
    script.asked.lock().unwrap().push(
        format!(
            "{} {} key={} {}",
            parts.method,
            parts.uri,
            key.unwrap_or("none"),
            String::from_utf8_lossy(&body)
        )
        .trim_end()
        .to_owned(),
    );
    let mut response = script.body.into_response();
    *response.status_mut() = StatusCode::from_u16(script.status).unwrap();
    for (name, value) in script.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn now() -> Timestamp {
    DateTime::from_timestamp(1_900_000_000, 0).unwrap()
}

fn ada() -> About {
    About::default()
        .with("email", Some("ada@engines.example"))
        .with("first_name", Some("Ada"))
        .with("last_name", Some("Lovelace"))
        .with("company", Some("Analytical Engines"))
        .with("phone", None)
}

fn inside() -> Enricher {
    let settings = EnrichmentSettings {
        allow_private: true,
        ..EnrichmentSettings::default()
    };
    Enricher::new(&settings).unwrap()
}

fn provider(config: &Value, key: &str) -> Provider {
    Provider {
        key: "test".into(),
        config: ProviderConfig::parse(config).unwrap(),
        secrets: BTreeMap::from([("api_key".into(), key.into())]),
    }
}

async fn ask(preset: &str, fake: &Fake, about: &About) -> Reply {
    let provider = provider(&json!({"preset": preset, "base_url": fake.base}), "k3y");
    let question = provider.config.question(about).unwrap();
    inside().ask(&provider, &question, now()).await
}

/// Without what is null or empty.
fn filled(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, filled(value)))
            .filter(|(_, value)| !value.is_null() && *value != json!({}))
            .collect(),
        other => other,
    }
}

fn told(answer: &Answer) -> String {
    let rest = |until: &Timestamp| (*until - now()).num_seconds();
    match answer {
        Answer::Matched(told) => format!("matched {}", filled(json!(told.facts))),
        Answer::NotFound => "not found".into(),
        Answer::Pending { until } => format!("pending {}", rest(until)),
        Answer::RateLimited { until } => format!("rate limited {}", rest(until)),
        Answer::OutOfCredits { until } => format!("out of credits {}", rest(until)),
        Answer::AuthError => "auth error".into(),
        Answer::InvalidInput => "invalid input".into(),
        Answer::Blocked => "blocked".into(),
        Answer::Error { why, retryable } => format!("error {why}, retryable: {retryable}"),
    }
}

type Headers = [(&'static str, &'static str)];

#[tokio::test]
async fn each_is_asked_in_its_own_way_and_only_what_is_known() {
    let mut asked = Vec::new();
    for preset in preset_names() {
        let fake = fake(404, &[], json!({})).await;
        ask(preset, &fake, &ada()).await;
        asked.push(format!(
            "{preset}: {}",
            fake.asked.lock().unwrap().join("\n")
        ));
    }
    insta::assert_snapshot!(asked.join("\n"), @r#"
    pdl: GET /v5/person/enrich?company=Analytical+Engines&email=ada%40engines.example&first_name=Ada&last_name=Lovelace&min_likelihood=6 key=k3y
    apollo: POST /api/v1/people/match key=k3y {"email":"ada@engines.example","first_name":"Ada","last_name":"Lovelace","organization_name":"Analytical Engines","reveal_personal_emails":false}
    hunter: GET /v2/combined/find?email=ada%40engines.example key=k3y
    clearbit: GET /v2/combined/find?email=ada%40engines.example key=Bearer k3y
    generic: GET /lookup?company=Analytical+Engines&email=ada%40engines.example&first_name=Ada&last_name=Lovelace key=Bearer k3y
    "#);
}

#[tokio::test]
async fn the_house_provider_needs_no_key_and_is_asked_where_it_is() {
    let fake = fake(404, &[], json!({})).await;
    let enricher = Enricher::new(&EnrichmentSettings {
        url: format!("{}/people?plan=demo", fake.base),
        allow_private: true,
        ..EnrichmentSettings::default()
    })
    .unwrap();
    let house = enricher.house().unwrap();
    let about = About::default().with("email", Some("ada@engines.example"));

    let question = house.config.question(&about).unwrap();
    let reply = enricher.ask(house, &question, now()).await;

    assert_eq!(reply.answer, Answer::NotFound);
    let asked = fake.asked.lock().unwrap().join("\n");
    assert_eq!(
        asked,
        "GET /people?plan=demo&email=ada%40engines.example key=none"
    );
}

#[test]
fn a_lead_that_says_too_little_is_not_asked_about() {
    let pdl = ProviderConfig::parse(&json!({"preset": "pdl"})).unwrap();
    let unasked = pdl.question(&About::default().with("first_name", Some("Ada")));
    assert_eq!(
        unasked.unwrap_err().to_string(),
        "the lead has no email or linkedin_url or phone"
    );
}

#[test]
fn the_same_question_has_the_same_hash_and_another_another() {
    let config = ProviderConfig::parse(&json!({"preset": "pdl"})).unwrap();
    let hash = |about: &About| config.question(about).unwrap().hash();
    assert_eq!(hash(&ada()), hash(&ada()));
    assert_ne!(hash(&ada()), hash(&ada().with("phone", Some("1"))));
}

#[tokio::test]
async fn a_lead_cannot_ask_for_the_secret() {
    let fake = fake(404, &[], json!({})).await;
    let about = About::default()
        .with("email", Some("{{secret.api_key}}@x.example"))
        .with("first_name", Some("{{secret.api_key}}"));

    ask("apollo", &fake, &about).await;

    let asked = fake.asked.lock().unwrap().join("\n");
    assert_eq!(asked.matches("k3y").count(), 1, "{asked}");
    assert!(asked.contains("{{secret.api_key}}@x.example"));
}

#[tokio::test]
async fn nothing_inside_is_called_unless_it_is_allowed() {
    let fake = fake(200, &[], json!({"person": {"job_title": "x"}})).await;
    let outside = Enricher::new(&EnrichmentSettings::default()).unwrap();
    let port = fake.base.rsplit(':').next().unwrap();
    for (base, why) in [
        (fake.base.clone(), "only https is called"),
        (
            format!("https://127.0.0.1:{port}"),
            "the address is not on the internet",
        ),
        (
            format!("https://[::1]:{port}"),
            "the address is not on the internet",
        ),
        (
            format!("https://localhost:{port}"),
            "the name leads to no address on the internet",
        ),
    ] {
        let provider = provider(&json!({"preset": "generic", "base_url": base}), "k");
        let question = provider.config.question(&ada()).unwrap();
        let answer = outside.ask(&provider, &question, now()).await.answer;
        assert!(told(&answer).contains(why), "{}", told(&answer));
    }
    assert!(fake.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_that_never_ends_or_never_comes_is_an_error() {
    let long = fake(200, &[], "x".repeat(LARGEST + 1)).await;
    let reply = ask("generic", &long, &ada()).await;
    assert_eq!(
        told(&reply.answer),
        "error the answer is larger than 1 MB, retryable: false"
    );

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let impatient = Enricher::new(&EnrichmentSettings {
        timeout: Duration::from_millis(100),
        allow_private: true,
        ..EnrichmentSettings::default()
    })
    .unwrap();
    let provider = provider(&json!({"preset": "generic", "base_url": base}), "k3y");
    let question = provider.config.question(&ada()).unwrap();
    let answer = impatient.ask(&provider, &question, now()).await.answer;
    let Answer::Error {
        why,
        retryable: true,
    } = answer
    else {
        panic!("{answer:?}");
    };
    assert!(!why.contains("ada"), "{why}");
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    let whole = |change: &dyn Fn(&mut Value)| {
        let mut config = json!({
            "request": {"url": "https://api.example.com/{{lead.email}}"},
            "outcome": [{"status": 200, "is": "matched"}],
            "map": {"lead.job_title": "$.title"},
        });
        change(&mut config);
        ProviderConfig::parse(&config)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(whole(&|_| {}), None);

    let told: Vec<_> = [
        whole(&|config| config["outcome"] = json!([])),
        whole(&|config| config["outcome"][0]["status"] = json!("teapot")),
        whole(&|config| config["outcome"][0]["when"] = json!("title")),
        whole(&|config| config["outcome"][0]["pause"] = json!("soon")),
        whole(&|config| config["map"]["lead.password"] = json!("$.x")),
        whole(&|config| config["request"]["url"] = json!("https://x/{{secret.api_key}}")),
        whole(&|config| config["request"]["url"] = json!("https://x/{{lead.shoe_size}}")),
        whole(&|config| config["request"]["urll"] = json!("")),
        ProviderConfig::parse(&json!({"preset": "nobody"}))
            .err()
            .map(|error| error.to_string()),
    ]
    .into_iter()
    .map(Option::unwrap_or_default)
    .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    outcome: it is empty, so no answer would mean anything; add rules such as {"status": 200, "is": "matched"}
    config: "teapot" is neither a status nor one like "5xx"
    config: "title" is neither a path like $.person.emails[0] nor a condition like $.error == 'pending'
    config: "soon" is not a time like 30s, 15m, 1h or 2d
    map: a lead has no fact "lead.password"; write one of lead.email, lead.first_name, lead.last_name, lead.phone, lead.job_title, lead.linkedin_url, lead.state, lead.country, lead.time_zone, lead.enrollment, company.name, company.domain, company.website, company.industry, company.company_size, company.employees, meta.likelihood, meta.credits
    request.url must not hold a secret: put it in a header
    config: "https://x/{{lead.shoe_size}}": a hole is {{lead.x}}, {{lead.x?}} or {{secret.x}}, where x of a lead is one of email, name, first_name, last_name, phone, company, domain, job_title, linkedin_url, website, country
    config: unknown field `urll`, expected one of `method`, `url`, `headers`, `query`, `body`, `requires`, `omit_empty`
    preset: none is called "nobody"; write one of pdl, apollo, hunter, clearbit, generic
    "#);
}
