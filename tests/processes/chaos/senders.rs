//! Those who send captures, each until it is taken, and what they remember of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::id::OrgId;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

/// How many captures there are.
pub(super) const CAPTURES: usize = 2_000;
/// How many are sent at the same time.
const AT_ONCE: usize = 16;
/// One capture in so many is of the address of the one before it.
const SAME_ADDRESS_EVERY: usize = 10;
/// They come no faster than this, so that what is killed is at work.
const PACE: Duration = Duration::from_millis(14);
/// How long a sender waits before it sends again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a capture may be turned away.
const PATIENCE: Duration = Duration::from_secs(60);

/// A capture and what came of sending it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// Which.
    pub number: usize,
    /// The submission that its sender was told of when it was taken.
    pub id: Uuid,
    /// How often it was sent without a success: turned away, or nobody knows.
    pub in_vain: usize,
}

/// By which door a capture comes, and by what its second sending is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// tRPC with a key.
    Keyed,
    /// tRPC without one: sent again, it is another submission of the same person.
    Keyless,
    /// A form, which knows the same answers again.
    Form,
}

/// The door of a capture.
pub(super) fn door(number: usize) -> Door {
    match number % 4 {
        0 | 1 => Door::Keyed,
        2 => Door::Keyless,
        _ => Door::Form,
    }
}

/// Who is captured.
pub(super) fn email(number: usize) -> String {
    let person = if number % SAME_ADDRESS_EVERY == 1 {
        number - 1
    } else {
        number
    };
    format!("person{person}@example.test")
}

/// What the person wrote: it tells captures of one person apart.
pub(super) fn message(number: usize) -> String {
    format!("capture {number}")
}

/// Where captures go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The address of the process that takes them.
    pub url: String,
    /// Whom they are for.
    pub org: OrgId,
    /// The token of its form.
    pub form: &'static str,
}

/// Sends every capture; `taken` counts those that were.
pub(super) async fn send_all(target: Target, taken: Arc<AtomicUsize>) -> Vec<Sent> {
    let client = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(35))
        .build()
        .unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, target) = (client.clone(), target.clone());
        let (next, taken) = (next.clone(), taken.clone());
        senders.spawn(async move {
            let mut sent = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= CAPTURES {
                    return sent;
                }
                let turn = u32::try_from(number).unwrap();
                tokio::time::sleep_until(begun + PACE * turn).await;
                sent.push(until_taken(&client, &target, number).await);
                taken.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    senders.join_all().await.into_iter().flatten().collect()
}

async fn until_taken(client: &Client, target: &Target, number: usize) -> Sent {
    let begun = Instant::now();
    let mut in_vain = 0;
    loop {
        let answer = request(client, target, number).send().await;
        if let Some(id) = taken_as(answer, number).await {
            return Sent {
                number,
                id,
                in_vain,
            };
        }
        in_vain += 1;
        assert!(
            begun.elapsed() < PATIENCE,
            "capture {number} was never taken"
        );
        tokio::time::sleep(AGAIN).await;
    }
}

/// The submission's id if the capture was taken. A sender is only ever asked to come again.
async fn taken_as(answer: reqwest::Result<reqwest::Response>, number: usize) -> Option<Uuid> {
    let answer = answer.ok()?;
    let status = answer.status().as_u16();
    let body = answer.text().await.ok()?;
    assert!(
        matches!(status, 200 | 503),
        "capture {number} was answered {status}: {body}"
    );
    if status == 503 {
        return None;
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let id = body.pointer("/result/data/id").or_else(|| body.get("id"));
    Some(id.and_then(Value::as_str).unwrap().parse().unwrap())
}

fn request(client: &Client, target: &Target, number: usize) -> RequestBuilder {
    let (email, message) = (email(number), message(number));
    let company = format!("Firm {}", number % 50);
    if door(number) == Door::Form {
        let answers = json!({
            "first_name": "Ada", "last_name": format!("Lovelace {number}"), "email": email, "company": company,
            "message": message,
        });
        return client
            .post(format!("{}/f/{}", target.url, target.form))
            .json(&answers);
    }
    let input = json!({
        "orgId": target.org, "firstName": "Ada", "lastName": format!("Lovelace {number}"), "email": email,
        "company": company, "message": message, "source": "website",
    });
    let request = client
        .post(format!("{}/api/trpc/crm.leads.capture", target.url))
        .json(&input);
    match door(number) {
        Door::Keyed => request.header("idempotency-key", format!("capture-{number}")),
        Door::Keyless | Door::Form => request,
    }
}
