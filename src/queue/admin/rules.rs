//! Pause, limit, slow down, and let go again.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{deed, question};
use crate::rule::{Limits, LimitsChange, LimitsError, Rate, Rule, Scope};
use crate::store::CHANNEL;

/// Why a rule could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It would make no sense.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A rule as it is stored.
#[derive(sqlx::FromRow)]
struct Row {
    scope: Scope,
    name: String,
    paused: bool,
    max_running: Option<i32>,
    lane_running: Option<i32>,
    key_running: Option<i32>,
    turns: bool,
    rate_count: Option<i32>,
    rate_seconds: Option<f64>,
    rate_burst: Option<i32>,
    changed_at: DateTime<Utc>,
}

impl From<Row> for Rule {
    fn from(row: Row) -> Self {
        let rate = row.rate_count.zip(row.rate_seconds);
        Self {
            scope: row.scope,
            name: row.name,
            limits: Limits {
                paused: row.paused,
                max_running: row.max_running.map(i32::unsigned_abs),
                lane_running: row.lane_running.map(i32::unsigned_abs),
                key_running: row.key_running.map(i32::unsigned_abs),
                turns: row.turns,
                rate: rate.map(|(count, seconds)| Rate {
                    count: count.unsigned_abs(),
                    seconds,
                }),
                burst: row.rate_burst.map(i32::unsigned_abs),
            },
            changed_at: row.changed_at,
        }
    }
}

/// Every rule that restricts something: queues first, then kinds, lanes and keys, by name.
pub async fn rules(db: &mut PgConnection) -> sqlx::Result<Vec<Rule>> {
    let mut tx = question(db).await?;
    let rows: Vec<Row> = sqlx::query_as(
        r#"
        SELECT scope, name, paused, max_running, lane_running, key_running, turns, rate_count, rate_seconds, rate_burst,
            changed_at
        FROM queue.rule
        ORDER BY array_position(ARRAY['queue', 'kind', 'lane', 'key'], scope), name
        LIMIT 10000
        "#,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows.into_iter().map(Rule::from).collect())
}

/// Changes what is allowed of `name`, as workers are told at once; gives the limits that stand. One that does not hear it
/// sees it when it looks: after a second at most while jobs run, after 2.25 while none does.
///
/// What runs goes on. Jobs that were out of the way are taken up again as the new limits allow.
pub async fn change_rule(
    db: &mut PgConnection,
    scope: Scope,
    name: &str,
    change: impl FnOnce(&mut Limits) + Send,
) -> Result<Limits, RuleError> {
    let name = match scope {
        // As the database writes it.
        Scope::Lane => uuid::Uuid::parse_str(name)
            .map_err(|_| LimitsError::NoLane)?
            .to_string(),
        _ => name.to_owned(),
    };
    // The database is not asked about what can be no name.
    Limits::default().check(scope, &name)?;
    let mut tx = deed(db).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))")
        .bind(scope)
        .bind(&name)
        .execute(&mut *tx)
        .await?;
    let row: Option<Row> = sqlx::query_as(
        r#"
        SELECT scope, name, paused, max_running, lane_running, key_running, turns, rate_count, rate_seconds, rate_burst,
            changed_at
        FROM queue.rule
        WHERE scope = $1 AND name = $2
        "#,
    )
    .bind(scope)
    .bind(&name)
    .fetch_optional(&mut *tx)
    .await?;
    let mut limits = row.map_or_else(Limits::default, |row| Rule::from(row).limits);
    change(&mut limits);
    limits.check(scope, &name)?;
    write(&mut tx, scope, &name, &limits).await?;
    sqlx::query("SELECT pg_notify($1, 'rules')")
        .bind(CHANNEL)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(limits)
}

async fn write(
    db: &mut PgConnection,
    scope: Scope,
    name: &str,
    limits: &Limits,
) -> sqlx::Result<()> {
    if !limits.restrict() {
        sqlx::query("DELETE FROM queue.rule WHERE scope = $1 AND name = $2")
            .bind(scope)
            .bind(name)
            .execute(db)
            .await?;
        return Ok(());
    }
    let count = |count: Option<u32>| count.map(|count| i32::try_from(count).unwrap_or(i32::MAX));
    sqlx::query(
        r#"
        INSERT INTO queue.rule (scope, name, paused, max_running, lane_running, key_running, turns, rate_count,
            rate_seconds, rate_burst)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (scope, name) DO UPDATE SET paused = excluded.paused, max_running = excluded.max_running,
            lane_running = excluded.lane_running, key_running = excluded.key_running, turns = excluded.turns,
            rate_count = excluded.rate_count, rate_seconds = excluded.rate_seconds, rate_burst = excluded.rate_burst,
            changed_at = now()
        "#,
    )
    .bind(scope)
    .bind(name)
    .bind(limits.paused)
    .bind(count(limits.max_running))
    .bind(count(limits.lane_running))
    .bind(count(limits.key_running))
    .bind(limits.turns)
    .bind(count(limits.rate.map(|rate| rate.count)))
    .bind(limits.rate.map(|rate| rate.seconds))
    .bind(count(limits.burst))
    .execute(db)
    .await?;
    Ok(())
}

/// Lets no job of `name` start until it is resumed.
pub async fn pause(db: &mut PgConnection, scope: Scope, name: &str) -> Result<Limits, RuleError> {
    change_rule(db, scope, name, |limits| LimitsChange::PAUSE.apply(limits)).await
}

/// Lets the jobs of `name` start again; its other limits stay.
pub async fn resume(db: &mut PgConnection, scope: Scope, name: &str) -> Result<Limits, RuleError> {
    change_rule(db, scope, name, |limits| LimitsChange::RESUME.apply(limits)).await
}
