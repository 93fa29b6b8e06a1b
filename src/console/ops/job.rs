//! One job: what it is, why it waits, and what each attempt said.

use anyhow::Context;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::clock::Timestamp;
use domain::normalise::capitalised;
use queue::admin::{self, JobDetail, Waiting};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filter::PATH;
use super::row::{Reader, Row, StateMark};
use super::{open, sight_of};
use crate::app::App;
use crate::commands::Refused;
use crate::console::Failed;
use crate::console::frame::Frame;
use crate::console::moment::Moment;
use crate::console::words;
use crate::web::secrets::{masked, masked_key};
use crate::web::session::Session;

/// The page.
#[derive(Debug, Serialize)]
struct JobPage {
    frame: Frame,
    job: Row,
    /// What it waits for, or what became of it.
    waiting: String,
    /// Why it was skipped, called off or given up.
    reason: Option<String>,
    facts: Vec<(&'static str, String)>,
    retried_from: Option<i64>,
    steps: Vec<Step>,
    payload: String,
    progress: Option<String>,
    result: Option<String>,
    here: String,
}

/// Something that happened to it.
#[derive(Debug, Serialize)]
struct Step {
    at: Moment,
    mark: StateMark,
    /// Which attempt, if it belongs to one.
    attempt: Option<i64>,
    /// The error with all its causes.
    error: Option<String>,
    /// What the attempt wrote.
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    at: Moment,
    text: String,
}

/// An attempt's error, as it is kept.
#[derive(Debug, Deserialize)]
struct Kept {
    attempt: i64,
    at: Timestamp,
    error: String,
    node: Option<i64>,
}

/// An attempt's line, as it is kept.
#[derive(Debug, Deserialize)]
struct KeptLine {
    attempt: i64,
    at: Timestamp,
    line: String,
}

/// `GET /ops/jobs/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let sight = sight_of(&session)?;
    let missing = || Refused::NotFound("job");
    let id: i64 = id.parse().map_err(|_| missing())?;
    let title = format!("Job {id}");
    let query = query.unwrap_or_default();
    let about = (title, "jobs");
    let (frame, mut tx) = open(sight, &app, &session, about, &query).await?;
    let found = admin::show(&mut tx, id).await?;
    let detail = found
        .filter(|found| sight.takes_in(found.job.lane))
        .ok_or_else(missing)?;
    let waiting = admin::explain(&mut tx, id).await?;
    let lane = detail.job.lane.into_iter();
    let reader = Reader::new(&mut tx, app.clock.now(), session.zone, lane).await?;

    let page = JobPage {
        frame,
        job: reader.row(&detail.job),
        waiting: told(&waiting, detail.job.attempt, &reader),
        reason: detail.reason.as_deref().map(capitalised),
        facts: facts(&detail),
        retried_from: detail.retried_from,
        steps: steps(&detail, &reader)?,
        payload: pretty(&detail.payload),
        progress: detail.progress.as_ref().map(pretty),
        result: detail.result.as_ref().map(pretty),
        here: format!("{PATH}/{id}"),
    };
    Ok(app
        .views
        .page(StatusCode::OK, "console/ops/job.html", &page))
}

/// Why it is where it is, with times on the reader's clock.
fn told(waiting: &Waiting, attempt: i16, reader: &Reader) -> String {
    match waiting {
        Waiting::Future { run_at, failed: 0 } => {
            format!("Its time is {}", reader.moment(*run_at).full)
        }
        Waiting::Future { run_at, failed } => {
            let times = if *failed == 1 {
                "once".to_owned()
            } else {
                format!("{failed} times")
            };
            let full = reader.moment(*run_at).full;
            format!("It failed {times}; next try at {full}")
        }
        Waiting::Finished { outcome } => {
            let times = match attempt {
                1 => "1 attempt".to_owned(),
                times => format!("{times} attempts"),
            };
            match outcome.as_str() {
                "completed" => format!("Done after {times}"),
                "discarded" => format!("Given up after {times}"),
                "skipped" => "Skipped, as there was nothing to do".into(),
                "cancelled" => "Cancelled".into(),
                other => words::spoken(other),
            }
        }
        other => capitalised(&other.to_string()),
    }
}

fn facts(detail: &JobDetail) -> Vec<(&'static str, String)> {
    let some = |name, value: Option<String>| value.map(|value| (name, value));
    let job = &detail.job;
    let all = [
        Some(("Queue", job.queue.clone())),
        Some((
            "Attempt",
            format!("{} of {}", job.attempt, job.max_attempts),
        )),
        Some(("Priority", job.priority.to_string())),
        Some(("Payload version", detail.version.to_string())),
        some(
            "Unique key",
            detail
                .unique_key
                .as_deref()
                .map(|key| masked_key(key, &detail.payload)),
        ),
        some("Trace", detail.trace.clone()),
        some("Node", detail.node.map(|node| node.to_string())),
    ];
    all.into_iter().flatten().collect()
}

/// What happened to it, the newest first.
fn steps(detail: &JobDetail, reader: &Reader) -> anyhow::Result<Vec<Step>> {
    let job = &detail.job;
    let kept: Vec<Kept> =
        serde_json::from_value(detail.errors.clone()).context("reading the errors of a job")?;
    let lines: Vec<KeptLine> =
        serde_json::from_value(detail.log.clone()).context("reading the lines of a job")?;
    let lines_of = |attempt: i64| {
        let own = lines.iter().filter(|line| line.attempt == attempt);
        own.map(|line| Line {
            at: reader.moment(line.at),
            text: line.line.clone(),
        })
        .collect::<Vec<_>>()
    };
    let plain = |at: Timestamp, state: &str| Step {
        at: reader.moment(at),
        mark: StateMark::of(state),
        attempt: None,
        error: None,
        lines: Vec::new(),
    };
    let mut steps = vec![plain(job.created_at, "made")];
    for error in &kept {
        steps.push(Step {
            attempt: Some(error.attempt),
            error: Some(match error.node {
                Some(node) => format!("{}\non node {node}", error.error),
                None => error.error.clone(),
            }),
            lines: lines_of(error.attempt),
            ..plain(error.at, "failed")
        });
    }
    let last = i64::from(job.attempt);
    let last_failed = kept.iter().any(|error| error.attempt == last);
    let started = job.started_at.filter(|_| !last_failed && last > 0);
    if let Some(started) = started {
        steps.push(Step {
            attempt: Some(last),
            lines: lines_of(last),
            ..plain(started, "begun")
        });
    }
    match job.finished_at {
        Some(at) => steps.push(plain(at, &job.state)),
        None => steps.extend(
            job.run_at
                .filter(|_| job.state == "scheduled")
                .map(|at| plain(at, "due")),
        ),
    }
    steps.reverse();
    Ok(steps)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(&masked(value)).unwrap_or_default()
}
