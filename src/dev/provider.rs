//! A provider of facts about leads that answers over HTTP, as one on the internet would.
//!
//! What it knows is made up from the address that it is asked about, and is the same whenever it is asked. Nobody is known
//! at the mail providers that everybody uses.

use axum::Json;
use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::normalise::{self, capitalised};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Where it answers.
pub const PATH: &str = "/dev/enrich";

const TITLES: [&str; 6] = [
    "Chief Executive Officer",
    "VP Marketing",
    "Director of Operations",
    "Head of Purchasing",
    "Office Manager",
    "Assistant",
];
const INDUSTRIES: [&str; 5] = [
    "Software",
    "Education",
    "Manufacturing",
    "Health care",
    "Retail",
];
const EMPLOYEES: [u32; 5] = [12, 80, 350, 1_400, 12_000];

#[derive(Debug, Deserialize)]
struct Asked {
    email: Option<String>,
    domain: Option<String>,
}

/// The one route of it.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(PATH, get(answer))
}

async fn answer(Query(asked): Query<Asked>) -> Response {
    let of_address = asked.email.as_deref().and_then(normalise::email_domain);
    let Some(domain) = asked
        .domain
        .or(of_address)
        .filter(|domain| !normalise::is_free_mail(domain))
    else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "not found"}))).into_response();
    };
    let whom = asked.email.as_deref().unwrap_or(&domain).to_lowercase();
    let pick = |of: &str, salt: u8, among: usize| {
        let digest = Sha256::digest([of.as_bytes(), &[salt]].concat());
        usize::from(digest[0]) % among
    };
    let name = domain.split('.').next().unwrap_or(&domain);
    let company = capitalised(name);
    Json(json!({
        "person": {
            "job_title": TITLES[pick(&whom, 1, TITLES.len())],
            "linkedin_url": format!("https://www.linkedin.com/in/{:08x}", pick(&whom, 2, 251) * 7_919),
        },
        "company": {
            "name": company,
            "domain": domain,
            "website": format!("https://{domain}"),
            "industry": INDUSTRIES[pick(&domain, 3, INDUSTRIES.len())],
            "employees": EMPLOYEES[pick(&domain, 4, EMPLOYEES.len())],
        },
        "likelihood": 0.9,
    }))
    .into_response()
}
