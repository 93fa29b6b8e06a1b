//! Pauses, limits, rates, turns and ageing, obeyed by all processes while they run.

mod cast;

use std::time::Duration;

use queue::admin::{self, Limits, Rate, Scope, Waiting};
use queue::{JobId, Running, enqueue_many};
use sqlx::PgPool;

use super::cast::until;
use crate::harness::World;
use cast::{Load, Scene, lane, worker};

const GRACE: Duration = Duration::from_secs(20);
const NONE_LEFT: &str = "SELECT NOT EXISTS (SELECT FROM queue.job)";

async fn limit(world: &World, scope: Scope, name: &str, limits: Limits) {
    let mut db = world.pool.acquire().await.unwrap();
    admin::change_rule(&mut db, scope, name, |now| *now = limits)
        .await
        .unwrap();
}

/// A world and a scene in which `name` is limited.
async fn limited(scope: Scope, name: &str, limits: Limits) -> (World, Scene) {
    let world = World::new().await;
    limit(&world, scope, name, limits).await;
    (world, Scene::default())
}

async fn fill(world: &World, loads: impl IntoIterator<Item = Load>) {
    let loads: Vec<Load> = loads.into_iter().collect();
    let mut db = world.pool.acquire().await.unwrap();
    enqueue_many(&mut db, &loads).await.unwrap();
}

async fn two_workers(world: &World, scene: &Scene, slots: usize) -> [Running; 2] {
    [
        worker(world, scene, slots).await,
        worker(world, scene, slots).await,
    ]
}

async fn stop(workers: [Running; 2]) {
    for worker in workers {
        worker.stop(GRACE).await;
    }
}

