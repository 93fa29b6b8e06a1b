//! How things are: what needs somebody, the last hour, queues, failures, workers, schedules, the database.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::id::OrgId;
use domain::store::mail_ledger;
use jobs::SendMail;
use queue::Job;
use queue::admin::{
    self, DatabaseRow, FailingRow, FailureRow, MinuteRow, NodeRow, QueueRow, Share,
};
use serde::Serialize;
use sqlx::PgConnection;

use super::alarm::{Alarm, Facts};
use super::chart::Chart;
use super::filter::PATH;
use super::row::Reader;
use super::schedules::Schedule;
use super::{begin, in_time, sight_of};
use crate::app::App;
use crate::console::Failed;
use crate::console::frame::Frame;
use crate::console::moment::{Moment, span};
use crate::web::session::Session;

/// Minutes over which a rate is told.
const RATE_OVER: usize = 5;

/// The page.
#[derive(Debug, Serialize)]
struct NowPage {
    frame: Frame,
    /// When it was looked, on the reader's clock.
    at: Moment,
    /// Whether all orgs are looked at, and the machinery.
    whole: bool,
    alarms: Vec<Alarm>,
    cards: Vec<Card>,
    chart: Option<Chart>,
    queues: Vec<Queue>,
    failing: Vec<Failing>,
    failures: Vec<Failure>,
    workers: Vec<Worker>,
    schedules: Vec<Schedule>,
    database: Option<Database>,
}

/// A figure.
#[derive(Debug, Serialize)]
struct Card {
    figure: String,
    text: &'static str,
    /// Where more is told of it, if anywhere.
    url: String,
}

