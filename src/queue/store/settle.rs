//! Write down what came of attempts. Every statement names the claim: an older one changes nothing.
//!
//! A job that runs is one that has a lease. Rows are found by their ids, and `IS TRUE` keeps the comparison of claims from
//! becoming a join: planned for a table that is empty one moment and full the next, that join goes over every running
//! job for every outcome.
//!
//! What goes to the history is counted there and then, a row a queue and outcome, and told to its batches in the end.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;

use super::LONGEST_WAIT;
use super::batch::{self, Ended};
use crate::log::{self, Line};
use crate::{JobId, fingerprint, text};

/// What is to be written about a claimed job.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) id: JobId,
    pub(crate) epoch: i32,
    pub(crate) fate: Fate,
    /// It is part of a batch, with which it is settled in one transaction.
    pub(crate) in_batch: bool,
    /// Lines that the attempt wrote.
    pub(crate) log: Vec<Line>,
    /// It was sent before, and may have been accepted without our hearing of it.
    pub(crate) resent: bool,
}

/// What becomes of a job after an attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Fate {
    /// It is finished and well, with nothing to tell.
    Done,
    /// It is finished.
    Finished {
        outcome: &'static str,
        reason: Option<String>,
        result: Option<Value>,
        error: Option<String>,
    },
    /// It failed and waits for its next attempt.
    Retry { after: Duration, error: String },
    /// It asked to wait; the attempt is given back.
    Snooze { after: Duration },
    /// It was asked to stop and did not do so by itself.
    Cancel,
    /// It did not run to its end and waits again; the attempt is given back.
    Release,
    /// It is not understood and waits for a process that does; the attempt is given back.
    Park,
}

impl Settlement {
    /// What is to be written about the job of this claim.
    pub(crate) fn new(id: JobId, epoch: i32, in_batch: bool, fate: Fate) -> Self {
        Self {
            id,
            epoch,
            fate,
            in_batch,
            log: Vec::new(),
            resent: false,
        }
    }

    /// Leaves out what the job said, of which something cannot be stored; whether there was anything to leave out.
    pub(crate) fn make_plain(&mut self) -> bool {
        const LEFT_OUT: &str = "what it said cannot be stored";
        let mut said = !std::mem::take(&mut self.log).is_empty();
        let mut leave_out = |text: &mut String| {
            said |= text != LEFT_OUT;
            LEFT_OUT.clone_into(text);
        };
        match &mut self.fate {
            Fate::Finished {
                reason,
                result,
                error,
                ..
            } => {
                reason.as_mut().map(&mut leave_out);
                error.as_mut().map(&mut leave_out);
                said |= result.take().is_some();
            }
            Fate::Retry { error, .. } => leave_out(error),
            Fate::Done | Fate::Snooze { .. } | Fate::Cancel | Fate::Release | Fate::Park => {}
        }
        said
    }
}

pub(crate) const COMPLETED: &str = "completed";
pub(crate) const SKIPPED: &str = "skipped";
pub(crate) const DISCARDED: &str = "discarded";

/// What was written.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Settled {
    /// Outcomes that were accepted. The others' claims were stale.
    pub(crate) accepted: u64,
    /// Batches of which no job remains.
    pub(crate) completed: usize,
}

/// What is written in this transaction gives up soon where somebody has hold of a row.
pub(crate) async fn hurry(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SET LOCAL lock_timeout = '20ms'")
        .execute(db)
        .await?;
    Ok(())
}

