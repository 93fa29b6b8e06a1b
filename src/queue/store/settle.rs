//! Write down what came of attempts. Every statement names the claim: an older one changes nothing.
//!
//! A job that runs is one that has a lease. Rows are found by their ids, and `IS TRUE` keeps the comparison of claims from
//! becoming a join: planned for a table that is empty one moment and full the next, that join goes over every running
//! job for every outcome.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;

use crate::{JobId, text};

/// What is to be written about a claimed job.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) id: JobId,
    pub(crate) epoch: i32,
    pub(crate) fate: Fate,
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
    /// It did not run to its end and waits again; the attempt is given back.
    Release,
    /// It is not understood and waits for a process that does; the attempt is given back.
    Park,
}

impl Settlement {
    /// What is to be written about the job of this claim.
    pub(crate) fn new(id: JobId, epoch: i32, fate: Fate) -> Self {
        Self {
            id,
            epoch,
            fate,
            resent: false,
        }
    }

    /// Leaves out what the job said, of which something cannot be stored.
    pub(crate) fn make_plain(&mut self) {
        const LEFT_OUT: &str = "what it said cannot be stored";
        match &mut self.fate {
            Fate::Finished {
                reason,
                result,
                error,
                ..
            } => {
                *result = None;
                if reason.is_some() {
                    *reason = Some(LEFT_OUT.to_owned());
                }
                if error.is_some() {
                    *error = Some(LEFT_OUT.to_owned());
                }
            }
            Fate::Retry { error, .. } => LEFT_OUT.clone_into(error),
            Fate::Done | Fate::Snooze { .. } | Fate::Release | Fate::Park => {}
        }
    }
}

pub(crate) const COMPLETED: &str = "completed";
pub(crate) const SKIPPED: &str = "skipped";
pub(crate) const DISCARDED: &str = "discarded";

/// Writes `settlements`; says how many were accepted. The others' claims were stale.
pub(crate) async fn settle(db: &mut PgConnection, settlements: &[Settlement]) -> sqlx::Result<u64> {
    let mut done = (Vec::new(), Vec::new());
    let mut finished = Columns::default();
    let mut again = Again::default();
    for settlement in settlements {
        let Settlement {
            id, epoch, fate, ..
        } = settlement;
        match fate {
            Fate::Done => {
                done.0.push(id.0);
                done.1.push(*epoch);
            }
            Fate::Finished {
                outcome,
                reason,
                result,
                error,
            } => {
                finished.ids.push(id.0);
                finished.epochs.push(*epoch);
                finished.outcomes.push(*outcome);
                finished.reasons.push(reason.clone().map(text::storable));
                finished
                    .results
                    .push(result.as_ref().map(text::storable_json));
                finished.errors.push(error.clone().map(text::storable));
            }
            Fate::Retry { after, error } => {
                let error = Some(text::storable(error.clone()));
                again.push(*id, *epoch, due_state(*after), Some(*after), false, error);
            }
            Fate::Snooze { after } => {
                again.push(*id, *epoch, due_state(*after), Some(*after), true, None);
            }
            Fate::Release => again.push(*id, *epoch, READY, None, true, None),
            Fate::Park => again.push(*id, *epoch, PARKED, None, true, None),
        }
    }
    let mut accepted = 0;
    if !done.0.is_empty() {
        accepted += complete(db, &done.0, &done.1).await?;
    }
    if !finished.ids.is_empty() {
        accepted += finish(db, finished).await?;
    }
    if !again.ids.is_empty() {
        accepted += put_back(db, again).await?;
    }
    Ok(accepted)
}

const READY: i16 = 0;
const SCHEDULED: i16 = 1;
const PARKED: i16 = 3;

fn due_state(after: Duration) -> i16 {
    if after.is_zero() { READY } else { SCHEDULED }
}

