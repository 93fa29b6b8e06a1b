//! What people see of the queue and may do to it: one set of verbs for console, API and command line.
//!
//! Every question has a time limit, lists are read page by page along an index, and counts stop at
//! [`COUNTED_TO`], so none of it can weigh on the work.

mod act;
mod batches;
mod counts;
mod dead;
mod explain;
mod health;
mod jobs;
mod overview;
mod rules;

use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::schedule;

pub use crate::rule::{Limits, LimitsChange, LimitsError, Rate, Rule, Scope};
pub use crate::schedule::{
    BackfillError, ForgetError, ResumeError, ScheduleRow, backfill as backfill_schedule,
    backfill_preview as preview_backfill, forget as forget_schedule, pause as pause_schedule,
    resume as resume_schedule, run_now as run_schedule,
};
pub use crate::store::history::{Partition, partitions};
pub use act::{Act, Done, Refused, cancel, delete, retry, retry_edited};
pub use batches::{
    BatchFilter, BatchListing, BatchRow, CancelledBatch, batch, batches, cancel_batch,
};
pub use counts::{EndedRow, ended};
pub use dead::{DeadFilter, FailureRow, Redrive, Redriven, count_dead, dead, forget_dead, redrive};
pub use explain::{Waiting, explain};
pub use health::{DatabaseRow, database};
pub use jobs::{
    Cursor, FINISHED_STATES, Filter, JobDetail, JobRow, LIVE_STATES, Listing, list, show,
};
pub use overview::{
    Counted, FailingRow, MinuteRow, NodeRow, QueueRow, Share, failing, nodes, queues, rates,
};
pub use rules::{RuleError, change_rule, pause, resume, rules};

/// Counts stop here; more is shown as "10,000+".
pub const COUNTED_TO: i64 = 10_000;

/// Every schedule, by name.
pub async fn schedules(db: &mut PgConnection) -> sqlx::Result<Vec<ScheduleRow>> {
    let mut tx = question(db).await?;
    schedule::list(&mut tx).await
}

/// A transaction in which no question takes longer than two seconds.
///
/// A filter that was left out is no part of the plan: plans are made for what is asked.
async fn question(db: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    let mut tx = db.begin().await?;
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = '2s'; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off",
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx)
}

/// A transaction in which nothing that is done takes longer than ten seconds, waiting for others included.
pub(crate) async fn deed(db: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    let mut tx = db.begin().await?;
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = '10s'; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off",
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx)
}
