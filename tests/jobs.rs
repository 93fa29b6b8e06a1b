//! Jobs: what each makes of the world, through the queue, with a mail server and a provider outside.

mod assume_sent;
mod concurrent;
mod credits;
mod enrich_lead;
mod forget_expired;
mod hostile;
mod notify_rep;
mod process_intake;
mod refresh_org_scores;
mod refresh_scores;
mod remind_follow_ups;
mod remind_org_follow_ups;
mod repeated;
mod score_lead;
mod send_mail;
mod send_sign_in_link;
mod wire;

use std::collections::BTreeMap;

use chrono::DateTime;
use domain::capture::Capture;
use domain::clock::Timestamp;
use domain::command;
use domain::id::{IntakeEventId, LeadId, OrgId, UserId};
use domain::lead::{CaptureChannel, Details, Lead};
use domain::member::Role;
use domain::store::bell::{self, News};
use domain::store::intake_events::{self, NewEvent};
use domain::store::{Tx, lead_pages};
use domain::submission::Submission;
use jobs::{EnrichLead, NotifyRep, ProcessIntake, Reason, ScoreLead};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::World;

/// The time that a text names.
fn time(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// A world with an org and somebody who runs it.
async fn staffed() -> (World, OrgId, UserId) {
    staffed_at("2030-03-04T09:00:00Z").await
}

/// The same at a given time.
async fn staffed_at(text: &str) -> (World, OrgId, UserId) {
    let world = World::at(time(text)).await;
    let org = world.org().await;
    let boss = world.member(org, "Boss", Role::Owner).await.user;
    (world, org, boss)
}

/// What jane@example.com says of herself.
fn jane() -> Submission {
    Submission {
        first_name: Some("Jane".into()),
        last_name: Some("Smith".into()),
        email: Some("jane@example.com".into()),
        ..Submission::default()
    }
}

/// Keeps a submission as intake does, with its job.
async fn submit(world: &World, org: OrgId, submission: &Submission) -> IntakeEventId {
    let id = IntakeEventId::new();
    let key = id.to_string();
    let event = NewEvent {
        id,
        org,
        channel: None,
        form: None,
        provider: "trpc",
        dedupe_key: &key,
        content_type: None,
        headers: json!({}),
        body: b"{}",
        submission,
        remote_ip: "192.0.2.1".into(),
        spam: false,
        received_at: world.clock.now(),
    };
    let mut tx = world.db.org(org).await.unwrap();
    assert!(intake_events::insert(&mut tx, &event).await.unwrap());
    let job = ProcessIntake { org, event: id };
    queue::enqueue(&mut tx, &job).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// A lead, without the jobs that would follow.
async fn lead_with(world: &World, org: OrgId, change: impl FnOnce(&mut Capture)) -> LeadId {
    let mut capture = Capture::by(CaptureChannel::Api);
    capture.details = Details {
        first_name: Some("Jane".into()),
        last_name: Some("Smith".into()),
        email: Some(format!("jane-{}@example.com", Uuid::now_v7().simple())),
        ..Details::default()
    };
    change(&mut capture);
    let mut tx = world.db.org(org).await.unwrap();
    let captured = command::capture_lead(&mut tx, &world.act(org), &capture).await;
    tx.commit().await.unwrap();
    captured.unwrap().lead
}

/// The same, nothing special.
pub(crate) async fn lead(world: &World, org: OrgId) -> LeadId {
    lead_with(world, org, |_| {}).await
}

async fn find(world: &World, org: OrgId, lead: LeadId) -> Lead {
    let mut tx = world.db.org(org).await.unwrap();
    let found = lead_pages::find(&mut tx, org, lead).await.unwrap();
    found.expect("the lead is there")
}

/// Every lead of the org.
async fn leads(world: &World, org: OrgId) -> Vec<Lead> {
    let mut tx = world.db.org(org).await.unwrap();
    lead_pages::list(&mut tx, org, &Default::default(), 100)
        .await
        .unwrap()
}

/// What somebody was told by the bell, oldest first.
async fn news(world: &World, org: OrgId, user: UserId) -> Vec<News> {
    let mut tx = world.db.org(org).await.unwrap();
    let latest_first = bell::list(&mut tx, org, user, false, None, 100).await;
    latest_first.unwrap().into_iter().rev().collect()
}

/// The kinds of that.
async fn kinds(world: &World, org: OrgId, user: UserId) -> Vec<String> {
    let news = news(world, org, user).await;
    news.into_iter().map(|news| news.kind).collect()
}

/// Changes rows of the org directly, where no command does what a test needs.
async fn change(world: &World, org: OrgId, sql: &'static str) {
    let mut tx: Tx = world.db.org(org).await.unwrap();
    sqlx::query(sql).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// How many rows each of the org's tables has, and what is in them, but for those that nothing is in.
async fn everything(world: &World, org: OrgId) -> BTreeMap<String, (i64, String)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relrowsecurity AND relkind IN ('r', 'p') AND NOT relispartition \
         AND has_table_privilege('leadmill_app', oid, 'SELECT')",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let mut all = BTreeMap::new();
    let mut tx = world.db.org(org).await.unwrap();
    for table in tables {
        let rows = format!(
            "SELECT count(*), coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') FROM {table} t"
        );
        let found: (i64, String) = sqlx::query_as(sqlx::AssertSqlSafe(rows))
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        if found.0 > 0 {
            all.insert(table, found);
        }
    }
    all
}

pub(crate) fn enrich(org: OrgId, lead: LeadId) -> EnrichLead {
    EnrichLead { org, lead }
}

pub(crate) fn score(org: OrgId, lead: LeadId) -> ScoreLead {
    let trigger = domain::score::Cause::Manual;
    ScoreLead { org, lead, trigger }
}

fn notify(org: OrgId, lead: LeadId, reason: Reason) -> NotifyRep {
    NotifyRep { org, lead, reason }
}

/// A mail taken apart: its headers, and the text of its parts.
#[derive(Debug)]
struct Letter {
    head: String,
    text: String,
    html: String,
}

impl Letter {
    fn read(raw: &[u8]) -> Self {
        let raw = std::str::from_utf8(raw).expect("a mail is ASCII here");
        let (head, body) = raw.split_once("\r\n\r\n").expect("a mail has a body");
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mark = head.split("boundary=\"").nth(1).expect("it has parts");
        let mark = format!("--{}", mark.split('"').next().unwrap());
        let part = |kind: &str| {
            let mut parts = body.split(mark.as_str());
            let found = parts.find_map(|part| {
                let (head, body) = part.split_once("\r\n\r\n")?;
                head.contains(kind).then(|| decode(head, body))
            });
            found.unwrap_or_else(|| panic!("no {kind} in {body}"))
        };
        Self {
            text: part("text/plain"),
            html: part("text/html"),
            head,
        }
    }

    /// A header of the mail, folds undone.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A part as it was before it was made fit for transport.
fn decode(head: &str, body: &str) -> String {
    let head = head.to_ascii_lowercase();
    if head.contains("base64") {
        use base64::Engine as _;
        let packed: String = body.split_ascii_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(packed);
        return String::from_utf8(bytes.unwrap()).unwrap();
    }
    if !head.contains("quoted-printable") {
        return body.to_owned();
    }
    let joined = body.replace("=\r\n", "");
    let (mut bytes, mut rest) = (Vec::new(), joined.as_str());
    while let Some((before, after)) = rest.split_once('=') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap()
}

/// The mails of this world, oldest first.
async fn letters(world: &World) -> Vec<Letter> {
    let mails = world.mailbox().await.mails();
    mails
        .iter()
        .rev()
        .map(|mail| Letter::read(&mail.raw))
        .collect()
}

/// Everything that jobs of this kind came to, as the queue's history says, oldest first.
async fn results(world: &World, kind: &str) -> Vec<(String, Option<Value>)> {
    sqlx::query_as(
        "SELECT outcome::text, result FROM queue.job_history WHERE kind = $1 ORDER BY id",
    )
    .bind(kind)
    .fetch_all(&world.pool)
    .await
    .unwrap()
}
