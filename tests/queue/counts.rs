//! What ended is counted when it ends, and looking at it costs the same however much there is.

use std::time::Duration;

use queue::admin::{
    self, BackfillError, DeadFilter, EndedRow, Filter, ResumeError, RuleError, Scope, Share,
};
use queue::enqueue_many;
use queue::maintenance::Maintenance;
use queue::schedule::Schedule;
use sqlx::{Connection, PgConnection, PgPool};

use super::cast::{Act, Stage, registry, until, worker};
use crate::harness::World;

const KEEP: Maintenance = Maintenance { keep_days: 14 };

async fn ended(world: &World) -> Vec<(String, i64, i64, i64)> {
    let mut db = world.pool.acquire().await.unwrap();
    let rows = admin::ended(&mut db).await.unwrap();
    rows.into_iter()
        .map(|row: EndedRow| (row.outcome, row.last_hour, row.last_day, row.ever))
        .collect()
}

fn all(outcome: &str, count: i64) -> (String, i64, i64, i64) {
    (outcome.to_owned(), count, count, count)
}

async fn notes(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM queue.counter")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_is_counted_once_before_and_after_the_notes_are_added_up() {
    let world = World::new().await;
    let stage = Stage::default();
    let mut db = world.pool.acquire().await.unwrap();
    let mut jobs: Vec<Act> = (0..3000).map(|n| Act::Note(n.to_string())).collect();
    jobs.extend([Act::Skip, Act::Skip, Act::Discard]);
    enqueue_many(&mut db, &jobs).await.unwrap();
    let called_off = queue::job(&Act::Skip).after(Duration::from_secs(3600));
    let called_off = called_off.enqueue(&mut db).await.unwrap().id();
    let running = worker(&world, &stage, 8).await;
    stage.until(3000).await;
    admin::cancel(&mut db, called_off.0, "no").await.unwrap();
    until(&world.pool, "SELECT NOT EXISTS (SELECT FROM queue.job)").await;
    running.stop(Duration::from_secs(20)).await;
    // A worker adds up when it starts; what it did since then is in the notes.
    assert!(notes(&world.pool).await > 0);

    let counted = [
        all("cancelled", 1),
        all("completed", 3000),
        all("discarded", 1),
        all("skipped", 2),
    ];
    assert_eq!(ended(&world).await, counted);
    let share = Share::default();
    let before = admin::rates(&mut db, share).await.unwrap();
    let rounds = (0..4).map(|_| KEEP.once(&world.pool));
    for round in futures::future::join_all(rounds).await {
        round.unwrap();
    }
    assert_eq!(notes(&world.pool).await, 0);
    assert_eq!(ended(&world).await, counted);
    let after = admin::rates(&mut db, share).await.unwrap();
    assert_eq!(after[1..], before[before.len() - after.len() + 1..]);
    let sum = |of: fn(&admin::MinuteRow) -> i64| after.iter().map(of).sum::<i64>();
    let sums = [sum(|m| m.made), sum(|m| m.done), sum(|m| m.discarded)];
    assert_eq!(sums, [3004, 3002, 1]);
}