/// Writes `settlements`: in a transaction of the caller's, unless it is one alone and of no batch.
pub(crate) async fn settle(
    db: &mut PgConnection,
    settlements: &[Settlement],
) -> sqlx::Result<Settled> {
    let mut done = (Vec::new(), Vec::new());
    let mut finished = Finished::default();
    let mut again = Again::default();
    for settlement in settlements {
        let wait = |after: &Duration| (due_state(*after), Some(*after));
        match &settlement.fate {
            Fate::Done if settlement.log.is_empty() => {
                done.0.push(settlement.id.0);
                done.1.push(settlement.epoch);
            }
            Fate::Done => finished.push(settlement, COMPLETED, None, None, None),
            Fate::Finished {
                outcome,
                reason,
                result,
                error,
            } => finished.push(
                settlement,
                outcome,
                reason.as_deref(),
                result.as_ref(),
                error.as_deref(),
            ),
            Fate::Retry { after, error } => {
                again.push(settlement, wait(after), false, Some(error));
            }
            Fate::Snooze { after } => again.push(settlement, wait(after), true, None),
            Fate::Cancel | Fate::Release => again.push(settlement, (READY, None), true, None),
            Fate::Park => again.push(settlement, (PARKED, None), true, None),
        }
    }
    let mut ended = Vec::new();
    let mut accepted = 0;
    if !done.0.is_empty() {
        ended.extend(complete(db, &done.0, &done.1).await?);
    }
    if !finished.told.ids.is_empty() {
        ended.extend(finish(db, &finished).await?);
    }
    let back = again.told.ids.len();
    if back > 0 {
        let put_back = put_back(db, &again).await?;
        accepted += put_back;
        if put_back < back as u64 {
            ended.extend(call_off(db, &again.told).await?);
        }
    }
    accepted += Ended::count(&ended);
    let completed = batch::note(db, &ended).await?;
    Ok(Settled {
        accepted,
        completed,
    })
}

const READY: i16 = 0;
const SCHEDULED: i16 = 1;
const PARKED: i16 = 3;

fn due_state(after: Duration) -> i16 {
    if after.is_zero() { READY } else { SCHEDULED }
}

/// Has the server plan what is written most often.
pub(crate) async fn prepare(db: &mut PgConnection) -> sqlx::Result<()> {
    complete(db, &[], &[]).await.map(drop)
}

async fn complete(db: &mut PgConnection, ids: &[i64], epochs: &[i32]) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as(
        r#"
        WITH gone AS (
            DELETE FROM queue.job j
            WHERE j.id = ANY ($1) AND j.lease_by IS NOT NULL
                AND ((j.id, j.epoch) IN (SELECT * FROM unnest($1::bigint[], $2::int[]))) IS TRUE
            RETURNING j.*
        ), kept AS (
            INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
                unique_key, trace, progress, errors, log, retried_from, limit_key, batch_id, created_at, started_at, outcome)
            SELECT id, queue, kind, version, coalesce(raised_from, priority), lane, payload, attempt, max_attempts,
                unique_key, trace, progress, errors, log, retried_from, limit_key, batch_id, created_at, started_at, 'completed'
            FROM gone
        ), counted AS (
            INSERT INTO queue.counter (queue, outcome, minute, made, count)
            SELECT queue, 'completed', date_trunc('minute', now()), date_trunc('minute', created_at), count(*)
            FROM gone
            GROUP BY queue, date_trunc('minute', created_at)
        )
        SELECT batch_id, count(*) AS ended, 0::bigint AS failed, 0::bigint AS cancelled
        FROM gone
        GROUP BY batch_id
        "#,
    )
    .bind(ids)
    .bind(epochs)
    .fetch_all(db)
    .await
}

/// What is told of every claim whose attempt said something.
#[derive(Default)]
struct Told {
    ids: Vec<i64>,
    epochs: Vec<i32>,
    errors: Vec<Option<String>>,
    logs: Vec<Option<String>>,
}

impl Told {
    fn push(&mut self, settlement: &Settlement, error: Option<&str>) {
        self.ids.push(settlement.id.0);
        self.epochs.push(settlement.epoch);
        self.errors.push(error.map(text::storable));
        self.logs.push(log::json(&settlement.log));
    }
}

#[derive(Default)]
struct Finished {
    told: Told,
    outcomes: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    results: Vec<Option<String>>,
    fingerprints: Vec<Option<i64>>,
}

