//! A tick happens once: many processes, kills, outages, new definitions, and what ops do.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use futures::future::join_all;
use queue::schedule::{self, BackfillError, CatchUp, Schedule, ScheduleError, Ticker, tick};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::cast::until;
use crate::harness::World;
use crate::processes::proxy::Line;

/// What jobs would be: a row per firing, in the tick's transaction, and no key that would hide a second one.
async fn world() -> World {
    let world = World::new().await;
    sqlx::query("CREATE TABLE fired (name text, due timestamptz)")
        .execute(&world.pool)
        .await
        .unwrap();
    world
}

fn recording(name: &'static str) -> Schedule {
    Schedule::doing(name, move |db, due| {
        Box::pin(async move {
            let insert = sqlx::query("INSERT INTO fired VALUES ($1, $2)");
            insert.bind(name).bind(due).execute(db).await?;
            Ok(())
        })
    })
}

async fn fired(world: &World, name: &str) -> Vec<DateTime<Utc>> {
    sqlx::query_scalar("SELECT due FROM fired WHERE name = $1 ORDER BY due")
        .bind(name)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

async fn now(world: &World) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// As if no process had run since the tick at `due`.
async fn outage_since(world: &World, name: &str, due: DateTime<Utc>) {
    sqlx::query("UPDATE queue.schedule SET next_due = $2 WHERE name = $1")
        .bind(name)
        .bind(due)
        .execute(&world.pool)
        .await
        .unwrap();
}

/// The last `count` times at which `schedule` was due, and then none for at least a minute.
async fn past(world: &World, schedule: &Schedule, count: usize) -> Vec<DateTime<Utc>> {
    let cadence = schedule.cadence().unwrap();
    let now = now(world).await;
    let mut at = now - TimeDelta::days(40);
    let mut past = Vec::new();
    while let Some(next) = cadence.next(at).filter(|next| *next <= now) {
        past.push(next);
        at = next;
    }
    past.split_off(past.len() - count)
}

/// Connections of a process of its own.
async fn process(world: &World) -> PgPool {
    let options = PgPoolOptions::new().max_connections(2);
    options.connect(world.database_url()).await.unwrap()
}

async fn define(world: &World, schedules: &[Schedule]) {
    let ticker = Ticker::new(schedules.to_vec()).unwrap();
    ticker.define(&world.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_across_due_times_is_made_up_for_once_by_any_number_of_processes() {
    let world = world().await;
    let all = CatchUp::All(10);
    let schedules = vec![
        recording("rescore").daily_at(3, 0).catch_up(all),
        recording("remind")
            .daily_at(8, 0)
            .zone(Tz::Europe__Berlin)
            .catch_up(all),
        recording("often").every(1).catch_up(CatchUp::Latest),
    ];
    define(&world, &schedules).await;
    let rescore = past(&world, &schedules[0], 4).await;
    let remind = past(&world, &schedules[1], 3).await;
    outage_since(&world, "rescore", rescore[0]).await;
    outage_since(&world, "remind", remind[0]).await;

    let processes = join_all((0..5).map(|_| process(&world))).await;
    for _ in 0..4 {
        let ticks = processes.iter().map(|pool| tick(pool, &schedules));
        for ticked in join_all(ticks).await {
            assert_eq!(ticked.unwrap().failed, Vec::<String>::new());
        }
    }

    assert_eq!(fired(&world, "rescore").await, rescore);
    assert_eq!(fired(&world, "remind").await, remind);
}

#[tokio::test]
async fn what_becomes_of_missed_ticks_is_the_schedules_to_say() {
    let world = world().await;
    let schedules = vec![
        recording("skip").daily_at(3, 0).catch_up(CatchUp::Skip),
        recording("latest").daily_at(3, 0).catch_up(CatchUp::Latest),
        recording("two").daily_at(3, 0).catch_up(CatchUp::All(2)),
    ];
    define(&world, &schedules).await;
    let due = past(&world, &schedules[0], 4).await;
    for schedule in &schedules {
        outage_since(&world, schedule.name(), due[0]).await;
    }

    tick(&world.pool, &schedules).await.unwrap();

    // Within five minutes of the last one it is no missed tick but one that is late.
    let is_late = now(&world).await - due[3] > TimeDelta::minutes(5);
    let skip = if is_late { &[][..] } else { &due[3..] };
    assert_eq!(fired(&world, "skip").await, skip);
    assert_eq!(fired(&world, "latest").await, due[3..]);
    assert_eq!(fired(&world, "two").await, due[2..]);
    let mut db = world.pool.acquire().await.unwrap();
    let rows = schedule::list(&mut db).await.unwrap();
    let missed: Vec<(&str, i64)> = rows.iter().map(|row| (&*row.name, row.missed)).collect();
    let skipped = 4 - i64::try_from(skip.len()).unwrap();
    assert_eq!(missed, [("latest", 3), ("skip", skipped), ("two", 2)]);
    assert!(rows.iter().all(|row| row.next_due > Some(due[3])));
}

/// A single connection by way of `line`, made and idle.
pub(super) async fn single(line: &Line) -> PgPool {
    let options = PgPoolOptions::new().max_connections(1);
    let options = options.test_before_acquire(false);
    options.connect(&line.url).await.unwrap()
}

#[tokio::test]
async fn a_line_that_falls_silent_keeps_no_tick_waiting() {
    let world = world().await;
    let schedules = vec![recording("rescore").daily_at(3, 0)];
    define(&world, &schedules).await;
    let due = past(&world, &schedules[0], 1).await;
    outage_since(&world, "rescore", due[0]).await;

    let line = Line::to(world.database_url()).await;
    let pool = single(&line).await;
    line.fall_silent();
    let stop = CancellationToken::new();
    let ticker = Ticker::new(schedules).unwrap().run(pool, stop.clone());
    let fires = async {
        let fired = "SELECT EXISTS (SELECT FROM fired)";
        until(&world.pool, fired).await;
        stop.cancel();
    };
    tokio::join!(ticker, fires);
    assert_eq!(fired(&world, "rescore").await, due);
}

#[tokio::test]
async fn a_line_that_falls_silent_as_it_comes_back_to_its_pool_is_no_longer_of_it() {
    let world = world().await;
    let schedules = [recording("rescore").daily_at(3, 0)];
    let line = Line::to(world.database_url()).await;
    let pool = single(&line).await;
    line.fall_silent_when_touched();
    let ticker = Ticker::new(schedules.to_vec()).unwrap();
    ticker.define(&pool).await.unwrap();
    let due = past(&world, &schedules[0], 1).await;
    outage_since(&world, "rescore", due[0]).await;

    let ticked = tick(&pool, &schedules).await.unwrap();

    assert_eq!(ticked.fired, [("rescore".to_owned(), due[0])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_at_a_tick_leaves_it_to_another() {
    let world = world().await;
    let written = Arc::new(Notify::new());
    let told = written.clone();
    let killed = Schedule::doing("rescore", move |db, due| {
        let told = told.clone();
        Box::pin(async move {
            let insert = sqlx::query("INSERT INTO fired VALUES ('rescore', $1)");
            insert.bind(due).execute(db).await?;
            told.notify_one();
            std::future::pending().await
        })
    })
    .daily_at(3, 0);
    let other = [recording("rescore").daily_at(3, 0)];
    define(&world, &other).await;
    let due = past(&world, &other[0], 1).await;
    outage_since(&world, "rescore", due[0]).await;

    let pool = process(&world).await;
    let held = tokio::spawn(async move { tick(&pool, &[killed]).await });
    written.notified().await;
    let meanwhile = tokio::time::timeout(Duration::from_secs(20), tick(&world.pool, &other));
    let meanwhile = meanwhile.await.expect("no process waits for another");
    assert_eq!(meanwhile.unwrap().fired, []);
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());

    let fires = async { while tick(&world.pool, &other).await.unwrap().fired.is_empty() {} };
    tokio::time::timeout(Duration::from_secs(20), fires)
        .await
        .unwrap();
    assert_eq!(fired(&world, "rescore").await, due);
}

#[tokio::test]
async fn one_that_fails_is_tried_again_and_holds_up_no_other() {
    let world = world().await;
    let failing = Schedule::doing("failing", |_, _| {
        Box::pin(async { Err(anyhow::anyhow!("no")) })
    });
    let schedules = vec![failing.daily_at(3, 0), recording("fine").daily_at(3, 0)];
    define(&world, &schedules).await;
    let due = past(&world, &schedules[0], 1).await;
    for name in ["failing", "fine"] {
        outage_since(&world, name, due[0]).await;
    }

    let first = tick(&world.pool, &schedules).await.unwrap();
    let again = tick(&world.pool, &schedules).await.unwrap();

    assert_eq!(first.failed, ["failing"]);
    assert_eq!(first.fired, [("fine".to_owned(), due[0])]);
    assert_eq!(
        (again.failed, again.fired),
        (vec!["failing".to_owned()], vec![])
    );
    let ticks: i64 =
        sqlx::query_scalar("SELECT count(*) FROM queue.schedule_tick WHERE name = 'failing'")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(ticks, 0);
}

#[tokio::test]
async fn a_new_definition_holds_from_now_on_and_the_old_one_no_longer_fires() {
    let world = world().await;
    let old = [recording("rescore").every(1)];
    define(&world, &old).await;
    let due = past(&world, &old[0], 1).await;
    outage_since(&world, "rescore", due[0]).await;
    tick(&world.pool, &old).await.unwrap();
    let before = fired(&world, "rescore").await;

    let new = [recording("rescore").daily_at(3, 0)];
    define(&world, &new).await;
    let next = new[0].cadence().unwrap().next(now(&world).await);
    let mut db = world.pool.acquire().await.unwrap();
    let row = schedule::list(&mut db).await.unwrap().remove(0);
    assert_eq!((row.cadence.as_str(), row.next_due), ("0 3 * * *", next));
    tick(&world.pool, &new).await.unwrap();
    assert_eq!(fired(&world, "rescore").await, before);

    outage_since(&world, "rescore", past(&world, &new[0], 1).await[0]).await;
    tick(&world.pool, &old).await.unwrap();
    assert_eq!(fired(&world, "rescore").await, before);
    tick(&world.pool, &new).await.unwrap();
    assert_eq!(fired(&world, "rescore").await.len(), before.len() + 1);
}

#[tokio::test]
async fn a_paused_schedule_is_silent_and_makes_up_for_nothing() {
    let world = world().await;
    let schedules = [recording("rescore").daily_at(3, 0)];
    define(&world, &schedules).await;
    let mut db = world.pool.acquire().await.unwrap();

    assert!(schedule::pause(&mut db, "rescore").await.unwrap());
    assert!(!schedule::pause(&mut db, "other").await.unwrap());
    outage_since(&world, "rescore", past(&world, &schedules[0], 1).await[0]).await;
    tick(&world.pool, &schedules).await.unwrap();
    assert!(schedule::resume(&mut db, "rescore").await.unwrap());
    tick(&world.pool, &schedules).await.unwrap();

    assert!(fired(&world, "rescore").await.is_empty());
    let row = schedule::list(&mut db).await.unwrap().remove(0);
    assert!(!row.paused && row.next_due > Some(now(&world).await));
    assert_eq!(row.described, "at 03:00 every day (UTC)");
    assert_eq!(row.next_three.len(), 3);
}

#[tokio::test]
async fn ops_run_one_now_and_fill_in_what_never_fired() {
    let world = world().await;
    let daily = recording("rescore").daily_at(3, 0);
    define(&world, std::slice::from_ref(&daily)).await;
    let due = past(&world, &daily, 3).await;
    let mut db = world.pool.acquire().await.unwrap();
    outage_since(&world, "rescore", due[2]).await;
    tick(&world.pool, std::slice::from_ref(&daily))
        .await
        .unwrap();

    let span = (due[0], now(&world).await);
    let preview = schedule::backfill_preview(&mut db, &daily, span.0, span.1)
        .await
        .unwrap();
    assert_eq!(preview, due[..2]);
    assert_eq!(fired(&world, "rescore").await, due[2..]);
    let filled = schedule::backfill(&mut db, &daily, span.0, span.1)
        .await
        .unwrap();
    assert_eq!(filled, due[..2]);
    let again = schedule::backfill(&mut db, &daily, span.0, span.1)
        .await
        .unwrap();
    assert!(again.is_empty());
    assert_eq!(fired(&world, "rescore").await, due);

    let ran = schedule::run_now(&mut db, &daily).await.unwrap();
    assert_eq!(fired(&world, "rescore").await.last(), Some(&ran));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_filled_in_by_many_at_once_while_the_plan_goes_on_has_one_row_a_tick() {
    let world = world().await;
    let often = [recording("often").every(5).catch_up(CatchUp::All(100))];
    define(&world, &often).await;
    let due = past(&world, &often[0], 40).await;
    outage_since(&world, "often", due[20]).await;
    let processes = join_all((0..4).map(|_| process(&world))).await;
    // What falls due meanwhile is not the concern of this span.
    let (from, to) = (due[0], due[39]);

    let fills = processes.iter().map(|pool| async {
        let mut db = pool.acquire().await.unwrap();
        let filled = schedule::backfill(&mut db, &often[0], from, to).await;
        filled.unwrap().len()
    });
    let ticks = processes.iter().map(|pool| tick(pool, &often));
    let (filled, ticked) = tokio::join!(join_all(fills), join_all(ticks));

    assert!(
        ticked
            .iter()
            .all(|ticked| ticked.as_ref().unwrap().failed.is_empty())
    );
    let rows = fired(&world, "often").await;
    let of_the_span: Vec<_> = rows.into_iter().filter(|at| *at <= to).collect();
    assert_eq!(of_the_span, due);
    assert!(filled.iter().sum::<usize>() >= 20, "{filled:?}");
}

#[tokio::test]
async fn one_that_is_paused_is_run_and_filled_in_when_asked_and_goes_on_as_planned() {
    let world = world().await;
    let daily = [recording("rescore")
        .daily_at(3, 0)
        .catch_up(CatchUp::All(9))];
    define(&world, &daily).await;
    let due = past(&world, &daily[0], 2).await;
    let mut db = world.pool.acquire().await.unwrap();
    let planned = schedule::list(&mut db).await.unwrap()[0].next_due;

    schedule::pause(&mut db, "rescore").await.unwrap();
    let ran = schedule::run_now(&mut db, &daily[0]).await.unwrap();
    let filled = schedule::backfill(&mut db, &daily[0], due[0], DateTime::<Utc>::MAX_UTC).await;
    assert_eq!(filled.unwrap(), due);
    let row = schedule::list(&mut db).await.unwrap().remove(0);
    assert!(row.paused && row.next_due == planned && row.last_due.is_none());
    schedule::resume(&mut db, "rescore").await.unwrap();
    tick(&world.pool, &daily).await.unwrap();

    assert_eq!(fired(&world, "rescore").await, [due[0], due[1], ran]);
}

#[tokio::test]
async fn a_span_that_makes_no_sense_is_not_filled_in() {
    let world = world().await;
    let often = recording("often").every(1);
    let mut db = world.pool.acquire().await.unwrap();
    let now = now(&world).await;
    let ago = |days| now - TimeDelta::days(days);
    let mut told = Vec::new();
    for (from, to) in [(ago(1), ago(2)), (ago(500), ago(499)), (ago(9), now)] {
        let refused = schedule::backfill(&mut db, &often, from, to)
            .await
            .unwrap_err();
        assert!(!matches!(refused, BackfillError::Database(_)));
        told.push(refused.to_string());
    }
    insta::assert_snapshot!(told.join("\n"), @"
    to: is before from; nothing falls due in between
    from: is more than 399 days ago, and what fired then is no longer known
    to: more than 10000 ticks did not fire until then; choose an earlier instant, then go on from there
    ");
    let later = schedule::backfill(
        &mut db,
        &often,
        now + TimeDelta::days(1),
        now + TimeDelta::days(2),
    );
    assert!(
        later.await.unwrap().is_empty(),
        "what is to come is the plan's"
    );
    assert!(fired(&world, "often").await.is_empty());
}

#[tokio::test]
async fn a_ticker_fires_what_is_due_until_it_is_stopped() {
    let world = world().await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let schedule = Schedule::doing("rescore", move |db, due| {
        let told = told.clone();
        Box::pin(async move {
            let insert = sqlx::query("INSERT INTO fired VALUES ('rescore', $1)");
            insert.bind(due).execute(db).await?;
            told.send(due)?;
            Ok(())
        })
    });
    let schedules = vec![schedule.daily_at(3, 0)];
    define(&world, &schedules).await;
    let due = past(&world, &schedules[0], 1).await;
    outage_since(&world, "rescore", due[0]).await;

    let stop = CancellationToken::new();
    let ticker = Ticker::new(schedules).unwrap();
    let running = tokio::spawn(ticker.run(world.pool.clone(), stop.clone()));
    assert_eq!(heard.recv().await, Some(due[0]));
    stop.cancel();
    running.await.unwrap();

    assert_eq!(fired(&world, "rescore").await, due);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let twice = vec![recording("a").daily_at(3, 0), recording("a").hourly_at(5)];
    let refusals = [
        Ticker::new(twice),
        Ticker::new(vec![recording("b")]),
        Ticker::new(vec![recording("c").daily_at(25, 0)]),
    ];
    let told: Vec<String> = refusals
        .into_iter()
        .map(|refusal: Result<Ticker, ScheduleError>| refusal.unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    schedule a: there are two of this name
    schedule b: it is not said when it recurs
    schedule c: hour: "25" is not one of 0 to 23 (in "25")
    "#);
}
