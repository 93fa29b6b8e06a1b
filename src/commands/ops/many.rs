//! What is done to jobs by the thousand, in many transactions: it is in the audit log before the first of them.

use domain::actor::Act as Circumstances;
use domain::store::{Db, Tx};
use queue::admin::{self, CancelledBatch, DeadFilter, Redrive, Redriven, Refused as Unmoved};
use serde_json::json;

use super::{Sight, audit};
use crate::commands::{Refused, in_time};

/// Runs dead letters again.
pub async fn redrive(
    db: &Db,
    mut tx: Tx,
    by: &Circumstances,
    filter: &DeadFilter,
    how: Redrive,
) -> Result<Redriven, Refused> {
    // To count takes too long where there are very many; that is no reason not to do it.
    let letters = in_time(admin::count_dead(&mut tx, filter).await)?;
    let what = json!({"filter": filter, "letters": letters, "limit": how.most,
        "seconds_apart": how.every.map(|every| every.as_secs_f64())});
    audit(&mut tx, by, "dead_letters.redrive", "dead_letters", what).await?;
    tx.commit().await?;
    let mut db = db.pool().acquire().await?;
    Ok(admin::redrive(&mut db, filter, how).await?)
}

/// Removes dead letters for good; says how many.
pub async fn forget_dead(
    db: &Db,
    mut tx: Tx,
    by: &Circumstances,
    filter: &DeadFilter,
) -> Result<u64, Refused> {
    let letters = in_time(admin::count_dead(&mut tx, filter).await)?;
    let what = json!({"filter": filter, "letters": letters});
    audit(&mut tx, by, "dead_letters.forget", "dead_letters", what).await?;
    tx.commit().await?;
    let mut db = db.pool().acquire().await?;
    Ok(admin::forget_dead(&mut db, filter).await?)
}

/// Calls off a batch that is in `sight`.
pub async fn cancel_batch(
    db: &Db,
    mut tx: Tx,
    by: &Circumstances,
    sight: Sight,
    id: i64,
    reason: &str,
) -> Result<CancelledBatch, Refused> {
    let found = admin::batch(&mut tx, id).await?;
    let found = found.filter(|batch| sight.takes_in(batch.lane));
    let batch = found.ok_or(Unmoved::UnknownBatch(id))?;
    if batch.completed_at.is_some() {
        return Err(Unmoved::CompletedBatch(id).into());
    }
    let what =
        json!({"batch": id, "name": batch.name, "remaining": batch.remaining, "reason": reason});
    audit(&mut tx, by, "batch.cancel", "batch", what).await?;
    tx.commit().await?;
    let mut db = db.pool().acquire().await?;
    Ok(admin::cancel_batch(&mut db, id, reason).await?)
}
