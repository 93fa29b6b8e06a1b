//! `leadmill work` as a process: what it does with the jobs that it runs when it is to stop.

use std::process::ExitStatus;
use std::time::Duration;

use domain::id::LeadId;
use jobs::SendSignInLink;
use queue::Job;
use queue::admin::{self, JobRow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{PATIENCE, Process};
use crate::harness::World;
use crate::jobs::{enrich, lead, score};

/// `sysexits.h`: something was not to be had.
const UNAVAILABLE: i32 = 69;

/// A provider of whom is asked something, and who answers when the test says so.
struct Slow {
    listener: TcpListener,
    url: String,
}

impl Slow {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// The next question, whole, not answered yet.
    async fn asked(&self) -> TcpStream {
        let asked = async {
            let (mut question, _) = self.listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(question.read_u8().await.unwrap());
            }
            question
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.expect("the provider should be asked")
    }
}

/// Tells that nobody is known.
async fn answer(mut question: TcpStream) {
    let nobody = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    question.write_all(nobody).await.unwrap();
}

struct Stage {
    world: World,
    provider: Slow,
    lead: LeadId,
}

impl Stage {
    /// A lead about whom a provider is to be asked.
    async fn new() -> Self {
        let world = World::new().await;
        let lead = lead(&world, world.org().await).await;
        let stage = Self {
            provider: Slow::new().await,
            world,
            lead,
        };
        stage.enqueue(&enrich(stage.world.org().await, lead)).await;
        stage
    }

    async fn enqueue<J: Job>(&self, job: &J) {
        let mut db = self.world.pool.acquire().await.unwrap();
        queue::enqueue(&mut db, job).await.unwrap();
    }

    fn work(&self, more: &[&str]) -> Process {
        let provider = format!("enrichment.url={}", self.provider.url);
        let mut args = vec!["work", "--listen", "127.0.0.1:0", "--set", &provider];
        args.extend(["--set", "enrichment.allow_private=true"]);
        args.extend(more);
        Process::start(&args, self.world.database_url())
    }

    /// The first job of a kind, live or finished.
    async fn job(&self, kind: &str) -> JobRow {
        let mut db = self.world.pool.acquire().await.unwrap();
        for finished in [false, true] {
            let filter = admin::Filter {
                kind: Some(kind.to_owned()),
                finished,
                ..admin::Filter::default()
            };
            let found = admin::list(&mut db, &filter, None).await.unwrap();
            if let Some(job) = found.items.into_iter().next() {
                return job;
            }
        }
        panic!("there is no {kind}");
    }

    /// Waits until the first job of a kind is in a state.
    async fn until(&self, kind: &str, state: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let job = self.job(kind).await;
            if job.state == state {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{job:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().expect("it ends by itself")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_how_it_is() {
    let world = World::new().await;
    let process = Process::start(&["work", "--listen", "127.0.0.1:0"], world.database_url());
    assert_eq!(process.get("/healthz").await, Some((200, "ok\n".into())));
    process.until("/readyz", 200).await;
    let (status, metrics) = process.get("/metrics").await.unwrap();
    assert_eq!(status, 200);
    assert!(metrics.contains("# TYPE leadmill_"), "{metrics}");
}

/// What is resident is what the kernel says, so only where it does.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_one_takes_80_mb_at_most() {
    let stage = Stage::new().await;
    let process = stage.work(&[]);
    answer(stage.provider.asked().await).await;
    stage.until("enrich_lead", "completed").await;
    until_yes(&stage, "SELECT NOT EXISTS (SELECT FROM queue.job)").await;

    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident: u64 = resident
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    println!("{resident} kB");
    assert!(resident <= 80_000, "{resident} kB");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_ended_and_nothing_new_begun() {
    let stage = Stage::new().await;
    let org = stage.world.org().await;
    let mut process = stage.work(&[]);
    let question = stage.provider.asked().await;

    process.signal("-TERM");
    process.until_gone().await;
    stage.enqueue(&score(org, stage.lead)).await;
    answer(question).await;

    assert_eq!(code(process.ended()), 0);
    let ended = stage.job("enrich_lead").await;
    assert_eq!((&*ended.state, ended.attempt), ("completed", 1));
    let waits = stage.job("score_lead").await;
    assert_eq!((&*waits.state, waits.attempt), ("ready", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_gives_back_what_runs() {
    let stage = Stage::new().await;
    let mut process = stage.work(&[]);
    let question = stage.provider.asked().await;

    process.signal("-TERM");
    process.until_gone().await;
    // Another one: the same again at once would be the same wish.
    process.signal("-INT");

    assert_eq!(code(process.ended()), UNAVAILABLE);
    assert_eq!(process.said("1 jobs had not ended").len(), 1);
    let back = stage.job("enrich_lead").await;
    // It is nobody's fault, so the attempt does not count.
    assert_eq!((&*back.state, back.attempt), ("ready", 0));

    drop(question);
    let next = stage.work(&[]);
    answer(stage.provider.asked().await).await;
    stage.until("enrich_lead", "completed").await;
    drop(next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_longer_than_the_grace_is_given_back() {
    let stage = Stage::new().await;
    let mut process = stage.work(&["--set", "http.grace=200ms"]);
    let _question = stage.provider.asked().await;

    process.signal("-TERM");

    assert_eq!(code(process.ended()), UNAVAILABLE);
    let back = stage.job("enrich_lead").await;
    assert_eq!((&*back.state, back.attempt), ("ready", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_its_job_to_the_next() {
    let stage = Stage::new().await;
    let mut process = stage.work(&["--set", "worker.lease=5s"]);
    let question = stage.provider.asked().await;
    process.signal("-KILL");
    process.ended();
    drop(question);

    let next = stage.work(&["--set", "worker.lease=5s"]);
    answer(stage.provider.asked().await).await;
    stage.until("enrich_lead", "completed").await;
    assert_eq!(stage.job("enrich_lead").await.attempt, 2);
    drop(next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_works_its_own_queues_only() {
    let stage = Stage::new().await;
    let link = SendSignInLink {
        email: "nobody@example.test".into(),
    };
    stage.enqueue(&link).await;

    let process = stage.work(&["--pool", "mail"]);
    stage.until("send_sign_in_link", "skipped").await;

    let left = stage.job("enrich_lead").await;
    assert_eq!((&*left.state, left.attempt), ("ready", 0));
    drop(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_of_a_host_takes_the_next_port() {
    let world = World::new().await;
    let first = Process::start(&["work"], world.database_url());
    let second = Process::start(&["work"], world.database_url());
    assert_ne!(first.url, second.url);
    assert_eq!(second.get("/healthz").await, Some((200, "ok\n".into())));
    let taken = second.said("127.0.0.1:8081 is taken, ");
    assert_eq!(taken.len(), 1, "{taken:?}");

    // One that was asked for is meant.
    let address = first.url.trim_start_matches("http://");
    let mut third = Process::begin(&["work", "--listen", address], world.database_url());
    assert_eq!(code(third.ended()), UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_twice_at_once_is_one_wish() {
    let stage = Stage::new().await;
    let mut process = stage.work(&[]);
    let question = stage.provider.asked().await;

    // As `timeout` does: to the process, and to its group.
    process.signal("-TERM");
    process.signal("-TERM");
    process.until_gone().await;
    answer(question).await;

    assert_eq!(code(process.ended()), 0);
    assert_eq!(stage.job("enrich_lead").await.state, "completed");
    assert!(process.said("had not ended").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_while_nothing_runs_gives_nothing_back() {
    let world = World::new().await;
    let mut process = Process::start(&["work", "--listen", "127.0.0.1:0"], world.database_url());
    process.signal("-TERM");
    process.signal("-INT");
    assert_eq!(code(process.ended()), 0);
    assert!(process.said("had not ended").is_empty());
}

/// Waits until the database says yes.
async fn until_yes(stage: &Stage, question: &'static str) {
    let yes = async {
        while !sqlx::query_scalar::<_, bool>(question)
            .fetch_one(&stage.world.pool)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let yes = tokio::time::timeout(PATIENCE, yes).await;
    assert!(yes.is_ok(), "never: {question}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_finds_the_day_that_is_made_while_it_is_written() {
    let stage = Stage::new().await;
    let mut process = stage.work(&[]);
    let question = stage.provider.asked().await;
    // The week is made once, at the start.
    until_yes(
        &stage,
        "SELECT count(*) > 7 FROM pg_inherits WHERE inhparent = 'queue.job_history'::regclass",
    )
    .await;
    sqlx::raw_sql(
        "DO $$ BEGIN
            EXECUTE format('DROP TABLE queue.job_history_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'));
        END $$",
    )
    .execute(&stage.world.pool)
    .await
    .unwrap();

    let mut making = stage.world.pool.begin().await.unwrap();
    sqlx::query("SELECT queue.make_history_partition((now() AT TIME ZONE 'UTC')::date)")
        .execute(&mut *making)
        .await
        .unwrap();
    answer(question).await;
    until_yes(
        &stage,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'queue.job_history_default'::regclass AND NOT granted)",
    )
    .await;
    making.commit().await.unwrap();

    stage.until("enrich_lead", "completed").await;
    process.signal("-TERM");
    assert_eq!(code(process.ended()), 0);
    let alone = process.said("one by one");
    assert!(alone.is_empty(), "{alone:?}");
}