async fn explained(pool: &PgPool, job: JobId) -> String {
    let mut db = pool.acquire().await.unwrap();
    admin::explain(&mut db, job.0).await.unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_kind_waits_while_others_of_its_queue_pass_it() {
    let limits = Limits {
        paused: true,
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Kind, "load", limits).await;
    let mut db = world.pool.acquire().await.unwrap();
    let held = queue::enqueue(&mut db, &Load::new(1)).await.unwrap().id();
    fill(&world, (0..300).map(Load::new)).await;
    let running = worker(&world, &scene, 4).await;
    queue::enqueue(&mut db, &cast::Pass).await.unwrap();
    scene.until_passed(1).await;

    until(
        &world.pool,
        "SELECT count(*) = 301 FROM queue.job WHERE state = 4",
    )
    .await;
    assert_eq!(
        explained(&world.pool, held).await,
        "the kind load is paused"
    );
    assert!(matches!(
        admin::retry(&mut db, held.0).await,
        Err(admin::Refused::Held(_))
    ));
    assert_eq!(scene.ran(), 0);

    admin::resume(&mut db, Scope::Kind, "load").await.unwrap();
    until(&world.pool, NONE_LEFT).await;
    assert_eq!(scene.ran(), 301);
    assert!(admin::rules(&mut db).await.unwrap().is_empty());
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_lane_waits_while_other_lanes_run() {
    let (first, second) = (lane(1), lane(2));
    let limits = Limits {
        paused: true,
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Lane, &first.to_string(), limits).await;
    let loads =
        (0..40).map(|number| Load::new(number).of(if number % 2 == 0 { first } else { second }));
    fill(&world, loads).await;
    let running = worker(&world, &scene, 4).await;
    until(&world.pool, "SELECT count(*) = 20 FROM queue.job").await;
    let mut db = world.pool.acquire().await.unwrap();
    let one: i64 = sqlx::query_scalar("SELECT min(id) FROM queue.job")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    let why = admin::explain(&mut db, one).await.unwrap();
    assert_eq!(
        why,
        Waiting::Paused {
            scope: Scope::Lane,
            name: first.to_string()
        }
    );

    // Written otherwise, it is the same lane.
    admin::resume(&mut db, Scope::Lane, &first.simple().to_string())
        .await
        .unwrap();
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_a_queue_holds_over_all_processes_and_is_lifted_while_they_run() {
    let limits = Limits {
        max_running: Some(3),
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Queue, "load", limits).await;
    let loads = (0..40).map(|number| Load::new(number).for_millis(5));
    fill(&world, loads).await;
    let workers = two_workers(&world, &scene, 4).await;
    until(&world.pool, NONE_LEFT).await;
    assert_eq!((scene.ran(), scene.most_at_once("all")), (40, 3));

    let loads = (0..6).map(|number| Load::new(number).until_told());
    fill(&world, loads).await;
    until(
        &world.pool,
        "SELECT count(*) = 3 FROM queue.job WHERE lease_by IS NOT NULL",
    )
    .await;
    let mut db = world.pool.acquire().await.unwrap();
    let waits: i64 = sqlx::query_scalar("SELECT max(id) FROM queue.job WHERE state = 0")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    let why = explained(&world.pool, JobId(waits)).await;
    assert_eq!(why, "as many jobs of the queue load run as may");
    limit(&world, Scope::Queue, "load", Limits::default()).await;
    until(
        &world.pool,
        "SELECT count(*) = 6 FROM queue.job WHERE lease_by IS NOT NULL",
    )
    .await;
    scene.tell(6);
    until(&world.pool, NONE_LEFT).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_lanes_never_more_than_two_jobs_run_at_once() {
    let limits = Limits {
        lane_running: Some(2),
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Queue, "load", limits).await;
    // Five of each lane in a row, so that without the limit they would run side by side.
    let loads = (0..5000).map(|number| Load::new(number).of(lane(number / 5)).for_millis(1));
    fill(&world, loads).await;
    let workers = two_workers(&world, &scene, 50).await;
    until(&world.pool, NONE_LEFT).await;
    assert_eq!(scene.ran(), 5000);
    let most = (0..1000).map(|number| scene.most_at_once(&lane(number).to_string()));
    assert_eq!(most.max(), Some(2));
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_lanes_and_jobs_without_one_pass_thousands_of_a_lane_that_is_full() {
    let limits = Limits {
        lane_running: Some(2),
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Queue, "load", limits).await;
    let full = (0..3000).map(|number| Load::new(number).of(lane(7)).until_told());
    let others = (3000..3100).map(|number| Load::new(number).of(lane(100 + number % 40)));
    let laneless = (3100..3110).map(Load::new);
    fill(&world, laneless.chain(full).chain(others)).await;
    let running = worker(&world, &scene, 8).await;
    // Of the lane whose jobs are not told to end, two run and keep the rest back.
    until(&world.pool, "SELECT count(*) = 3000 FROM queue.job").await;
    assert_eq!(scene.ran(), 112);
    scene.tell(3000);
    until(&world.pool, NONE_LEFT).await;
    assert_eq!(scene.most_at_once(&lane(7).to_string()), 2);
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_one_limit_key_run_one_at_a_time_and_are_in_nobodys_way() {
    let limits = Limits {
        key_running: Some(1),
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Queue, "load", limits).await;
    let limits = Limits {
        max_running: Some(2),
        ..Limits::default()
    };
    limit(&world, Scope::Key, "two", limits).await;
    let keyed = (0..60).map(|number| {
        Load::new(number)
            .under(["one", "other"][number as usize % 2])
            .for_millis(2)
    });
    let free = (60..90).map(Load::new);
    fill(&world, keyed.chain(free)).await;
    let workers = two_workers(&world, &scene, 8).await;
    until(&world.pool, NONE_LEFT).await;
    assert_eq!(scene.ran(), 90);
    assert_eq!(scene.most_at_once("one"), 1);
    assert_eq!(scene.most_at_once("other"), 1);
    let order = scene.order();
    let last_free = order.iter().rposition(|number| *number >= 60).unwrap();
    assert!(last_free < 80, "the free ones waited: {order:?}");
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_is_free_again_after_the_process_that_had_it_died() {
    let limits = Limits {
        max_running: Some(1),
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Key, "only", limits).await;
    // One that runs on a node whose lease ran out long ago.
    sqlx::raw_sql(
        r#"
        INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
            VALUES ('gone', 1, '0', '{load}', '{load}', now() - interval '1 hour');
        INSERT INTO queue.job (queue, kind, payload, max_attempts, attempt, epoch, lease_by, started_at, limit_key)
            VALUES ('load', 'load', '{"number":0,"lane":null,"key":"only","millis":0,"told":false}', 3, 1, 1,
                (SELECT max(id) FROM queue.node), now(), 'only');
        INSERT INTO queue.claim (node, number, at, jobs)
            SELECT lease_by, 1, started_at, array_agg(id) FROM queue.job GROUP BY lease_by, started_at;
        "#,
    )
    .execute(&world.pool)
    .await
    .unwrap();
    fill(&world, [Load::new(1).under("only")]).await;
    let running = worker(&world, &scene, 2).await;
    until(&world.pool, NONE_LEFT).await;
    let mut order = scene.order();
    order.sort_unstable();
    assert_eq!(order, [0, 1]);
    assert_eq!(scene.most_at_once("only"), 1);
    running.stop(GRACE).await;
}

/// The most jobs that started within so many seconds, as the database saw it.
async fn most_within(pool: &PgPool, seconds: f64) -> i64 {
    sqlx::query_scalar(
        r#"
        SELECT coalesce(max(n), 0) FROM (
            SELECT count(*) OVER (ORDER BY started_at RANGE BETWEEN $1 * interval '1 second' PRECEDING AND CURRENT ROW) AS n
            FROM queue.job_history
        ) windows
        "#,
    )
    .bind(seconds)
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_evens_out_what_starts_of_a_queue_or_a_key() {
    let fifty = Rate {
        count: 50,
        seconds: 1.0,
    };
    let limits = Limits {
        rate: Some(fifty),
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Queue, "load", limits).await;
    fill(&world, (0..60).map(Load::new)).await;
    let workers = two_workers(&world, &scene, 8).await;
    until(&world.pool, NONE_LEFT).await;
    // Five may start at once after a quiet time: a tenth of a second's.
    let most = most_within(&world.pool, 0.5).await;
    assert!((1..=25 + 5 + 1).contains(&most), "{most} in half a second");

    sqlx::query("TRUNCATE queue.job_history")
        .execute(&world.pool)
        .await
        .unwrap();
    limit(&world, Scope::Queue, "load", Limits::default()).await;
    let limits = Limits {
        rate: Some(fifty),
        burst: Some(10),
        ..Limits::default()
    };
    limit(&world, Scope::Key, "host", limits).await;
    let loads = (0..60).map(|number| Load::new(number).under("host"));
    fill(&world, loads).await;
    until(&world.pool, NONE_LEFT).await;
    let most = most_within(&world.pool, 0.5).await;
    assert!(
        (10..=25 + 10 + 1).contains(&most),
        "{most} in half a second"
    );
    stop(workers).await;
}

/// An hour's rate is used up by five; three of them cannot start for now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_not_used_up_by_jobs_that_do_not_start() {
    let limits = Limits {
        rate: Some(Rate {
            count: 5,
            seconds: 3600.0,
        }),
        burst: Some(5),
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Queue, "load", limits).await;
    fill(&world, (0..5).map(Load::new)).await;
    let mut other = world.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM queue.job ORDER BY id LIMIT 3 FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let running = worker(&world, &scene, 8).await;
    until(&world.pool, "SELECT count(*) = 3 FROM queue.job").await;
    other.rollback().await.unwrap();
    until(&world.pool, NONE_LEFT).await;
    assert_eq!(scene.ran(), 5);
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_lanes_take_turns_nobody_waits_for_the_one_that_has_most() {
    let limits = Limits {
        turns: true,
        ..Limits::default()
    };
    let (world, scene) = limited(Scope::Queue, "load", limits).await;
    let many = (0..3000).map(|number| Load::new(number).of(lane(7)));
    let few = (3000..3050).map(|number| Load::new(number).of(lane(number)));
    fill(&world, many.chain(few)).await;
    let running = worker(&world, &scene, 4).await;
    until(&world.pool, NONE_LEFT).await;
    let order = scene.order();
    assert_eq!(order.len(), 3050);
    let last = order.iter().rposition(|number| *number >= 3000).unwrap();
    assert!(last < 200, "the last of the others was number {last}");
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_has_waited_for_a_minute_goes_ahead_of_more_urgent_ones() {
    let world = World::new().await;
    let scene = Scene::default();
    let mut db = world.pool.acquire().await.unwrap();
    let old = queue::job(&Load::new(9999)).priority(100);
    let old = old.enqueue(&mut db).await.unwrap().id();
    let young = queue::job(&Load::new(9998)).priority(100);
    young.enqueue(&mut db).await.unwrap();
    sqlx::query("UPDATE queue.job SET run_at = now() - interval '61 seconds' WHERE id = $1")
        .bind(old)
        .execute(&mut *db)
        .await
        .unwrap();
    let loads = (0..2000).map(|number| Load::new(number).for_millis(2));
    fill(&world, loads).await;
    let running = worker(&world, &scene, 2).await;
    until(&world.pool, NONE_LEFT).await;
    let order = scene.order();
    let place = |number| order.iter().position(|ran| *ran == number).unwrap();
    assert!(place(9999) < 1500, "it ran as number {}", place(9999));
    // A young one is as urgent as it was: last, or beside the last.
    assert!(place(9998) >= 2000, "it ran as number {}", place(9998));
    // What is kept of it is how urgent it was meant to be.
    let kept: i16 = sqlx::query_scalar("SELECT priority FROM queue.job_history WHERE id = $1")
        .bind(old)
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(kept, 100);
    running.stop(GRACE).await;
}
