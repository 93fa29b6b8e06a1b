//! Jobs that belong together, and the one that runs when all of them have ended.

use std::time::Duration;

use queue::admin::{self, BatchFilter, BatchRow, Refused};
use queue::maintenance::Maintenance;
use queue::{Batch, BatchError, BatchId, Enqueued, JobId};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::cast::{Act, Only, Stage, count, registry, until, worker};
use crate::harness::World;

const GRACE: Duration = Duration::from_secs(20);

fn notes(count: usize) -> Vec<Act> {
    (0..count).map(|n| Act::Note(n.to_string())).collect()
}

/// A world whose days of history are ready, as they are a while after the first start of a worker.
async fn world() -> World {
    let world = World::new().await;
    let maintenance = Maintenance { keep_days: 14 };
    maintenance.once(&world.pool).await.unwrap();
    world
}

fn finale() -> Act {
    Act::Note("all done".into())
}

/// How often the job that comes after batches was enqueued.
async fn finales(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        r#"SELECT count(*) FROM (SELECT payload FROM queue.job UNION ALL SELECT payload FROM queue.job_history) every
           WHERE payload = '{"Note": "all done"}'"#,
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

async fn progress(db: &mut PgConnection, batch: BatchId) -> BatchRow {
    batch.progress(db).await.unwrap().unwrap()
}

/// State, total, remaining, done, failed, cancelled.
fn figures(batch: &BatchRow) -> (&str, [i64; 5]) {
    let BatchRow {
        total,
        remaining,
        done,
        failed,
        cancelled,
        ..
    } = *batch;
    (&batch.state, [total, remaining, done, failed, cancelled])
}

async fn children(pool: &PgPool, batch: BatchId) -> Vec<JobId> {
    sqlx::query_scalar("SELECT id FROM queue.job WHERE batch_id = $1 ORDER BY id")
        .bind(batch)
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_job_comes_after_all_of_a_batch_whatever_became_of_them() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut tx = world.pool.begin().await.unwrap();
    let lane = Uuid::from_u128(7);
    let mut jobs = notes(700);
    jobs.extend([Act::Skip, Act::Discard, Act::Give(1.into())]);
    let batch = Batch::new("sweep").lane(lane).on_complete(&finale());
    let batch = batch.enqueue(&mut tx, jobs).await.unwrap();
    let begun = progress(&mut tx, batch).await;
    assert_eq!(figures(&begun), ("sealed", [703, 703, 0, 0, 0]));
    tx.commit().await.unwrap();

    let running = worker(&world, &stage, 4).await;
    stage.until(701).await;
    running.stop(GRACE).await;

    assert_eq!(stage.notes().last().unwrap(), "all done");
    assert_eq!(finales(&world.pool).await, 1);
    let mut db = world.pool.acquire().await.unwrap();
    let ended = progress(&mut db, batch).await;
    assert_eq!(figures(&ended), ("completed", [703, 0, 702, 1, 0]));
    assert_eq!(
        (ended.lane, ended.on_complete.as_deref()),
        (Some(lane), Some("act"))
    );
    let after = ended.completed_job.unwrap();
    let after = admin::show(&mut db, after).await.unwrap().unwrap();
    assert_eq!(after.job.state, "completed");

    // A dead letter that is run again runs for itself.
    let dead: i64 =
        sqlx::query_scalar("SELECT id FROM queue.job_history WHERE outcome = 'discarded'")
            .fetch_one(&mut *db)
            .await
            .unwrap();
    admin::retry(&mut db, dead).await.unwrap();
    queue::drain(&world.pool, &registry(), &stage)
        .await
        .unwrap();
    assert_eq!(finales(&world.pool).await, 1);
    assert_eq!(progress(&mut db, batch).await, ended);
}

#[tokio::test]
async fn a_batch_is_part_of_the_transaction_that_makes_it() {
    let world = World::new().await;
    let mut tx = world.pool.begin().await.unwrap();
    let batch = Batch::new("sweep").on_complete(&finale());
    let batch = batch.enqueue(&mut tx, notes(3)).await.unwrap();
    tx.rollback().await.unwrap();
    let mut db = world.pool.acquire().await.unwrap();
    assert_eq!(batch.progress(&mut db).await.unwrap(), None);
    assert_eq!(count(&world.pool).await, 0);

    // One without jobs completes at once.
    let none = Batch::new("none").on_complete(&finale());
    let none = none.enqueue(&mut db, notes(0)).await.unwrap();
    assert_eq!(progress(&mut db, none).await.state, "completed");
    assert_eq!(finales(&world.pool).await, 1);
}

#[tokio::test]
async fn jobs_are_added_over_many_transactions_until_the_batch_is_sealed() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let batch = Batch::new("import").open(&mut db).await.unwrap();
    batch.on_complete(&mut db, &finale()).await.unwrap();
    assert_eq!(batch.add(&mut db, &notes(2)).await.unwrap(), 2);
    queue::drain(&world.pool, &registry(), &stage)
        .await
        .unwrap();
    let open = progress(&mut db, batch).await;
    assert_eq!(figures(&open), ("open", [2, 0, 2, 0, 0]));

    // A job that is there already is none of the batch.
    let only = |text: &str| Only {
        number: 1,
        text: text.into(),
    };
    let one = batch.add_one(&mut db, queue::job(&only("a"))).await;
    assert!(matches!(one.unwrap(), Enqueued::New(_)));
    let two = batch.add_one(&mut db, queue::job(&only("b"))).await;
    assert!(matches!(two.unwrap(), Enqueued::Exists(_)));
    assert_eq!(batch.add(&mut db, &[only("c")]).await.unwrap(), 0);
    assert_eq!(batch.add(&mut db, &notes(300)).await.unwrap(), 300);
    queue::drain(&world.pool, &registry(), &stage)
        .await
        .unwrap();
    assert_eq!(finales(&world.pool).await, 0, "it is open");

    batch.seal(&mut db).await.unwrap();
    let sealed = progress(&mut db, batch).await;
    assert_eq!(figures(&sealed), ("completed", [303, 0, 303, 0, 0]));
    assert_eq!(finales(&world.pool).await, 1);
    for refused in [
        batch.seal(&mut db).await.unwrap_err(),
        batch.add(&mut db, &notes(1)).await.unwrap_err(),
        batch.on_complete(&mut db, &finale()).await.unwrap_err(),
        BatchId(99).seal(&mut db).await.unwrap_err(),
    ] {
        assert!(matches!(refused, BatchError::NotOpen(_)), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_adds_for_long_holds_up_the_sealing_and_nobody_else() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let batch = Batch::new("import").on_complete(&finale());
    let batch = batch.open(&mut db).await.unwrap();
    batch.add(&mut db, &notes(2)).await.unwrap();
    let mut adding = world.pool.begin().await.unwrap();
    batch.add(&mut adding, &notes(1)).await.unwrap();

    // Jobs end meanwhile.
    queue::drain(&world.pool, &registry(), &stage)
        .await
        .unwrap();
    assert_eq!(progress(&mut db, batch).await.remaining, 0);
    let mut sealing = world.pool.acquire().await.unwrap();
    let sealing = tokio::spawn(async move { batch.seal(&mut sealing).await });
    until(
        &world.pool,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())",
    )
    .await;
    adding.commit().await.unwrap();
    sealing.await.unwrap().unwrap();

    let sealed = progress(&mut db, batch).await;
    assert_eq!(figures(&sealed), ("sealed", [3, 1, 2, 0, 0]));
    queue::drain(&world.pool, &registry(), &stage)
        .await
        .unwrap();
    assert_eq!(progress(&mut db, batch).await.state, "completed");
    assert_eq!(finales(&world.pool).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_called_off_completes_when_what_ran_has_stopped() {
    let world = world().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let batch = Batch::new("sweep").on_complete(&finale());
    let batch = batch.open(&mut db).await.unwrap();
    batch.add(&mut db, &[Act::Heed]).await.unwrap();
    let running = worker(&world, &stage, 1).await;
    stage.until(1).await;
    batch.add(&mut db, &notes(1500)).await.unwrap();
    let later = queue::job(&Act::Skip).after(Duration::from_secs(3600));
    batch.add_one(&mut db, later).await.unwrap();

    let done = admin::cancel_batch(&mut db, batch.0, "not wanted")
        .await
        .unwrap();

    // The worker has a few in its hands that it has not begun; they were asked, too.
    assert_eq!(done.cancelled + done.asked, 1502, "{done:?}");
    assert!(done.asked >= 1, "{done:?}");
    until(
        &world.pool,
        "SELECT completed_at IS NOT NULL FROM queue.batch",
    )
    .await;
    until(&world.pool, "SELECT NOT EXISTS (SELECT FROM queue.job)").await;
    running.stop(GRACE).await;
    let ended = progress(&mut db, batch).await;
    assert_eq!((ended.total, ended.remaining), (1502, 0));
    assert_eq!(ended.done + ended.cancelled, 1502);
    assert!(
        ended.cancelled >= done.cancelled.cast_signed() && ended.failed == 0,
        "{ended:?}"
    );
    assert_eq!(finales(&world.pool).await, 1);

    let again = admin::cancel_batch(&mut db, batch.0, "again").await;
    assert!(matches!(again, Err(Refused::CompletedBatch(_))));
    let unknown = admin::cancel_batch(&mut db, 99, "again").await;
    assert!(matches!(unknown, Err(Refused::UnknownBatch(99))));
}

#[tokio::test]
async fn jobs_that_people_take_out_have_ended() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let batch = Batch::new("sweep").on_complete(&finale());
    let batch = batch.enqueue(&mut db, notes(2)).await.unwrap();
    let jobs = children(&world.pool, batch).await;
    admin::cancel(&mut db, jobs[0].0, "no").await.unwrap();
    let one = progress(&mut db, batch).await;
    assert_eq!(figures(&one), ("sealed", [2, 1, 0, 0, 1]));
    admin::delete(&mut db, jobs[1].0).await.unwrap();
    let both = progress(&mut db, batch).await;
    assert_eq!(figures(&both), ("completed", [2, 0, 0, 0, 2]));
    assert_eq!(finales(&world.pool).await, 1);
}

#[tokio::test]
async fn batches_are_listed_page_by_page() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let lane = Uuid::from_u128(7);
    for number in 0..5 {
        let batch = Batch::new(format!("batch {number}"));
        let batch = if number % 2 == 0 {
            batch.lane(lane)
        } else {
            batch
        };
        let jobs = notes(usize::from(number > 1));
        batch.enqueue(&mut db, jobs).await.unwrap();
    }
    let mut ids = async |filter: BatchFilter, below| {
        let page = admin::batches(&mut db, filter, below).await.unwrap();
        let ids: Vec<i64> = page.items.iter().map(|batch| batch.id).collect();
        (ids, page.next)
    };
    let two = BatchFilter {
        limit: Some(2),
        ..BatchFilter::default()
    };
    assert_eq!(ids(two, None).await, (vec![5, 4], Some(4)));
    assert_eq!(ids(two, Some(4)).await, (vec![3, 2], Some(2)));
    assert_eq!(ids(two, Some(2)).await, (vec![1], None));
    let unfinished = BatchFilter {
        unfinished: true,
        ..BatchFilter::default()
    };
    assert_eq!(ids(unfinished, None).await, (vec![5, 4, 3], None));
    let theirs = BatchFilter {
        lane: Some(lane),
        ..BatchFilter::default()
    };
    assert_eq!(ids(theirs, None).await, (vec![5, 3, 1], None));
}

/// Workers that end jobs of many batches at once, while people take jobs out and batches are filled and sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_the_ends_of_many_batches_fall_together_each_completes_once_and_none_waits_for_another()
 {
    const BATCHES: usize = 40;
    const JOBS: usize = 60;
    let world = world().await;
    let (one, other) = (Stage::default(), Stage::default());
    let mut db = world.pool.acquire().await.unwrap();
    let mut batches = Vec::new();
    for number in 0..BATCHES {
        let batch = Batch::new(number.to_string()).on_complete(&finale());
        batches.push(batch.open(&mut db).await.unwrap());
    }
    let workers = [
        worker(&world, &one, 6).await,
        worker(&world, &other, 6).await,
    ];
    let add = async |order: i64| {
        let mut db = PgConnection::connect(world.database_url()).await.unwrap();
        for round in 0..JOBS as i64 {
            let batch = batches[(order * 17 + round * 7).rem_euclid(BATCHES as i64) as usize];
            batch.add(&mut db, &notes(10)).await.unwrap();
        }
    };
    let take_out = async {
        let mut db = PgConnection::connect(world.database_url()).await.unwrap();
        for _ in 0..JOBS {
            let some: Option<i64> = sqlx::query_scalar(
                "SELECT id FROM queue.job WHERE state = 0 ORDER BY random() LIMIT 1",
            )
            .fetch_optional(&mut db)
            .await
            .unwrap();
            let Some(job) = some else { continue };
            match admin::cancel(&mut db, job, "no").await {
                Ok(_) | Err(Refused::Finished(_) | Refused::Unknown(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::join!(add(0), add(1), add(2), take_out);
    for batch in &batches {
        batch.seal(&mut db).await.unwrap();
    }
    until(
        &world.pool,
        "SELECT NOT EXISTS (SELECT FROM queue.batch WHERE completed_at IS NULL) AND NOT EXISTS (SELECT FROM queue.job)",
    )
    .await;
    for worker in workers {
        worker.stop(GRACE).await;
    }
    assert_eq!(finales(&world.pool).await, BATCHES as i64);
    let (total, ended, remaining): (i64, i64, i64) = sqlx::query_as(
        "SELECT sum(total)::bigint, (SELECT count(*) FROM queue.job_history WHERE batch_id IS NOT NULL),
            sum(remaining)::bigint FROM queue.batch",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((total, ended, remaining), (3 * JOBS as i64 * 10, total, 0));
    let deadlocks: i64 = sqlx::query_scalar(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(deadlocks, 0);
}
