//! Captures come in while workers and the database are killed: nothing is lost, nothing happens twice, nothing is stuck.

mod account;
mod senders;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::actor::{Act, Actor};
use domain::clock::Clock;
use domain::command;
use domain::form::CONTACT;
use domain::id::OrgId;
use domain::member::Role;
use domain::store::forms::{self, NewForm};
use domain::store::orgs::NewOrg;
use domain::store::{Db, members, pools};
use leadmill::dev::smtp::Sink;
use postgres::{Cluster, Options, Profile};
use sqlx::{Connection, PgConnection, PgPool};
use tempfile::NamedTempFile;

use super::Process;
use senders::{CAPTURES, Target, send_all};

/// How often a worker is killed.
const KILL_EVERY: Duration = Duration::from_millis(300);
/// A worker that has listened for so long is at work.
const AT_WORK: Duration = Duration::from_millis(300);
/// How many workers there are.
const WORKERS: usize = 2;
/// After how many captures the database is killed.
const OUTAGES: [usize; 2] = [700, 1_400];
/// How long it is gone.
const OUTAGE: Duration = Duration::from_millis(1_500);
/// For how long nothing may come to an end, once nothing is killed any more, before what is left counts as stuck.
const STUCK: Duration = Duration::from_secs(90);
/// How many mails one worker has in hand.
const MAILS_AT_ONCE: usize = 2;
const FORM: &str = "chaos-form";
const DATABASE: &str = "chaos";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_capture_is_a_lead_once_while_workers_and_the_database_are_killed() {
    let begun = Instant::now();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start(Options::temporary(&std::env::temp_dir(), Profile::Durable));
    let cluster = cluster.await.unwrap();
    cluster.server().create_database(DATABASE).await.unwrap();
    let url = cluster.url(DATABASE);
    assert!(Process::begin(&["migrate"], &url).ended().success());
    let org = organisation(&url).await;
    let sink = Sink::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let settings = NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), settings_with(&sink)).unwrap();
    let settings = format!("--config={}", settings.path().display());
    let mut serve = Process::start(&["serve", "--listen=127.0.0.1:0", &settings], &url);
    let workers = Workers {
        settings: &settings,
        database: &url,
    };

    let (taken, over) = (Arc::new(AtomicUsize::new(0)), AtomicBool::new(false));
    let target = Target {
        url: serve.url.clone(),
        org,
        form: FORM,
    };
    let sending = async {
        let sent = send_all(target, taken.clone()).await;
        over.store(true, Ordering::Relaxed);
        sent
    };
    let (sent, (), (killed, started)) = tokio::join!(
        sending,
        outages(&cluster, &taken),
        workers.killed_until(&over)
    );
    let (captured, under_fire) = (begun.elapsed(), sink.count());

    let mut last = [workers.start(), workers.start()];
    let mut db = PgConnection::connect(&url).await.unwrap();
    let left = until_settled(&mut db).await;
    let settled = begun.elapsed();
    assert!(
        last.iter_mut().chain([&mut serve]).all(Process::runs),
        "only what was killed has ended"
    );
    for process in last.iter_mut().chain([&mut serve]) {
        process.signal("-TERM");
        assert!(process.ended().success());
    }

    // As the superuser, who sees the rows of every org without any policy of ours.
    let everything = url.replace("user=leadmill", "user=postgres");
    let mut db = PgConnection::connect(&everything).await.unwrap();
    let account = account::Account::of(&mut db, &sink).await;
    let faults = account.faults(&sent);
    eprintln!(
        "{CAPTURES} captures accepted, sent again {}; {killed} kills of workers, {started} restarts, {} kills of the \
         database, {} attempts lost; {} mails, {under_fire} of them under fire, {} unknown ({} of these came); {:.1} s of \
         faults, settled after {:.1} s more, {:.1} s in all",
        sent.iter().map(|sent| sent.in_vain).sum::<usize>(),
        OUTAGES.len(),
        account.lost,
        sink.count(),
        account.unknown(),
        account.unknown_that_came(),
        captured.as_secs_f64(),
        (settled - captured).as_secs_f64(),
        begun.elapsed().as_secs_f64(),
    );
    assert!(left.is_empty(), "jobs are stuck: {left:#?}");
    assert!(
        faults.is_empty(),
        "{} faults, of which the first are: {:#?}",
        faults.len(),
        &faults[..faults.len().min(20)]
    );
    // What is between the dot and its answer when a worker or its database is killed, and no more.
    let at_most = MAILS_AT_ONCE * (killed + OUTAGES.len() * WORKERS);
    assert!(
        account.unknown() <= at_most,
        "{} mails are unknown",
        account.unknown()
    );
    assert!(
        killed >= 10 && account.lost > 0,
        "nothing was at work when it was killed"
    );
    db.close().await.unwrap();
    cluster.stop().await.unwrap();
}

