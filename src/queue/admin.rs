//! What people see of the queue and may do to it: one set of verbs for console, API and command line.
//!
//! Every question has a time limit, lists are read page by page along an index, and counts stop at
//! [`COUNTED_TO`], so none of it can weigh on the work.

mod act;
mod explain;
mod health;
mod jobs;
mod overview;

use sqlx::{Connection, PgConnection, Postgres, Transaction};

pub use crate::history::{Partition, partitions};
pub use crate::schedule::{
    ScheduleRow, list as schedules, pause as pause_schedule, resume as resume_schedule,
};
pub use act::{Act, Refused, cancel, delete, pause_queue, resume_queue, retry};
pub use explain::{Waiting, explain};
pub use health::{DatabaseRow, database};
pub use jobs::{Cursor, Filter, JobDetail, JobRow, Listing, list, show};
pub use overview::{
    Counted, FailureRow, MinuteRow, NodeRow, QueueRow, Share, failures, nodes, queues, rates,
};

/// Counts stop here; more is shown as "10,000+".
pub const COUNTED_TO: i64 = 10_000;

/// A transaction in which no question takes longer than two seconds.
async fn question(db: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    let mut tx = db.begin().await?;
    sqlx::raw_sql("SET LOCAL statement_timeout = '2s'; SET LOCAL jit = off")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}