async fn complete(db: &mut PgConnection, ids: &[i64], epochs: &[i32]) -> sqlx::Result<u64> {
    let moved = sqlx::query(
        r#"
        WITH gone AS (
            DELETE FROM queue.job j
            WHERE j.id = ANY ($1) AND j.lease_by IS NOT NULL
                AND ((j.id, j.epoch) IN (SELECT * FROM unnest($1::bigint[], $2::int[]))) IS TRUE
            RETURNING j.*
        )
        INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
            unique_key, trace, progress, errors, log, retried_from, created_at, started_at, outcome)
        SELECT id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
            unique_key, trace, progress, errors, log, retried_from, created_at, started_at, 'completed'
        FROM gone
        "#,
    )
    .bind(ids)
    .bind(epochs)
    .execute(db)
    .await?;
    Ok(moved.rows_affected())
}

#[derive(Default)]
struct Columns {
    ids: Vec<i64>,
    epochs: Vec<i32>,
    outcomes: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    results: Vec<Option<String>>,
    errors: Vec<Option<String>>,
}

async fn finish(db: &mut PgConnection, columns: Columns) -> sqlx::Result<u64> {
    let moved = sqlx::query(
        r#"
        WITH gone AS (
            DELETE FROM queue.job j
            WHERE j.id = ANY ($1) AND j.lease_by IS NOT NULL
                AND ((j.id, j.epoch) IN (SELECT * FROM unnest($1::bigint[], $2::int[]))) IS TRUE
            RETURNING j.*
        )
        INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts,
            unique_key, trace, progress, errors, log, retried_from, created_at, started_at, outcome, reason, result)
        SELECT id, queue, kind, version, priority, lane, payload, attempt, max_attempts, unique_key, trace, progress,
            CASE WHEN error IS NULL THEN errors
                ELSE errors || jsonb_build_object('attempt', attempt, 'at', now(), 'error', error, 'node', lease_by)
            END,
            log, retried_from, created_at, started_at, outcome, reason, result::jsonb
        FROM gone
        JOIN unnest($1::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
            AS told (id, outcome, reason, result, error) USING (id)
        "#,
    )
    .bind(columns.ids)
    .bind(columns.epochs)
    .bind(columns.outcomes)
    .bind(columns.reasons)
    .bind(columns.results)
    .bind(columns.errors)
    .execute(db)
    .await?;
    Ok(moved.rows_affected())
}

#[derive(Default)]
struct Again {
    ids: Vec<i64>,
    epochs: Vec<i32>,
    states: Vec<i16>,
    afters: Vec<Option<i64>>,
    refunds: Vec<bool>,
    errors: Vec<Option<String>>,
}

impl Again {
    fn push(
        &mut self,
        id: JobId,
        epoch: i32,
        state: i16,
        after: Option<Duration>,
        refund: bool,
        error: Option<String>,
    ) {
        self.ids.push(id.0);
        self.epochs.push(epoch);
        self.states.push(state);
        self.afters
            .push(after.map(|after| i64::try_from(after.as_micros()).unwrap_or(i64::MAX)));
        self.refunds.push(refund);
        self.errors.push(error);
    }
}

/// The newest hundred errors are kept.
async fn put_back(db: &mut PgConnection, again: Again) -> sqlx::Result<u64> {
    let updated = sqlx::query(
        r#"
        UPDATE queue.job j
        SET state = told.state,
            run_at = coalesce(now() + told.after * interval '1 microsecond', j.run_at),
            attempt = CASE WHEN told.refund THEN greatest(j.attempt - 1, 0) ELSE j.attempt END,
            errors = CASE WHEN told.error IS NULL THEN j.errors
                ELSE CASE WHEN jsonb_array_length(j.errors) >= 100 THEN j.errors - 0 ELSE j.errors END
                    || jsonb_build_object('attempt', j.attempt, 'at', now(), 'error', told.error, 'node', j.lease_by)
                END,
            lease_by = NULL,
            started_at = NULL
        FROM unnest($1::bigint[], $3::smallint[], $4::bigint[], $5::bool[], $6::text[])
            AS told (id, state, after, refund, error)
        WHERE j.id = told.id AND j.id = ANY ($1) AND j.lease_by IS NOT NULL
            AND ((j.id, j.epoch) IN (SELECT * FROM unnest($1::bigint[], $2::int[]))) IS TRUE
        "#,
    )
    .bind(again.ids)
    .bind(again.epochs)
    .bind(again.states)
    .bind(again.afters)
    .bind(again.refunds)
    .bind(again.errors)
    .execute(db)
    .await?;
    Ok(updated.rows_affected())
}
