//! How fast leads are taken in over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use domain::clock::Clock;
use domain::id::OrgId;
use domain::store::Db;
use futures::future::try_join_all;
use queue::Wake;
use serde_json::json;
use sqlx::{Connection, PgPool};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::progress::Progress;
use super::{Figure, Place, people, raw};
use crate::app::App;
use crate::config::Config;
use crate::serve;
use crate::stop::Stop;
use crate::web::view::Views;

/// Senders, each with a connection that it keeps.
const SENDERS: usize = 64;
const GRACE: Duration = Duration::from_secs(5);

/// Sends a number of captures through every layer of the web side, on loopback: from the first byte of the first request to
/// the last answer, each given after its commit. Beside it, a transaction of two inserts each, with no HTTP.
pub async fn intake(place: &Place, captures: usize) -> Result<Vec<Figure>> {
    let org = people::org(&Db::new(place.pool.clone())).await?;
    let numbers: Vec<usize> = (0..captures).collect();
    let shares: Vec<&[usize]> = numbers.chunks(captures.div_ceil(SENDERS).max(1)).collect();

    let began = Instant::now();
    try_join_all(shares.iter().map(|share| insert(&place.pool, org, share))).await?;
    let raw = rate(captures, began);

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let stop = Stop::default();
    let routes = routes(place, stop.clone())?;
    let server = tokio::spawn(serve::run(listener, routes, stop.clone(), GRACE));
    let began = Instant::now();
    let progress = Progress::begin("captures sent", captures);
    try_join_all(
        shares
            .iter()
            .map(|share| send(address, org, share, &progress)),
    )
    .await?;
    let ours = rate(captures, began);
    drop(progress);
    stop.ask();
    server.await??;

    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM queue.job WHERE kind = 'process_intake'")
            .fetch_one(&place.pool)
            .await?;
    ensure!(
        usize::try_from(kept) == Ok(captures),
        "{kept} of {captures} captures were kept"
    );
    Ok(vec![Figure::new("intake", ours, raw, "captures/s")])
}

/// All routes, for senders that are in a hurry.
fn routes(place: &Place, stop: Stop) -> Result<axum::Router> {
    let mut config = Config::default();
    config.intake.per_ip_per_minute = u32::MAX;
    config.intake.per_ip_burst = u32::MAX;
    config.intake.per_org_per_minute = u32::MAX;
    let pool = place.pool.clone();
    let wake = Wake::new(pool.clone());
    let views = Views::load(None).map_err(|_| anyhow!("the built-in pages are no templates"))?;
    let app = App::new(Arc::new(config), views, pool, Clock::system(), wake, stop);
    Ok(serve::router(app))
}

fn capture(org: OrgId, number: usize) -> String {
    json!({
        "orgId": org,
        "firstName": "Jane",
        "lastName": "Doe",
        "email": format!("jane.doe.{number}@example.test"),
        "company": "Example Inc",
        "jobTitle": "Head of Sales",
        "message": "Please tell me more.",
        "source": "website",
    })
    .to_string()
}

async fn send(address: SocketAddr, org: OrgId, share: &[usize], progress: &Progress) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    for number in share {
        let body = capture(org, *number);
        let head = format!(
            "POST /api/trpc/crm.leads.capture HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.flush().await?;
        accepted(&mut stream).await?;
        progress.more(1);
    }
    Ok(())
}

/// Reads an answer, which has to be 200.
async fn accepted(stream: &mut BufStream<TcpStream>) -> Result<()> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let is_ok = line.starts_with("HTTP/1.1 200");
    let status = line.trim().to_owned();
    let mut length = None;
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse()?);
        }
    }
    let mut body = vec![0; length.context("an answer without a length")?];
    stream.read_exact(&mut body).await?;
    if !is_ok {
        bail!("answered {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

async fn insert(pool: &PgPool, org: OrgId, share: &[usize]) -> Result<()> {
    let mut db = pool.acquire().await?;
    for number in share {
        let id = Uuid::now_v7();
        let body = capture(org, *number);
        let job = json!({"org": org, "event": id}).to_string();
        let mut tx = db.begin().await?;
        sqlx::query(include_str!("raw/event.sql"))
            .bind(id)
            .bind(org)
            .bind(id.to_string())
            .bind(body.as_bytes())
            .bind(&body)
            .execute(&mut *tx)
            .await?;
        raw::insert(&mut tx, &[job]).await?;
        tx.commit().await?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 captures")]
fn rate(captures: usize, since: Instant) -> f64 {
    (captures as f64 / since.elapsed().as_secs_f64()).round()
}