impl Card {
    fn new(figure: String, text: &'static str) -> Self {
        Self {
            figure,
            text,
            url: String::new(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Queue {
    #[serde(flatten)]
    row: QueueRow,
    oldest: Option<String>,
}

/// Jobs that failed for one reason and are tried again.
#[derive(Debug, Serialize)]
struct Failing {
    #[serde(flatten)]
    row: FailingRow,
    next: Moment,
}

#[derive(Debug, Serialize)]
struct Failure {
    #[serde(flatten)]
    row: FailureRow,
    first: Moment,
    last: Moment,
}

#[derive(Debug, Serialize)]
struct Worker {
    #[serde(flatten)]
    row: NodeRow,
    up: Moment,
    seen: String,
}

#[derive(Debug, Serialize)]
struct Database {
    #[serde(flatten)]
    row: DatabaseRow,
    size: String,
    oldest: Option<String>,
}

/// `GET /ops`.
pub(super) async fn show(
    State(app): State<App>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    let query = query.unwrap_or_default();
    let mut tx = session.begin(&app).await?;
    let frame = Frame::new(&mut tx, &session, "Now", "now", &query).await?;
    let unknown = mail_ledger::unknown(&mut tx, session.member.org, app.clock.now()).await?;
    drop(tx);

    let share = Share {
        queue: None,
        lane: sight.lane,
    };
    let whole = sight.lane.is_none();
    let mut tx = begin(sight, &app, &session).await?;
    let minutes = in_time(admin::rates(&mut tx, share).await)?;
    let mut facts = if whole {
        machinery(&mut tx).await?
    } else {
        Facts::default()
    };
    let dead = admin::DeadFilter {
        lane: sight.lane,
        ..admin::DeadFilter::default()
    };
    facts.failures = in_time(admin::dead(&mut tx, &dead).await)?.unwrap_or_default();
    facts.failing = in_time(admin::failing(&mut tx, share).await)?.unwrap_or_default();
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, [].into_iter()).await?;

    let mut page = page(frame, facts, minutes, whole, &reader);
    page.cards.push(Card {
        url: doubtful(unknown, session.member.org),
        ..Card::new(unknown.to_string(), "of your mails may or may not be sent")
    });
    Ok(app
        .views
        .page(StatusCode::OK, "console/ops/now.html", &page))
}

/// The jobs that left a mail alone because it may be sent; nowhere if there is no such mail.
fn doubtful(unknown: i64, org: OrgId) -> String {
    if unknown == 0 {
        return String::new();
    }
    let kind = SendMail::NAME;
    format!("{PATH}?finished=true&state=skipped&kind={kind}&org={org}")
}

fn page(
    frame: Frame,
    facts: Facts,
    minutes: Option<Vec<MinuteRow>>,
    whole: bool,
    reader: &Reader,
) -> NowPage {
    NowPage {
        at: reader.moment(reader.now),
        whole,
        alarms: facts.alarms(),
        cards: cards(&facts, minutes.as_deref(), whole),
        chart: minutes.map(|minutes| Chart::of(&minutes, reader.zone)),
        failing: all(facts.failing, |row| Failing {
            next: reader.moment(row.next_at),
            row,
        }),
        failures: all(facts.failures, |row| Failure {
            first: reader.moment(row.first_at),
            last: reader.moment(row.last_at),
            row,
        }),
        queues: all(facts.queues, |row| Queue {
            oldest: row.oldest_ready_seconds.map(span),
            row,
        }),
        workers: all(facts.nodes, |row| Worker {
            up: reader.moment(row.started_at),
            seen: span(row.seen_seconds_ago),
            row,
        }),
        schedules: all(facts.schedules, |row| Schedule::of(row, reader)),
        database: facts.database.map(|row| Database {
            size: size(row.bytes),
            oldest: row.oldest_transaction_seconds.map(span),
            row,
        }),
        frame,
    }
}

fn all<Row, Shown>(rows: Vec<Row>, shown: impl Fn(Row) -> Shown) -> Vec<Shown> {
    rows.into_iter().map(shown).collect()
}

/// How the queues, workers, schedules and the database are.
async fn machinery(db: &mut PgConnection) -> sqlx::Result<Facts> {
    Ok(Facts {
        queues: in_time(admin::queues(db).await)?.unwrap_or_default(),
        nodes: in_time(admin::nodes(db).await)?.unwrap_or_default(),
        schedules: admin::schedules(db).await?,
        database: in_time(admin::database(db).await)?,
        ..Facts::default()
    })
}

fn cards(facts: &Facts, minutes: Option<&[MinuteRow]>, whole: bool) -> Vec<Card> {
    let mut cards = Vec::new();
    if whole {
        let sum = |of: fn(&QueueRow) -> i64| {
            let most = facts.queues.iter().map(of).sum::<i64>();
            admin::Counted(most).to_string()
        };
        let oldest = facts
            .queues
            .iter()
            .filter_map(|queue| queue.oldest_ready_seconds);
        let oldest = oldest.max_by(f64::total_cmp);
        cards.push(Card::new(sum(|queue| queue.ready.0), "ready"));
        cards.push(Card::new(
            oldest.map_or_else(|| "–".into(), span),
            "first ready waits",
        ));
        cards.push(Card::new(sum(|queue| queue.running.0), "running"));
        cards.push(Card::new(sum(|queue| queue.scheduled.0), "scheduled"));
        let alive = facts.nodes.iter().filter(|node| node.alive).count();
        cards.push(Card::new(alive.to_string(), "workers alive"));
    }
    if let Some(minutes) = minutes {
        // The minute that has just begun says nothing yet.
        let whole_minutes = minutes.iter().rev().skip(1).take(RATE_OVER);
        let done: i64 = whole_minutes.map(|minute| minute.done).sum();
        cards.push(Card::new(
            format!("{:.1}", done as f64 / RATE_OVER as f64),
            "done a minute",
        ));
        let discarded: i64 = minutes.iter().map(|minute| minute.discarded).sum();
        cards.push(Card::new(discarded.to_string(), "dead letters, last hour"));
    }
    cards
}

/// Bytes as people say them.
fn size(bytes: i64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if amount < 1_000.0 {
            return format!("{amount:.0} {unit}");
        }
        amount /= 1_000.0;
    }
    format!("{amount:.1} TB")
}