#[tokio::test]
async fn what_grows_old_is_counted_by_the_hour_and_then_as_one() {
    let world = World::new().await;
    sqlx::query(
        "INSERT INTO queue.counter (queue, outcome, minute, made, count)
         SELECT 'stage', 'completed', date_trunc('minute', now() - ago), date_trunc('minute', now() - ago), 1
         FROM unnest(ARRAY[interval '5 minutes', '59 minutes', '70 minutes', '5 hours', '23 hours', '26 hours', '7 days',
            '20 days', '21 days']) ago",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let counted = [("completed".to_owned(), 2, 5, 9)];
    assert_eq!(ended(&world).await, counted);

    KEEP.once(&world.pool).await.unwrap();

    assert_eq!(ended(&world).await, counted);
    let grains: Vec<(String, i64)> = sqlx::query_as(
        "SELECT grain, sum(count)::bigint FROM queue.tally WHERE outcome = 'completed' GROUP BY grain ORDER BY grain",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let grain = |name: &str, count: i64| (name.to_owned(), count);
    assert_eq!(
        grains,
        [grain("ever", 2), grain("hour", 4), grain("minute", 3)]
    );
}

/// What was read of the queue's tables so far, as the database counts it: rows in the order of the table, and blocks.
async fn reads(world: &World) -> (i64, i64) {
    sqlx::query_as(
        "SELECT sum(seq_tup_read)::bigint, sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
         FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid)
         WHERE pg_stat_user_tables.schemaname = 'queue' AND pg_stat_user_tables.relname ~ '^job'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

/// Waits until a connection is gone: what it read is counted then.
async fn is_gone(world: &World, pid: i32) {
    let there = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
    let gone = async {
        while sqlx::query_scalar(there)
            .bind(pid)
            .fetch_one(&world.pool)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(30), gone).await;
    gone.expect("a closed connection goes");
}

/// A connection of its own, and its process.
async fn apart(world: &World) -> (PgConnection, i32) {
    let mut db = PgConnection::connect(world.database_url()).await.unwrap();
    let ask = sqlx::query_scalar("SELECT pg_backend_pid()");
    let pid = ask.fetch_one(&mut db).await.unwrap();
    (db, pid)
}

/// Asks everything that pages ask, on a connection of its own: rows read in the order of the table, and blocks.
async fn cost(world: &World) -> (i64, i64) {
    let before = reads(world).await;
    let (mut db, me) = apart(world).await;
    let dead = Filter {
        finished: true,
        state: Some("discarded".into()),
        ..Filter::default()
    };
    let finished = Filter {
        finished: true,
        ..Filter::default()
    };
    for filter in [Filter::default(), finished, dead] {
        let page = admin::list(&mut db, &filter, None).await.unwrap();
        let next = admin::list(&mut db, &filter, page.next).await.unwrap();
        assert_eq!(next.items.len(), 50, "{filter:?}");
    }
    admin::ended(&mut db).await.unwrap();
    admin::rates(&mut db, Share::default()).await.unwrap();
    admin::queues(&mut db).await.unwrap();
    admin::dead(&mut db, &DeadFilter::default()).await.unwrap();
    db.close().await.unwrap();
    is_gone(world, me).await;
    let after = reads(world).await;
    (after.0 - before.0, after.1 - before.1)
}

/// So many live jobs and finished ones over the last days, the newest two hundred of which are dead letters.
async fn fill(world: &World, from: i64, to: i64) {
    let (mut db, me) = apart(world).await;
    sqlx::query(
        "INSERT INTO queue.job (queue, kind, state, run_at, payload, max_attempts)
         SELECT 'stage', 'act', CASE WHEN n % 2 = 0 THEN 0 ELSE 1 END, now() + n * interval '1 ms', '\"Skip\"', 3
         FROM generate_series($1::bigint, $2) n",
    )
    .bind(from)
    .bind(to)
    .execute(&mut db)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO queue.job_history (id, queue, kind, version, priority, payload, attempt, max_attempts, created_at,
            finished_at, outcome, fingerprint)
         SELECT n + 100000000, 'stage', 'act', 1, 0, '\"Skip\"', 1, 3, now(),
            now() - ($2 - n) * interval '1 second', CASE WHEN n > $2 - 200 THEN 'discarded' ELSE 'completed' END, 7
         FROM generate_series($1::bigint, $2) n",
    )
    .bind(from)
    .bind(to)
    .execute(&mut db)
    .await
    .unwrap();
    for table in [
        "VACUUM ANALYZE queue.job",
        "VACUUM ANALYZE queue.job_history",
    ] {
        sqlx::raw_sql(table).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
    is_gone(world, me).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_counts_cost_the_same_however_many_jobs_there_are() {
    let world = World::new().await;
    sqlx::raw_sql(
        "ALTER TABLE queue.job SET (autovacuum_enabled = off); -- its reads would be counted
         SELECT queue.make_history_partition((now() AT TIME ZONE 'UTC')::date - ago) FROM generate_series(0, 5) ago;",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    fill(&world, 1, 30_000).await;
    let few = cost(&world).await;
    fill(&world, 30_001, 300_000).await;
    let many = cost(&world).await;
    println!("30,000: {few:?}; 300,000: {many:?}");
    // Counts of one state stop at 10,000, and every other row is of another.
    assert!(many.0 <= 40_100, "{many:?}");
    assert!(
        many.1 < few.1 * 2,
        "{many:?} blocks, and {few:?} of a tenth"
    );
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_given_up() {
    let world = World::new().await;
    let mut db = world.pool.acquire().await.unwrap();
    let jobs: Vec<Act> = vec![Act::Skip];
    enqueue_many(&mut db, &jobs).await.unwrap();
    queue::drain(&world.pool, &registry(), &Stage::default())
        .await
        .unwrap();
    let mut held = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE queue.tally, queue.batch, queue.job_history, queue.schedule, queue.job, queue.node")
        .execute(&mut *held)
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let mut given_up = Vec::new();
    let code = |error: sqlx::Error| {
        error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned()
    };
    given_up.push(admin::ended(&mut db).await.map(drop).map_err(code));
    given_up.push(admin::batch(&mut db, 1).await.map(drop).map_err(code));
    given_up.push(
        admin::dead(&mut db, &DeadFilter::default())
            .await
            .map(drop)
            .map_err(code),
    );
    given_up.push(
        admin::count_dead(&mut db, &DeadFilter::default())
            .await
            .map(drop)
            .map_err(code),
    );
    given_up.push(admin::schedules(&mut db).await.map(drop).map_err(code));
    given_up.push(
        admin::rates(&mut db, Share::default())
            .await
            .map(drop)
            .map_err(code),
    );
    given_up.push(admin::queues(&mut db).await.map(drop).map_err(code));
    given_up.push(admin::nodes(&mut db).await.map(drop).map_err(code));
    given_up.push(
        admin::list(&mut db, &Filter::default(), None)
            .await
            .map(drop)
            .map_err(code),
    );
    given_up.push(admin::show(&mut db, 1).await.map(drop).map_err(code));
    given_up.push(admin::explain(&mut db, 1).await.map(drop).map_err(code));
    let cancelled = Err("57014".to_owned());
    assert_eq!(given_up, vec![cancelled; 11]);
    assert!(began.elapsed() < Duration::from_secs(60));
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn a_deed_that_waits_too_long_is_given_up() {
    let world = World::new().await;
    let mut held = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE queue.rule, queue.schedule, queue.schedule_tick")
        .execute(&mut *held)
        .await
        .unwrap();
    let nightly = Schedule::doing("nightly", |_, _| Box::pin(async { Ok(()) })).daily_at(3, 0);
    let to = world.clock.now();
    let from = to - chrono::TimeDelta::days(1);
    let db = async || world.pool.acquire().await.unwrap();

    let limit = async {
        match admin::pause(&mut *db().await, Scope::Queue, "mail").await {
            Err(RuleError::Database(error)) => Some(error),
            _ => None,
        }
    };
    let pause = async {
        admin::pause_schedule(&mut *db().await, "nightly")
            .await
            .err()
    };
    let resume = async {
        match admin::resume_schedule(&mut *db().await, "nightly").await {
            Err(ResumeError::Database(error)) => Some(error),
            _ => None,
        }
    };
    let run = async {
        let ran = admin::run_schedule(&mut *db().await, &nightly).await;
        ran.err()?.downcast::<sqlx::Error>().ok()
    };
    let backfill = async {
        match admin::backfill_schedule(&mut *db().await, &nightly, from, to).await {
            Err(BackfillError::Database(error)) => Some(error),
            _ => None,
        }
    };
    let all = async { tokio::join!(limit, pause, resume, run, backfill) };
    let all = tokio::time::timeout(Duration::from_secs(60), Box::pin(all)).await;
    let (limit, pause, resume, run, backfill) = all.expect("nothing waits for ever");

    for (deed, error) in [
        ("limit", limit),
        ("pause", pause),
        ("resume", resume),
        ("run", run),
        ("backfill", backfill),
    ] {
        let error = error.unwrap_or_else(|| panic!("{deed} should be given up"));
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("57014"), "{deed}");
    }
    held.rollback().await.unwrap();
}
