//! How fast all leads of an org are scored again.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use chrono::TimeDelta;
use domain::clock::{Clock, Timestamp};
use domain::id::{LeadId, OrgId};
use domain::store::Db;
use jobs::RefreshOrgScores;
use queue::{Job, Running, Wake};
use sqlx::PgPool;

use super::progress::Progress;
use super::{Figure, Place, people};
use crate::config::{Config, Mistake};
use crate::work;

/// Leads of one statement by hand.
const CHUNK: usize = 5000;
/// How often it is looked whether a run is at its end.
const LOOK: Duration = Duration::from_millis(20);

/// Has a worker score `leads` leads four times: when none has a score, when nothing has changed, when a tenth did something
/// more, and when a hundredth met a marketing threshold, which moves each through its status. Beside each the limit: the same
/// rows of a bare table updated in chunks with scores that are known.
pub async fn rescore(place: &Place, leads: usize) -> anyhow::Result<Vec<Figure>> {
    let db = Db::new(place.pool.clone());
    let org = people::org(&db).await?;
    people::leads(&db, org, leads).await?;
    tidy(&place.pool).await?;
    let raw = raw(&place.pool, leads).await?;
    let worker = worker(&place.pool).await?;

    let mut due_at = Clock::system().now();
    let mut figures = Vec::new();
    for (name, expected) in [
        ("rescore_first", leads),
        ("rescore_unchanged", 0),
        ("rescore_tenth", leads.div_ceil(10)),
        ("rescore_qualified", leads.div_ceil(100)),
    ] {
        match name {
            "rescore_tenth" => change(&db, org, Change::VISIT).await?,
            "rescore_qualified" => change(&db, org, Change::CLICKS).await?,
            _ => {}
        }
        tidy(&place.pool).await?;
        due_at += TimeDelta::days(1);
        let began = Instant::now();
        let done = run(&place.pool, org, due_at, &Progress::begin(name, leads)).await?;
        let ours = per_second(leads, began);
        let expected = (i64::try_from(leads)?, i64::try_from(expected)?);
        ensure!(
            done == expected,
            "{name}: leads looked at and given another score should be {expected:?}, and are {done:?}"
        );
        figures.push(Figure::new(name, ours, raw, "leads/s"));
    }
    worker.stop(Duration::from_secs(5)).await;
    Ok(figures)
}

/// A worker as `leadmill work` starts one, for the queue of scores only.
async fn worker(pool: &PgPool) -> anyhow::Result<Running> {
    let config = Config::default();
    let effects = work::effects(&config).map_err(|mistakes| {
        let mistakes: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
        anyhow!(mistakes.join("; "))
    })?;
    let queue = RefreshOrgScores::QUEUE;
    let mut pools = work::pools(&config, &[])?;
    pools.retain(|pool| pool.queues.iter().any(|served| served == queue));
    let scores = pools.first_mut().context("no pool serves scores")?;
    scores.queues = vec![queue.to_owned()];
    let wake = Wake::new(pool.clone());
    let running = work::start(&config, pool.clone(), wake, effects, pools).await?;
    while running.node().is_none() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(running)
}

/// The run of a night: how many leads were looked at, and how many got another score.
async fn run(
    pool: &PgPool,
    org: OrgId,
    due_at: Timestamp,
    progress: &Progress,
) -> anyhow::Result<(i64, i64)> {
    let mut db = pool.acquire().await?;
    let first = RefreshOrgScores {
        org,
        due_at,
        after: None,
    };
    queue::enqueue(&mut db, &first).await?;
    Wake::new(pool.clone()).notify();
    loop {
        tokio::time::sleep(LOOK).await;
        let (left, seen, scored): (bool, i64, i64) = sqlx::query_as(
            r#"
            SELECT EXISTS (SELECT FROM queue.job WHERE kind = $1),
                coalesce(sum((result ->> 'seen')::bigint), 0)::bigint,
                coalesce(sum((result ->> 'scored')::bigint), 0)::bigint
            FROM queue.job_history
            WHERE kind = $1 AND (payload ->> 'due_at')::timestamptz = $2
            "#,
        )
        .bind(RefreshOrgScores::NAME)
        .bind(due_at)
        .fetch_one(&mut *db)
        .await?;
        progress.at(usize::try_from(seen)?);
        if !left {
            return Ok((seen, scored));
        }
    }
}

/// What some leads did since the run before.
struct Change {
    /// One of so many did it.
    of: i32,
    /// Pages visited; too few for a threshold.
    visits: i32,
    /// Mails clicked.
    clicks: i32,
}

impl Change {
    const VISIT: Self = Self {
        of: 10,
        visits: 1,
        clicks: 0,
    };
    const CLICKS: Self = Self {
        of: 100,
        visits: 0,
        clicks: 3,
    };
}

async fn change(db: &Db, org: OrgId, change: Change) -> anyhow::Result<()> {
    let mut tx = db.org(org).await?;
    sqlx::query(
        r#"
        UPDATE lead_behaviour SET website_visits = website_visits + $3, email_clicks = email_clicks + $4
        WHERE org_id = $1 AND lead_id IN (
            SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM leads WHERE org_id = $1) numbered
            WHERE n % $2 = 1
        )
        "#,
    )
    .bind(org)
    .bind(change.of)
    .bind(change.visits)
    .bind(change.clicks)
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