impl Finished {
    fn push(
        &mut self,
        settlement: &Settlement,
        outcome: &'static str,
        reason: Option<&str>,
        result: Option<&Value>,
        error: Option<&str>,
    ) {
        self.told.push(settlement, error);
        let dead = outcome == DISCARDED;
        let why = error.or(reason).filter(|_| dead);
        self.fingerprints.push(why.map(fingerprint::of));
        self.outcomes.push(outcome);
        self.reasons.push(reason.map(text::storable));
        self.results.push(result.map(text::storable_json));
    }
}

/// A job that was asked to stop and failed for the last time, or says that it can never work, is a cancelled one.
async fn finish(db: &mut PgConnection, finished: &Finished) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as(
        r#"
        WITH gone AS (
            DELETE FROM queue.job j
            WHERE j.id = ANY ($1) AND j.lease_by IS NOT NULL
                AND ((j.id, j.epoch) IN (SELECT * FROM unnest($1::bigint[], $2::int[]))) IS TRUE
            RETURNING j.*
        ), kept AS (
            INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
                unique_key, trace, progress, errors, log, retried_from, limit_key, batch_id, created_at, started_at, outcome, reason,
                result, fingerprint)
            SELECT id, queue, kind, version, coalesce(raised_from, priority), lane, payload, attempt, max_attempts, unique_key, trace, progress,
                queue.with_error(errors, attempt, error, lease_by), queue.with_lines(log, attempt, started_at, lines),
                retried_from, limit_key, batch_id, created_at, started_at,
                CASE WHEN stopped THEN 'cancelled' ELSE outcome END, CASE WHEN stopped THEN cancel_reason ELSE reason END,
                result::jsonb, CASE WHEN NOT stopped THEN fingerprint END
            FROM gone
            JOIN unnest($1::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[])
                AS told (id, outcome, reason, result, error, lines, fingerprint) USING (id)
            CROSS JOIN LATERAL (
                SELECT cancel_reason IS NOT NULL AND (error IS NOT NULL OR outcome = 'discarded') AS stopped
            ) asked
            RETURNING batch_id, queue, outcome, created_at
        ), counted AS (
            INSERT INTO queue.counter (queue, outcome, minute, made, count)
            SELECT queue, outcome, date_trunc('minute', now()), date_trunc('minute', created_at), count(*)
            FROM kept
            GROUP BY queue, outcome, date_trunc('minute', created_at)
        )
        SELECT batch_id, count(*) AS ended, count(*) FILTER (WHERE outcome = 'discarded') AS failed,
            count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled
        FROM kept
        GROUP BY batch_id
        "#,
    )
    .bind(&finished.told.ids)
    .bind(&finished.told.epochs)
    .bind(&finished.outcomes)
    .bind(&finished.reasons)
    .bind(&finished.results)
    .bind(&finished.told.errors)
    .bind(&finished.told.logs)
    .bind(&finished.fingerprints)
    .fetch_all(db)
    .await
}

#[derive(Default)]
struct Again {
    told: Told,
    states: Vec<i16>,
    /// In microseconds.
    afters: Vec<Option<i64>>,
    refunds: Vec<bool>,
}

impl Again {
    fn push(
        &mut self,
        settlement: &Settlement,
        (state, after): (i16, Option<Duration>),
        refund: bool,
        error: Option<&str>,
    ) {
        self.told.push(settlement, error);
        self.states.push(state);
        self.afters.push(
            after.map(|after| {
                i64::try_from(after.min(LONGEST_WAIT).as_micros()).unwrap_or(i64::MAX)
            }),
        );
        self.refunds.push(refund);
    }
}

