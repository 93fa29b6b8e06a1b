//! `leadmill serve` as a process.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Process;
use super::proxy::Line;
use crate::harness::World;

const LISTEN: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

#[tokio::test(flavor = "multi_thread")]
async fn it_says_how_it_is() {
    let world = World::new().await;
    let process = Process::start(&LISTEN, world.database_url());
    assert_eq!(process.get("/healthz").await, Some((200, "ok\n".into())));
    assert_eq!(process.get("/readyz").await, Some((200, "ready\n".into())));
    process.get("/nothing").await;
    let (status, metrics) = process.get("/metrics").await.unwrap();
    assert_eq!(status, 200);
    assert!(
        metrics.contains(
            r#"leadmill_http_requests_total{method="GET",route="/healthz",status="200"} 1"#
        ),
        "{metrics}"
    );
    assert!(!metrics.contains("/nothing"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_database_without_a_restart() {
    let world = World::new().await;
    let line = Line::to(world.database_url()).await;
    let process = Process::start(&LISTEN, &line.url);
    process.until("/readyz", 200).await;

    line.cut();
    let red_after = process.until("/readyz", 503).await;
    assert!(red_after < Duration::from_secs(5), "{red_after:?}");
    assert_eq!(
        process.get("/healthz").await.map(|(status, _)| status),
        Some(200)
    );

    line.mend();
    process.until("/readyz", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_finished_before_the_process_ends() {
    let world = World::new().await;
    let mut process = Process::start(&LISTEN, world.database_url());
    let address = process.url.trim_start_matches("http://").to_owned();
    let mut slow = TcpStream::connect(&address).await.unwrap();
    let head = "POST /api/trpc/crm.notifications.markRead HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    slow.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");

    process.signal("-TERM");
    process.until_gone().await;
    slow.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();

    assert!(
        answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"),
        "{answer}"
    );
    assert!(process.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let world = World::new().await;
    let mut process = Process::start(&LISTEN, world.database_url());
    let address = process.url.trim_start_matches("http://").to_owned();
    let mut stuck = TcpStream::connect(&address).await.unwrap();
    stuck
        .write_all(
            b"POST /api/trpc/crm.notifications.markRead HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
        )
        .await
        .unwrap();
    let mut first = [0; 25];
    stuck.read_exact(&mut first).await.unwrap();

    process.signal("-TERM");
    process.until_gone().await;
    process.signal("-TERM");

    assert!(process.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::new().await;
    let process = Process::start(
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--set",
            "http.body_deadline=200ms",
        ],
        world.database_url(),
    );
    let address = process.url.trim_start_matches("http://").to_owned();
    let mut slow = TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"POST /api/trpc/crm.notifications.markRead HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{")
        .await
        .unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
    assert!(answer.contains(r#""code":"TIMEOUT""#), "{answer}");
}
