//! When a cluster starts, when it is shared, and when it ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::{Cluster, Options, Profile};
use sqlx::{Connection, PgConnection};

use super::{open_dir, options, value};

/// Set for a child process that is to use a cluster in the directory until it is killed.
const HOLD: &str = "LEADMILL_TEST_HOLD";

#[tokio::test]
async fn a_second_run_adopts_the_cluster_and_the_last_one_stops_it() {
    let dir = open_dir();
    let first = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    let second = Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap();
    let pid = first.pid().unwrap();
    assert_eq!((first.is_adopted(), second.is_adopted()), (false, true));
    assert_eq!(second.pid(), Some(pid));

    first.stop().await.unwrap();
    assert_eq!(second.pid(), Some(pid));

    second.stop().await.unwrap();
    assert!(!runs(pid));
}

#[tokio::test]
async fn two_starts_at_once_make_one_cluster() {
    let dir = open_dir();
    let start = || Cluster::start(options(dir.path(), Profile::Test));

    let (one, other) = tokio::join!(start(), start());

    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.is_adopted(), other.is_adopted());
    assert_eq!(one.pid(), other.pid());
}

#[tokio::test]
async fn a_durable_cluster_keeps_what_was_committed_when_it_is_killed() {
    let dir = open_dir();
    let cluster = Cluster::start(options(dir.path(), Profile::Durable))
        .await
        .unwrap();
    cluster.server().create_database("kept").await.unwrap();
    let mut db = PgConnection::connect(&cluster.url("kept")).await.unwrap();
    sqlx::query("CREATE TABLE mark AS SELECT 'here' AS it")
        .execute(&mut db)
        .await
        .unwrap();
    let killed = cluster.pid().unwrap();

    cluster.kill().await.unwrap();
    assert_eq!(cluster.pid(), None);
    cluster.revive().await.unwrap();

    assert_ne!(cluster.pid(), Some(killed));
    assert_eq!(
        value(&cluster.url("kept"), "SELECT it FROM mark").await,
        "here"
    );
    assert_eq!(value(&cluster.url("kept"), "SHOW fsync").await, "on");
    assert_eq!(
        value(&cluster.url("kept"), "SHOW listen_addresses").await,
        ""
    );
}

#[tokio::test]
async fn a_cluster_kept_alive_comes_back_by_itself() {
    let dir = open_dir();
    let mut options = options(dir.path(), Profile::Test);
    options.keep_alive = true;
    let cluster = Cluster::start(options).await.unwrap();
    let killed = cluster.pid().unwrap();

    cluster.kill().await.unwrap();

    until("the cluster is back", || {
        cluster.pid().is_some_and(|pid| pid != killed)
    })
    .await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_kept_alive_comes_back_although_it_could_not_for_a_while() {
    let dir = open_dir();
    let mut options = options(dir.path(), Profile::Durable);
    options.keep_alive = true;
    let cluster = Cluster::start(options).await.unwrap();
    let killed = cluster.pid().unwrap();
    // Stands for a full disk: with this it does not start.
    let settings = dir.path().join("pg/data/postgresql.auto.conf");
    let good = std::fs::read(&settings).unwrap();
    std::fs::write(&settings, "no_such_setting = 1\n").unwrap();

    cluster.kill().await.unwrap();
    let log = dir.path().join("pg/log");
    until("it could not start", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("no_such_setting"))
    })
    .await;
    std::fs::write(&settings, good).unwrap();

    until("the cluster is back", || {
        cluster.pid().is_some_and(|pid| pid != killed)
    })
    .await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_something_else_is_no_obstacle() {
    let dir = open_dir();
    Cluster::start(options(dir.path(), Profile::Test))
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    let pid_file = dir.path().join("pg/data/postmaster.pid");
    // It ends at once, and nobody reaps it before the end of this test.
    let mut zombie = Command::new("true").spawn().unwrap();
    until("the child is a zombie", || {
        state(zombie.id()).is_none_or(|state| state == 'Z')
    })
    .await;

    for pid in [zombie.id(), std::process::id()] {
        std::fs::write(
            &pid_file,
            format!("{pid}\n/elsewhere\n0\n5432\n/tmp\n\n 0 0\nready   \n"),
        )
        .unwrap();
        let cluster = Cluster::start(options(dir.path(), Profile::Test))
            .await
            .unwrap();
        assert!(!cluster.is_adopted());
        cluster.stop().await.unwrap();
    }
    zombie.wait().unwrap();
}