/// Few jobs at a time: a process that lives for half a second is to end some of them.
fn settings_with(sink: &Sink) -> String {
    format!(
        r#"
        [database]
        max_connections = 10
        [intake]
        per_ip_per_minute = 1000000
        per_ip_burst = 1000000
        per_org_per_minute = 1000000
        [mail]
        url = "{}"
        from = "Leadmill <leadmill@example.test>"
        [worker]
        lease = "5s"
        pools = [
            {{ name = "intake", queues = ["intake"], concurrency = 2 }},
            {{ name = "leads", queues = ["enrich", "score", "notify"], concurrency = 4 }},
            {{ name = "mail", queues = ["mail"], concurrency = {MAILS_AT_ONCE} }},
            {{ name = "sweep", queues = ["sweep"], concurrency = 1 }},
        ]
        "#,
        sink.url()
    )
}

/// An org with two reps who take turns, and a form.
async fn organisation(url: &str) -> OrgId {
    let pool = PgPool::connect(url).await.unwrap();
    let mut tx = Db::new(pool.clone()).platform().await.unwrap();
    let new = NewOrg::named("analytical-engines", "Analytical Engines");
    let act = Act::new(new.id, Actor::Platform, Clock::system().now());
    let mut reps = Vec::new();
    for name in ["mira", "jonas"] {
        let email = format!("{name}@reps.example.test");
        let user = members::ensure_user(&mut tx, &email, name).await.unwrap();
        reps.push((user, name, email));
    }
    command::create_org(&mut tx, &act, &new).await.unwrap();
    for (user, name, email) in reps {
        command::add_member(&mut tx, &act, user, Role::Member, name, &email)
            .await
            .unwrap();
    }
    pools::set_auto_on(&mut tx, new.id, &["scored".to_owned()])
        .await
        .unwrap();
    let form = NewForm {
        name: "Contact",
        title: "Talk to us",
        token: FORM,
        questions: &CONTACT,
    };
    forms::insert(&mut tx, new.id, &form).await.unwrap();
    tx.commit().await.unwrap();
    pool.close().await;
    new.id
}

/// How workers are started.
struct Workers<'a> {
    settings: &'a str,
    database: &'a str,
}

impl Workers<'_> {
    fn args(&self) -> [&str; 3] {
        ["work", "--listen=127.0.0.1:0", self.settings]
    }

    /// One that works.
    fn start(&self) -> Process {
        Process::start(&self.args(), self.database)
    }

    /// Kills one after the other, and starts another in its place at once, until it is over; how many were killed, and
    /// how many started.
    async fn killed_until(&self, over: &AtomicBool) -> (usize, usize) {
        let mut running: Vec<_> = (0..WORKERS).map(|_| self.start()).collect();
        let mut pace = tokio::time::interval(KILL_EVERY);
        let (mut killed, mut started, mut turn) = (0, 0, 0);
        while !over.load(Ordering::Relaxed) {
            pace.tick().await;
            let victim = &mut running[turn % WORKERS];
            turn += 1;
            // On a machine that is slow to start it: it is to die at work, and now and then while it starts.
            if victim.runs() && victim.listens_for() < AT_WORK && turn % 8 > 0 {
                continue;
            }
            started += 1;
            // One that found no database when it started has ended by itself.
            killed += usize::from(victim.runs());
            // Dropping the one before kills it.
            *victim = Process::begin(&self.args(), self.database);
        }
        (killed, started)
    }
}

/// Kills the database when so many captures were taken, and starts it again after a while.
async fn outages(cluster: &Cluster, taken: &AtomicUsize) {
    for after in OUTAGES {
        while taken.load(Ordering::Relaxed) < after {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cluster.kill().await.unwrap();
        tokio::time::sleep(OUTAGE).await;
        cluster.revive().await.unwrap();
    }
}

/// Waits until no job is left; those that are after all.
async fn until_settled(db: &mut PgConnection) -> Vec<String> {
    let (mut fewest, mut since) = (usize::MAX, Instant::now());
    loop {
        let left: Vec<String> = sqlx::query_scalar(
            "SELECT format('%s %s, state %s, attempt %s, due %s: %s', kind, id, state, attempt, run_at, errors)
             FROM queue.job ORDER BY id",
        )
        .fetch_all(&mut *db)
        .await
        .unwrap();
        if left.len() < fewest {
            (fewest, since) = (left.len(), Instant::now());
        }
        if left.is_empty() || since.elapsed() > STUCK {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
