//! Intake: what each sender is answered, to the byte, and what is kept.

mod arbitrary;
mod capture;
mod form;
mod hostile;
mod outage;
mod together;
mod trpc_wire;

use axum::body::Body;
use axum::http::Request;
use domain::id::{FormId, OrgId};
use serde_json::{Value, json};

use crate::harness::World;
pub(crate) use crate::web::{answer, org, post, web, web_on};

/// A published form of `org` under the token `token`.
pub(crate) async fn form(world: &World, org: OrgId, token: &str, settings: Value) -> FormId {
    let form = FormId::new();
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query(
        "INSERT INTO forms (id, org_id, name, form_settings) VALUES ($1, $2, 'Contact', $3)",
    )
    .bind(form)
    .bind(org)
    .bind(settings)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query("INSERT INTO form_tokens (token, org_id, form_id) VALUES ($1, $2, $3)")
        .bind(token)
        .bind(org)
        .bind(form)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    form
}

/// One row of the inbox.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Event {
    pub id: uuid::Uuid,
    pub state: String,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    pub submission: Value,
    pub headers: Value,
}

/// The inbox of `org`, oldest first.
pub(crate) async fn inbox(world: &World, org: OrgId) -> Vec<Event> {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_as(
        "SELECT id, state, content_type, body, submission, headers FROM intake_events ORDER BY id",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

/// The example of the capture endpoint's documentation.
pub(crate) fn jane(org: OrgId) -> Value {
    json!({
        "orgId": org,
        "firstName": "Jane",
        "lastName": "Smith",
        "email": "jane@example.com",
        "source": "website"
    })
}

/// Post a capture.
pub(crate) fn capture(input: &Value) -> Request<Body> {
    post(
        "/api/trpc/crm.leads.capture",
        "application/json",
        input.to_string(),
    )
}
