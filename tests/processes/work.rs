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
    process.signal("-TERM");

    assert_eq!(code(process.ended()), UNAVAILABLE);
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
