//! How fast all leads of an org are scored again.

use std::time::Instant;

use anyhow::ensure;
use chrono::TimeDelta;
use domain::actor::{Act, Actor};
use domain::clock::Clock;
use domain::command;
use domain::id::{LeadId, OrgId, RunId};
use domain::store::Db;
use sqlx::PgPool;

use super::progress::Progress;
use super::{Figure, Place, people};

/// Leads of one chunk, as the nightly run takes them.
const CHUNK: usize = 5000;

/// Scores `leads` leads three times: when none has a score, when nothing has changed, and when a tenth has. Beside each
/// the limit: the same rows of a bare table updated in chunks with scores that are known.
pub async fn rescore(place: &Place, leads: usize) -> anyhow::Result<Vec<Figure>> {
    let db = Db::new(place.pool.clone());
    let org = people::org(&db).await?;
    people::leads(&db, org, leads).await?;
    tidy(&place.pool).await?;
    let raw = raw(&place.pool, leads).await?;

    let mut at = Clock::system().now();
    let mut figures = Vec::new();
    for name in ["rescore_first", "rescore_unchanged", "rescore_tenth"] {
        if name == "rescore_tenth" {
            change_a_tenth(&db, org).await?;
        }
        tidy(&place.pool).await?;
        at += TimeDelta::days(1);
        let act = Act::new(org, Actor::Platform, at);
        let began = Instant::now();
        let (seen, scored) = run(&db, &act, &Progress::begin(name, leads)).await?;
        let ours = per_second(seen, began);
        ensure!(seen == leads, "{seen} of {leads} leads were looked at");
        let expected = match name {
            "rescore_first" => leads,
            "rescore_tenth" => leads.div_ceil(10),
            _ => 0,
        };
        ensure!(
            scored == expected,
            "{scored} leads got a score, {expected} should have"
        );
        figures.push(Figure::new(name, ours, raw, "leads/s"));
    }
    Ok(figures)
}

/// One transaction a chunk, as the job does; how many leads were looked at, and how many got another score.
async fn run(db: &Db, act: &Act, progress: &Progress) -> anyhow::Result<(usize, usize)> {
    let (mut seen, mut scored, mut after) = (0, 0, None);
    let run = RunId::new();
    loop {
        let mut tx = db.org(act.org).await?;
        let chunk = command::rescore_chunk(&mut tx, act, run, after, CHUNK).await?;
        tx.commit().await?;
        seen += chunk.seen;
        progress.at(seen);
        scored += chunk.scored;
        if chunk.next.is_none() {
            return Ok((seen, scored));
        }
        after = chunk.next;
    }
}

async fn change_a_tenth(db: &Db, org: OrgId) -> anyhow::Result<()> {
    let mut tx = db.org(org).await?;
    sqlx::query(
        r#"
        UPDATE lead_behaviour SET email_clicks = email_clicks + 1
        WHERE org_id = $1 AND lead_id IN (
            SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM leads WHERE org_id = $1) numbered
            WHERE n % 10 = 1
        )
        "#,
    )
    .bind(org)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// The dead rows that are left do not depend on when the server last looked.
async fn tidy(pool: &PgPool) -> sqlx::Result<()> {
    for statement in [
        "VACUUM (ANALYZE) leads",
        "VACUUM (ANALYZE) lead_behaviour",
        "VACUUM (ANALYZE) lead_scores",
    ] {
        sqlx::raw_sql(statement).execute(pool).await?;
    }
    Ok(())
}

async fn raw(pool: &PgPool, leads: usize) -> anyhow::Result<f64> {
    let mut db = pool.acquire().await?;
    sqlx::raw_sql(include_str!("raw/lead_table.sql"))
        .execute(&mut *db)
        .await?;
    let ids: Vec<LeadId> = (0..leads).map(|_| LeadId::new()).collect();
    sqlx::query(include_str!("raw/fill_lead_table.sql"))
        .bind(&ids)
        .execute(&mut *db)
        .await?;
    sqlx::raw_sql("VACUUM (ANALYZE) bench_raw.lead")
        .execute(&mut *db)
        .await?;
    let began = Instant::now();
    for chunk in ids.chunks(CHUNK) {
        let scores: Vec<i16> = (0..100).cycle().take(chunk.len()).collect();
        let hashes = chunk.iter().map(|lead| lead.uuid().as_bytes().repeat(2));
        sqlx::query(include_str!("raw/score.sql"))
            .bind(chunk)
            .bind(scores)
            .bind(hashes.collect::<Vec<_>>())
            .execute(&mut *db)
            .await?;
    }
    Ok(per_second(leads, began))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 leads")]
fn per_second(leads: usize, since: Instant) -> f64 {
    (leads as f64 / since.elapsed().as_secs_f64()).round()
}