/// Leaves out those that were asked to stop.
async fn put_back(db: &mut PgConnection, again: &Again) -> sqlx::Result<u64> {
    let updated = sqlx::query(
        r#"
        UPDATE queue.job j
        SET state = told.state,
            run_at = coalesce(now() + told.after * interval '1 microsecond', j.run_at),
            attempt = CASE WHEN told.refund THEN greatest(j.attempt - 1, 0) ELSE j.attempt END,
            errors = queue.with_error(j.errors, j.attempt, told.error, j.lease_by),
            log = queue.with_lines(j.log, j.attempt, j.started_at, told.lines),
            priority = coalesce(j.raised_from, j.priority),
            raised_from = NULL,
            lease_by = NULL,
            started_at = NULL
        FROM unnest($1::bigint[], $3::smallint[], $4::bigint[], $5::bool[], $6::text[], $7::text[])
            AS told (id, state, after, refund, error, lines)
        WHERE j.id = told.id AND j.id = ANY ($1) AND j.lease_by IS NOT NULL AND j.cancel_reason IS NULL
            AND ((j.id, j.epoch) IN (SELECT * FROM unnest($1::bigint[], $2::int[]))) IS TRUE
        "#,
    )
    .bind(&again.told.ids)
    .bind(&again.told.epochs)
    .bind(&again.states)
    .bind(&again.afters)
    .bind(&again.refunds)
    .bind(&again.told.errors)
    .bind(&again.told.logs)
    .execute(db)
    .await?;
    Ok(updated.rows_affected())
}

/// Finishes those that were asked to stop.
async fn call_off(db: &mut PgConnection, told: &Told) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as(
        r#"
        WITH gone AS (
            DELETE FROM queue.job j
            WHERE j.id = ANY ($1) AND j.lease_by IS NOT NULL AND j.cancel_reason IS NOT NULL
                AND ((j.id, j.epoch) IN (SELECT * FROM unnest($1::bigint[], $2::int[]))) IS TRUE
            RETURNING j.*
        ), kept AS (
            INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
                unique_key, trace, progress, errors, log, retried_from, limit_key, batch_id, created_at, started_at, outcome, reason)
            SELECT id, queue, kind, version, coalesce(raised_from, priority), lane, payload, attempt, max_attempts, unique_key, trace, progress,
                queue.with_error(errors, attempt, error, lease_by), queue.with_lines(log, attempt, started_at, lines),
                retried_from, limit_key, batch_id, created_at, started_at, 'cancelled', cancel_reason
            FROM gone
            JOIN unnest($1::bigint[], $3::text[], $4::text[]) AS told (id, error, lines) USING (id)
        ), counted AS (
            INSERT INTO queue.counter (queue, outcome, minute, made, count)
            SELECT queue, 'cancelled', date_trunc('minute', now()), date_trunc('minute', created_at), count(*)
            FROM gone
            GROUP BY queue, date_trunc('minute', created_at)
        )
        SELECT batch_id, count(*) AS ended, 0::bigint AS failed, count(*) AS cancelled
        FROM gone
        GROUP BY batch_id
        "#,
    )
    .bind(&told.ids)
    .bind(&told.epochs)
    .bind(&told.errors)
    .bind(&told.logs)
    .fetch_all(db)
    .await
}

/// Takes jobs that wait out of the queue; they are kept as cancelled. Those that run meanwhile are left alone.
pub(crate) async fn take_out(
    db: &mut PgConnection,
    ids: &[i64],
    reason: &str,
) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as(
        r#"
        WITH gone AS (
            DELETE FROM queue.job WHERE id = ANY ($1) AND lease_by IS NULL RETURNING *
        ), kept AS (
            INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
                unique_key, trace, progress, errors, log, retried_from, limit_key, batch_id, created_at, started_at, outcome, reason)
            SELECT id, queue, kind, version, coalesce(raised_from, priority), lane, payload, attempt, max_attempts,
                unique_key, trace, progress, errors, log, retried_from, limit_key, batch_id, created_at, started_at, 'cancelled', $2
            FROM gone
        ), counted AS (
            INSERT INTO queue.counter (queue, outcome, minute, made, count)
            SELECT queue, 'cancelled', date_trunc('minute', now()), date_trunc('minute', created_at), count(*)
            FROM gone
            GROUP BY queue, date_trunc('minute', created_at)
        )
        SELECT batch_id, count(*) AS ended, 0::bigint AS failed, count(*) AS cancelled
        FROM gone
        GROUP BY batch_id
        "#,
    )
    .bind(ids)
    .bind(reason)
    .fetch_all(db)
    .await
}
