//! Add up what was noted of jobs that ended.

use sqlx::{Connection, PgConnection};

/// Most notes that are added up at once.
const MOST: i64 = 20_000;
/// For so many hours there is a count of each minute.
const MINUTES_KEPT: i32 = 3;
/// For so many days there is a count of each hour.
const HOURS_KEPT: i32 = 8;

/// Adds up the notes, and what has grown old into coarser counts; says how many notes there were.
///
/// One process at a time: another one finds nothing to do.
pub(crate) async fn fold(db: &mut PgConnection) -> sqlx::Result<u64> {
    let mut folded = 0;
    loop {
        let mut tx = db.begin().await?;
        let mine: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtext('queue.tally'))")
                .fetch_one(&mut *tx)
                .await?;
        if !mine {
            return Ok(folded);
        }
        let notes = fold_some(&mut tx).await?;
        let last = notes < MOST;
        if last {
            coarsen(&mut tx).await?;
        }
        tx.commit().await?;
        folded += notes.unsigned_abs();
        if last {
            return Ok(folded);
        }
    }
}

async fn fold_some(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        r#"
        WITH notes AS (
            DELETE FROM queue.counter
            WHERE ctid = ANY (ARRAY (SELECT ctid FROM queue.counter LIMIT $1))
            RETURNING *
        ), sums AS (
            SELECT minute AS at, queue, outcome, sum(count) AS count FROM notes GROUP BY 1, 2, 3
            UNION ALL
            SELECT made, queue, 'made', sum(count) FROM notes GROUP BY 1, 2
        ), folded AS (
            INSERT INTO queue.tally AS t (grain, at, queue, outcome, count)
            SELECT 'minute', at, queue, outcome, count FROM sums
            ON CONFLICT (grain, at, queue, outcome) DO UPDATE SET count = t.count + excluded.count
        )
        SELECT count(*) FROM notes
        "#,
    )
    .bind(MOST)
    .fetch_one(db)
    .await
}

/// Minutes become hours and hours become the past.
async fn coarsen(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        WITH old AS (
            DELETE FROM queue.tally
            WHERE grain = 'minute' AND at < date_trunc('hour', now(), 'UTC') - make_interval(hours => $1)
            RETURNING *
        )
        INSERT INTO queue.tally AS t (grain, at, queue, outcome, count)
        SELECT 'hour', date_trunc('hour', at, 'UTC'), queue, outcome, sum(count) FROM old GROUP BY 2, 3, 4
        ON CONFLICT (grain, at, queue, outcome) DO UPDATE SET count = t.count + excluded.count
        "#,
    )
    .bind(MINUTES_KEPT)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        r#"
        WITH old AS (
            DELETE FROM queue.tally
            WHERE grain = 'hour' AND at < date_trunc('hour', now(), 'UTC') - make_interval(days => $1)
            RETURNING *
        )
        INSERT INTO queue.tally AS t (grain, at, queue, outcome, count)
        SELECT 'ever', '-infinity', queue, outcome, sum(count) FROM old GROUP BY 3, 4
        ON CONFLICT (grain, at, queue, outcome) DO UPDATE SET count = t.count + excluded.count
        "#,
    )
    .bind(HOURS_KEPT)
    .execute(db)
    .await?;
    Ok(())
}