#[tokio::test]
async fn a_killed_server_that_nobody_reaps_is_no_obstacle() {
    if let Some(dir) = std::env::var_os(HOLD) {
        return hold(options(Path::new(&dir), Profile::Durable)).await;
    }
    let dir = open_dir();
    let mut run = Run::start(
        "a_killed_server_that_nobody_reaps_is_no_obstacle",
        dir.path(),
        None,
    );
    signal("STOP", run.child.id());
    // Until then it might still reap the server.
    until("the run stands still", || {
        state(run.child.id()) == Some('T')
    })
    .await;
    signal("KILL", run.server.cast_unsigned());
    until("the server is a zombie", || {
        state(run.server.cast_unsigned()) == Some('Z')
    })
    .await;

    let cluster = Cluster::start(options(dir.path(), Profile::Durable))
        .await
        .unwrap();

    assert_eq!(
        value(&cluster.url("postgres"), "SELECT 'alive'").await,
        "alive"
    );
    run.child.kill().unwrap();
    run.child.wait().unwrap();
}

#[tokio::test]
async fn a_killed_run_leaves_no_server() {
    if let Some(dir) = std::env::var_os(HOLD) {
        return hold(options(Path::new(&dir), Profile::Durable)).await;
    }
    let dir = open_dir();
    let mut run = Run::start("a_killed_run_leaves_no_server", dir.path(), None);
    assert!(runs(run.server));

    run.child.kill().unwrap();
    run.child.wait().unwrap();

    until("the server is gone", || !runs(run.server)).await;
    let holders = dir.path().join("pg/holders");
    until("the watcher is gone", || {
        !dir.path().join("pg/watcher").exists()
    })
    .await;
    assert_eq!(std::fs::read_dir(holders).unwrap().count(), 0);
    let log = std::fs::read_to_string(dir.path().join("pg/log")).unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
}

