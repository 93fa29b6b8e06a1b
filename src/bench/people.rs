//! An org to measure with, and leads of it.

use anyhow::Context;
use domain::actor::{Act, Actor};
use domain::clock::Clock;
use domain::command;
use domain::id::{LeadId, OrgId};
use domain::store::Db;
use domain::store::orgs::NewOrg;

/// Leads of one insert.
const BULK: usize = 5000;

/// Makes an org with every default.
pub(super) async fn org(db: &Db) -> anyhow::Result<OrgId> {
    let new = NewOrg::named("bench", "Bench");
    let act = Act::new(new.id, Actor::Platform, Clock::system().now());
    let mut tx = db.platform().await?;
    command::create_org(&mut tx, &act, &new)
        .await
        .context("making an org")?;
    tx.commit().await?;
    Ok(new.id)
}

/// Makes open leads that differ in what they are scored by.
pub(super) async fn leads(db: &Db, org: OrgId, count: usize) -> anyhow::Result<()> {
    let ids: Vec<LeadId> = (0..count).map(|_| LeadId::new()).collect();
    for (number, bulk) in ids.chunks(BULK).enumerate() {
        let mut tx = db.org(org).await?;
        sqlx::query(include_str!("raw/leads.sql"))
            .bind(org)
            .bind(bulk)
            .bind(i64::try_from(number * BULK)?)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}
