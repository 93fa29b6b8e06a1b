//! How things are: what needs somebody, the last hour, queues, failures, workers, schedules, the database.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::id::OrgId;
use domain::store::mail_ledger;
use jobs::SendMail;
use queue::Job;
use queue::admin::{self, DatabaseRow, FailingRow, FailureRow, NodeRow, QueueRow, Share};
use serde::Serialize;
use sqlx::PgConnection;

use super::alarm::{Alarm, Facts, Machinery};
use super::chart::Chart;
use super::filter::PATH;
use super::row::Reader;
use super::schedules::Schedule;
use super::{begin, sight_of};
use crate::app::App;
use crate::commands::in_time;
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
    // There is none of what the database gave up looking for.
    chart: Option<Chart>,
    queues: Option<Vec<Queue>>,
    failing: Option<Vec<Failing>>,
    failures: Option<Vec<Failure>>,
    workers: Option<Vec<Worker>>,
    schedules: Option<Vec<Schedule>>,
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
    let mut tx = begin(sight, &app, &session).await?;
    let dead = admin::DeadFilter {
        lane: sight.lane,
        ..admin::DeadFilter::default()
    };
    let facts = Facts {
        minutes: in_time(admin::rates(&mut tx, share).await)?,
        machinery: match sight.lane {
            None => Some(machinery(&mut tx).await?),
            Some(_) => None,
        },
        failures: in_time(admin::dead(&mut tx, &dead).await)?,
        failing: in_time(admin::failing(&mut tx, share).await)?,
    };
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, [].into_iter()).await?;

    let mut page = page(frame, facts, &reader);
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

fn page(frame: Frame, facts: Facts, reader: &Reader) -> NowPage {
    let (alarms, cards, whole) = (facts.alarms(), cards(&facts), facts.machinery.is_some());
    let machinery = facts.machinery.unwrap_or_default();
    NowPage {
        at: reader.moment(reader.now),
        whole,
        alarms,
        cards,
        chart: facts
            .minutes
            .map(|minutes| Chart::of(&minutes, reader.zone)),
        failing: all(facts.failing, |row| Failing {
            next: reader.moment(row.next_at),
            row,
        }),
        failures: all(facts.failures, |row| Failure {
            first: reader.moment(row.first_at),
            last: reader.moment(row.last_at),
            row,
        }),
        queues: all(machinery.queues, |row| Queue {
            oldest: row.oldest_ready_seconds.map(span),
            row,
        }),
        workers: all(machinery.nodes, |row| Worker {
            up: reader.moment(row.started_at),
            seen: span(row.seen_seconds_ago),
            row,
        }),
        schedules: all(machinery.schedules, |row| Schedule::of(row, reader)),
        database: machinery.database.map(|row| Database {
            size: size(row.bytes),
            oldest: row.oldest_transaction_seconds.map(span),
            row,
        }),
        frame,
    }
}

fn all<Row, Shown>(rows: Option<Vec<Row>>, shown: impl Fn(Row) -> Shown) -> Option<Vec<Shown>> {
    rows.map(|rows| rows.into_iter().map(shown).collect())
}

async fn machinery(db: &mut PgConnection) -> sqlx::Result<Machinery> {
    Ok(Machinery {
        queues: in_time(admin::queues(db).await)?,
        nodes: in_time(admin::nodes(db).await)?,
        schedules: in_time(admin::schedules(db).await)?,
        database: in_time(admin::database(db).await)?,
    })
}

/// What stands for a figure that is not known.
const UNKNOWN: &str = "–";

fn cards(facts: &Facts) -> Vec<Card> {
    let mut cards = Vec::new();
    let or_unknown = |figure: Option<String>| figure.unwrap_or_else(|| UNKNOWN.into());
    if let Some(machinery) = &facts.machinery {
        let queues = machinery.queues.as_deref();
        let sum = |of: fn(&QueueRow) -> i64| {
            let sum = queues.map(|queues| queues.iter().map(of).sum());
            or_unknown(sum.map(|sum| admin::Counted(sum).to_string()))
        };
        let waits = queues.iter().copied().flatten();
        let waits = waits.filter_map(|queue| queue.oldest_ready_seconds);
        let oldest = or_unknown(waits.max_by(f64::total_cmp).map(span));
        cards.push(Card::new(sum(|queue| queue.ready.0), "ready"));
        cards.push(Card::new(oldest, "first ready waits"));
        cards.push(Card::new(sum(|queue| queue.running.0), "running"));
        cards.push(Card::new(sum(|queue| queue.scheduled.0), "scheduled"));
        let alive = |nodes: &Vec<NodeRow>| nodes.iter().filter(|node| node.alive).count();
        let alive = machinery.nodes.as_ref().map(alive);
        cards.push(Card::new(
            or_unknown(alive.map(|alive| alive.to_string())),
            "workers alive",
        ));
    }
    let minutes = facts.minutes.as_deref();
    let done = minutes.map(|minutes| {
        // The minute that has just begun says nothing yet.
        let whole = minutes.iter().rev().skip(1).take(RATE_OVER);
        let done: i64 = whole.map(|minute| minute.done).sum();
        format!("{:.1}", done as f64 / RATE_OVER as f64)
    });
    cards.push(Card::new(or_unknown(done), "done a minute"));
    let discarded = minutes.map(|minutes| {
        let discarded: i64 = minutes.iter().map(|minute| minute.discarded).sum();
        discarded.to_string()
    });
    cards.push(Card::new(or_unknown(discarded), "dead letters, last hour"));
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