#[tokio::test]
async fn the_end_of_a_run_spares_a_foreign_server_that_its_pid_file_names() {
    if let Some(dir) = std::env::var_os(HOLD) {
        return hold(options(Path::new(&dir), Profile::Durable)).await;
    }
    let (dir, elsewhere) = (open_dir(), open_dir());
    let foreign = Cluster::start(options(elsewhere.path(), Profile::Durable))
        .await
        .unwrap();
    let mut run = Run::start(
        "the_end_of_a_run_spares_a_foreign_server_that_its_pid_file_names",
        dir.path(),
        None,
    );
    let pid = foreign.pid().unwrap();
    // Which the watcher reads before it looks who uses the cluster.
    std::fs::write(
        dir.path().join("pg/data/postmaster.pid"),
        format!("{pid}\n"),
    )
    .unwrap();

    run.child.kill().unwrap();
    run.child.wait().unwrap();

    until("the watcher is gone", || {
        !dir.path().join("pg/watcher").exists()
    })
    .await;
    assert_eq!(foreign.pid(), Some(pid));
    let alive = value(&foreign.url("postgres"), "SELECT 'alive'").await;
    assert_eq!(alive, "alive");
    signal("QUIT", run.server.cast_unsigned());
    until("the server is gone", || !runs(run.server)).await;
    foreign.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_another_run_uses_outlives_the_one_that_started_it() {
    if let Some(dir) = std::env::var_os(HOLD) {
        return hold(options(Path::new(&dir), Profile::Durable)).await;
    }
    let dir = open_dir();
    let mut run = Run::start(
        "a_server_that_another_run_uses_outlives_the_one_that_started_it",
        dir.path(),
        None,
    );
    let cluster = Cluster::start(options(dir.path(), Profile::Durable))
        .await
        .unwrap();
    assert!(cluster.is_adopted());

    run.child.kill().unwrap();
    run.child.wait().unwrap();

    // The watcher looks once a second: when it has taken the dead run off its list, it has decided.
    let note = dir
        .path()
        .join("pg/holders")
        .join(format!("{}.0", run.child.id()));
    until("the watcher has noticed", || !note.exists()).await;
    assert_eq!(cluster.pid(), Some(run.server));
    assert_eq!(
        value(&cluster.url("postgres"), "SELECT 'alive'").await,
        "alive"
    );
    cluster.stop().await.unwrap();
    assert!(!runs(run.server));
}

#[tokio::test]
async fn of_a_temporary_cluster_nothing_is_left() {
    if let Some(dir) = std::env::var_os(HOLD) {
        return hold(Options::temporary(Path::new(&dir), Profile::Durable)).await;
    }
    let dir = open_dir();
    let cluster = Cluster::start(Options::temporary(dir.path(), Profile::Test))
        .await
        .unwrap();
    assert!(
        cluster
            .dir()
            .starts_with(dir.path().canonicalize().unwrap())
    );
    cluster.stop().await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let mut run = Run::start("of_a_temporary_cluster_nothing_is_left", dir.path(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    until("its directory is gone", || {
        std::fs::read_dir(dir.path()).unwrap().count() == 0
    })
    .await;
    assert!(!runs(run.server));
}

#[tokio::test]
async fn an_ordinary_user_gets_a_cluster_too() {
    if let Some(dir) = std::env::var_os(HOLD) {
        return hold(options(Path::new(&dir), Profile::Durable)).await;
    }
    let dir = open_dir();
    let user = is_root().then(|| user_id("nobody"));
    if let Some(uid) = user {
        std::os::unix::fs::chown(dir.path(), Some(uid), Some(uid)).unwrap();
    }

    let mut run = Run::start("an_ordinary_user_gets_a_cluster_too", dir.path(), user);
    let owner = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata(dir.path().join("pg/data")).unwrap(),
    );
    assert!(runs(run.server));
    assert_ne!(owner, 0);

    run.child.kill().unwrap();
    run.child.wait().unwrap();
    until("the server is gone", || !runs(run.server)).await;
}

/// What the child process does: use a cluster, tell the server's pid, and never end by itself.
async fn hold(options: Options) {
    let cluster = Cluster::start(options).await.unwrap();
    println!("server {}", cluster.pid().unwrap());
    std::future::pending::<()>().await;
}

/// This very program again, as another run that uses a cluster.
struct Run {
    child: Child,
    server: i32,
}

impl Run {
    /// Starts the test called `test` as such a run, by `user` if one is named, and waits until its server is there.
    fn start(test: &str, dir: &Path, user: Option<u32>) -> Self {
        let program = reachable_program(dir, user);
        let mut command = Command::new(program);
        command.args([
            "--exact",
            &format!("postgres_cluster::lifetimes::{test}"),
            "--nocapture",
        ]);
        command
            .env(HOLD, dir)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(uid) = user {
            command.uid(uid).gid(uid).env("HOME", "/");
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let server = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once("server ")?.1.parse().ok())
            .expect("the other run starts a server");
        Self { child, server }
    }
}

/// The path of this program for `user`, who may not be able to enter the directory that it is in.
fn reachable_program(dir: &Path, user: Option<u32>) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    if user.is_none() {
        return program;
    }
    let copy = dir.join("program");
    std::fs::hard_link(&program, &copy)
        .or_else(|_| std::fs::copy(&program, &copy).map(drop))
        .unwrap();
    copy
}

fn is_root() -> bool {
    user_id_of(&["-u"]) == 0
}

fn user_id(name: &str) -> u32 {
    user_id_of(&["-u", name])
}

fn user_id_of(args: &[&str]) -> u32 {
    let output = Command::new("id").args(args).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Whether the process lives; one that nobody has reaped does not.
fn runs(pid: i32) -> bool {
    state(pid.cast_unsigned()).is_some_and(|state| state != 'Z')
}

fn signal(name: &str, pid: u32) {
    assert!(
        Command::new("kill")
            .args([&format!("-{name}"), &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// The letter that `ps` shows for a process.
fn state(pid: u32) -> Option<char> {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .chars()
        .next()
}

/// Waits for something that other processes bring about.
async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "not within 30 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_standby_has_every_commit_when_the_primary_is_killed_and_takes_writes_when_promoted() {
    let dir = open_dir();
    let mut durable = options(dir.path(), Profile::Durable);
    durable.settings = vec![("wal_keep_size".to_owned(), "128MB".to_owned())];
    let primary = Cluster::start(durable.clone()).await.unwrap();
    let url = primary.superuser_url("postgres").unwrap();
    durable.dir = dir.path().join("standby");
    let standby = primary.standby(durable).await.unwrap();
    primary.require_standby().await.unwrap();
    sqlx::query("CREATE TABLE kept (n int)")
        .execute(&mut PgConnection::connect(&url).await.unwrap())
        .await
        .unwrap();
    value(
        &url,
        "WITH new AS (INSERT INTO kept VALUES (7) RETURNING n) SELECT n::text FROM new",
    )
    .await;

    primary.kill().await.unwrap();
    standby.promote().await.unwrap();

    let url = standby.superuser_url("postgres").unwrap();
    let both = "WITH new AS (INSERT INTO kept VALUES (8) RETURNING n) SELECT (n + (SELECT sum(k.n) FROM kept k))::text FROM new";
    assert_eq!(value(&url, both).await, "15");
}
