//! What the database keeps, and what commands leave behind.

mod addresses;
mod assignment;
mod capture;
mod edits;
mod enrichment;
mod every_table;
mod history;
mod indexes;
mod isolation;
mod ledger;
mod rescore;
mod scores;
mod statuses;

use domain::actor::Act;
use domain::capture::Capture;
use domain::command;
use domain::id::{LeadId, OrgId};
use domain::lead::{CaptureChannel, Details, Lead};
use domain::store::lead_pages;
use serde_json::Value;
use sqlx::PgConnection;

use crate::harness::World;

/// A capture of a person with this address.
fn of(email: &str) -> Capture {
    Capture {
        details: Details {
            first_name: Some("Ada".into()),
            email: Some(email.into()),
            ..Details::default()
        },
        ..Capture::by(CaptureChannel::Api)
    }
}

/// What `work` gives, done in `org` by the platform and committed.
async fn done<T>(
    world: &World,
    org: OrgId,
    work: impl AsyncFnOnce(&mut PgConnection, &Act) -> T,
) -> T {
    let mut tx = world.db.org(org).await.unwrap();
    let given = work(&mut tx, &world.act(org)).await;
    tx.commit().await.unwrap();
    given
}

/// The lead of a capture.
async fn captured(world: &World, org: OrgId, capture: &Capture) -> LeadId {
    let mut tx = world.db.org(org).await.unwrap();
    let captured = command::capture_lead(&mut tx, &world.act(org), capture)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    captured.lead
}

/// The lead as it is now.
async fn read(world: &World, org: OrgId, lead: LeadId) -> Lead {
    let mut tx = world.db.org(org).await.unwrap();
    lead_pages::find(&mut tx, org, lead).await.unwrap().unwrap()
}

/// The one value that `sql` gives in a transaction of `org`.
async fn value<T>(world: &World, org: OrgId, sql: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
}

/// The JSON text of the rows that `sql` gives in a transaction of `org`.
async fn rows(world: &World, org: OrgId, sql: &'static str) -> Vec<Value> {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_scalar(sql).fetch_all(&mut *tx).await.unwrap()
}

/// The SQLSTATE of the error.
fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    code.unwrap_or_default().into_owned()
}
