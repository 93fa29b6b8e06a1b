//! Processes that are killed, stopped for a while or started again, and a database that dies under them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use leadmill::database;
use postgres::{Cluster, Options, Profile};
use queue::{Attempt, Job, JobId, JobResult, Outcome, Pool, Registry, Running, Worker, enqueue};
use queue::{Backoff, StaleClaim, enqueue_many};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::cast::{Act, Stage, finished, live, registry, until};
use crate::harness::World;

/// The address of the database of a process that works, which is this very program run once more.
pub(super) const DATABASE: &str = "LEADMILL_TEST_QUEUE_DATABASE";
const LEASE: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(20);

/// Runs until the process that runs it is told by a row of `cue` that it may end.
#[derive(Debug, Serialize, Deserialize)]
struct AwaitCue;

impl Job for AwaitCue {
    const NAME: &'static str = "await_cue";
    const QUEUE: &'static str = "deaths";
    const MAX_ATTEMPTS: u16 = 3;
    type Ctx = PgPool;

    async fn run(&self, pool: &PgPool, _: &Attempt) -> JobResult {
        let me = i64::from(std::process::id());
        loop {
            let ask = sqlx::query_scalar("SELECT EXISTS (SELECT FROM cue WHERE process = $1)");
            if ask.bind(me).fetch_one(pool).await? {
                return Ok(Outcome::DoneWith(json!(me)));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Kills the process that runs it.
#[derive(Debug, Serialize, Deserialize)]
struct Kill;

impl Job for Kill {
    const NAME: &'static str = "kill";
    const QUEUE: &'static str = "deaths";
    const MAX_ATTEMPTS: u16 = 3;
    const BACKOFF: Backoff = Backoff::fixed(Duration::ZERO);
    type Ctx = PgPool;

    async fn run(&self, _: &PgPool, _: &Attempt) -> JobResult {
        std::process::abort()
    }
}

async fn work(pool: PgPool, queue: &str) -> Running {
    let registry = Registry::new().add::<AwaitCue>().add::<Kill>();
    Worker::builder(pool.clone(), registry, pool)
        .pools(vec![Pool {
            name: queue.to_owned(),
            queues: vec![queue.to_owned()],
            concurrency: 2,
        }])
        .lease(LEASE)
        .start()
        .await
        .unwrap()
}

/// A process that works on the queue `deaths`, killed when this is dropped.
pub(super) struct Process(Child);

impl Process {
    fn start(world: &World) -> Self {
        Self::of("queue::deaths::as_another_process", world)
    }

    /// A process that runs what is called a test.
    pub(super) fn of(name: &str, world: &World) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(DATABASE, world.database_url())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub(super) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let kill = kill.args([name, &self.0.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// Lets the job that it runs come to its end.
    async fn cue(&self, pool: &PgPool) {
        cue(pool, self.0.id()).await;
    }

    pub(super) async fn ended(&mut self) -> bool {
        let ended = async {
            loop {
                if let Some(status) = self.0.try_wait().unwrap() {
                    return status.success();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ended)
            .await
            .expect("the process should have ended")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn cue(pool: &PgPool, process: u32) {
    sqlx::query("INSERT INTO cue VALUES ($1)")
        .bind(i64::from(process))
        .execute(pool)
        .await
        .unwrap();
}

/// Not a test: what [`Process`] runs. It works until it is told to terminate.
#[test]
fn as_another_process() {
    let Ok(url) = std::env::var(DATABASE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = PgPoolOptions::new().max_connections(3).connect_lazy(&url);
        let running = work(pool.unwrap(), "deaths").await;
        let kind = tokio::signal::unix::SignalKind::terminate();
        tokio::signal::unix::signal(kind).unwrap().recv().await;
        let report = running.stop(GRACE).await;
        assert!(report.in_time && report.unwritten == 0);
    });
}

async fn world() -> World {
    let world = World::new().await;
    sqlx::raw_sql("CREATE TABLE cue (process bigint)")
        .execute(&world.pool)
        .await
        .unwrap();
    world
}

async fn waiting(world: &World, job: &impl Job) -> JobId {
    let mut db = world.pool.acquire().await.unwrap();
    enqueue(&mut db, job).await.unwrap().id()
}

const RUNS: &str = "SELECT EXISTS (SELECT FROM queue.job WHERE lease_by IS NOT NULL)";
const RUNS_AGAIN: &str =
    "SELECT EXISTS (SELECT FROM queue.job WHERE lease_by IS NOT NULL AND epoch = 2)";
const NONE_LEFT: &str = "SELECT NOT EXISTS (SELECT FROM queue.job)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_no_job_and_its_successor_takes_none_before_the_lease_is_over() {
    let world = world().await;
    let job = waiting(&world, &AwaitCue).await;
    let mut killed = Process::start(&world);
    until(&world.pool, RUNS).await;
    killed.signal("-KILL");
    assert!(!killed.ended().await);

    let successor = Process::start(&world);
    until(&world.pool, RUNS_AGAIN).await;
    let on_time: bool = sqlx::query_scalar(
        "SELECT j.started_at >= dead.lease_until
            AND j.started_at < dead.lease_until + make_interval(secs => $1)
         FROM queue.job j, (SELECT lease_until FROM queue.node ORDER BY id LIMIT 1) dead",
    )
    .bind(LEASE.as_secs_f64())
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert!(on_time);
    let row = live(&world.pool, job).await.unwrap();
    assert_eq!(row.attempt, 2);
    assert_eq!(row.errors, json!(["the worker that ran it died"]));

    successor.cue(&world.pool).await;
    until(&world.pool, NONE_LEFT).await;
    let row = finished(&world.pool, job).await.unwrap();
    assert_eq!((&*row.outcome, row.attempt), ("completed", 2));
    assert_eq!(row.result, Some(json!(successor.0.id())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_says_that_was_taken_for_dead_is_refused() {
    let world = world().await;
    let job = waiting(&world, &AwaitCue).await;
    let mut sleeper = Process::start(&world);
    until(&world.pool, RUNS).await;
    sleeper.signal("-STOP");

    let running = work(world.pool.clone(), "deaths").await;
    until(&world.pool, RUNS_AGAIN).await;

    // It wakes, ends its job as if nothing had been, and has written all it wanted when it is gone.
    sleeper.cue(&world.pool).await;
    sleeper.signal("-CONT");
    sleeper.signal("-TERM");
    assert!(sleeper.ended().await);
    let row = live(&world.pool, job).await.expect("still running");
    assert_eq!((row.attempt, row.epoch), (2, 2));
    until(&world.pool, RUNS_AGAIN).await;
    assert_eq!(finished(&world.pool, job).await, None);

    cue(&world.pool, std::process::id()).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    let row = finished(&world.pool, job).await.unwrap();
    assert_eq!(row.result, Some(json!(std::process::id())));
    assert_eq!(row.attempt, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_process_keeps_its_job_for_many_leases() {
    let world = world().await;
    let job = waiting(&world, &AwaitCue).await;
    let holder = Process::start(&world);
    until(&world.pool, RUNS).await;
    let running = work(world.pool.clone(), "deaths").await;
    until(
        &world.pool,
        "SELECT now() > started_at + interval '5 seconds' FROM queue.job",
    )
    .await;
    assert_eq!(live(&world.pool, job).await.unwrap().epoch, 1);

    holder.cue(&world.pool).await;
    until(&world.pool, NONE_LEFT).await;
    running.stop(GRACE).await;
    let row = finished(&world.pool, job).await.unwrap();
    assert_eq!(row.result, Some(json!(holder.0.id())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_its_process_stops_at_its_last_attempt() {
    let world = world().await;
    let job = waiting(&world, &Kill).await;
    // Takes back what died, and serves another queue itself.
    let rescuer = work(world.pool.clone(), "other").await;
    for _ in 0..3 {
        assert!(!Process::start(&world).ended().await);
    }
    until(&world.pool, NONE_LEFT).await;
    rescuer.stop(GRACE).await;

    let row = finished(&world.pool, job).await.unwrap();
    assert_eq!((&*row.outcome, row.attempt), ("discarded", 3));
    assert_eq!(row.reason.as_deref(), Some("the worker that ran it died"));
    assert_eq!(row.errors, json!(vec!["the worker that ran it died"; 3]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_gone_fences_its_job_off() {
    let world = world().await;
    let mut db = world.pool.acquire().await.unwrap();
    let stage = Stage::default();
    let held = enqueue(&mut db, &Act::Hold("held".into()))
        .await
        .unwrap()
        .id();
    let running = super::cast::worker(&world, &stage, 1).await;
    stage.until(1).await;
    super::cast::fence(&mut db, held, 1).await.unwrap();
    let stale = super::cast::fence(&mut db, held, 0).await;
    assert!(matches!(stale, Err(StaleClaim::Gone(gone)) if gone == held));
    stage.go.notify_one();
    until(&world.pool, NONE_LEFT).await;
    let over = super::cast::fence(&mut db, held, 1).await;
    assert!(matches!(over, Err(StaleClaim::Gone(gone)) if gone == held));
    running.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_killed_over_and_over_loses_no_job_and_keeps_each_outcome_once() {
    let cluster = Cluster::start(Options::temporary(Path::new("/tmp"), Profile::Durable))
        .await
        .unwrap();
    cluster.server().create_database("app").await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .connect_lazy(&cluster.url("app"))
        .unwrap();
    database::migrate(&pool).await.unwrap();
    let jobs = 4000;
    let notes: Vec<Act> = (0..jobs).map(|note| Act::Note(note.to_string())).collect();
    let mut db = pool.acquire().await.unwrap();
    enqueue_many(&mut db, &notes).await.unwrap();
    drop(db);

    let stage = Stage::default();
    let running = Worker::builder(pool.clone(), registry(), stage.clone())
        .pools(vec![Pool {
            name: "stage".into(),
            queues: vec!["stage".into()],
            concurrency: 8,
        }])
        .lease(LEASE)
        .start()
        .await
        .unwrap();
    for seen in [200, 1000, 2000] {
        stage.until(seen).await;
        cluster.kill().await.unwrap();
        cluster.revive().await.unwrap();
    }
    until(&pool, NONE_LEFT).await;
    let report = running.stop(GRACE).await;
    assert_eq!(report.unwritten, 0);

    let (kept, distinct): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(DISTINCT id) FROM queue.job_history WHERE outcome = 'completed'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((kept, distinct), (jobs, jobs));
    let notes: BTreeSet<String> = stage.notes().into_iter().collect();
    assert_eq!(notes.len(), 4000);
    pool.close().await;
    cluster.stop().await.unwrap();
}
