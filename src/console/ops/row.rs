//! A job as lists and its own page show it.

use std::collections::HashMap;

use chrono_tz::Tz;
use domain::clock::Timestamp;
use domain::store::orgs;
use queue::admin::JobRow;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::console::moment::{Moment, span};
use crate::console::words;

/// A state with its colour.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StateMark {
    text: String,
    tone: &'static str,
}

impl StateMark {
    pub(super) fn of(state: &str) -> Self {
        let (text, tone) = match state {
            "discarded" => ("Dead letter".to_owned(), "lost"),
            state => (
                words::spoken(state),
                match state {
                    "running" | "begun" => "working",
                    "failed" => "lost",
                    "completed" => "won",
                    "parked" | "held" => "deal",
                    _ => "intake",
                },
            ),
        };
        Self { text, tone }
    }
}

/// A job.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: i64,
    kind: String,
    queue: String,
    state: StateMark,
    /// The org that it works for; the platform itself has none.
    org: Option<String>,
    attempt: i16,
    max_attempts: i16,
    priority: i16,
    /// From when it could run to when it did, or to now.
    waited: Option<String>,
    /// How long the last attempt took, or takes.
    ran: Option<String>,
    /// When it is due, of those whose time has not come.
    next: Option<Moment>,
    /// When it was made, or finished.
    at: Moment,
    /// The first line of what went wrong last.
    error: String,
    may_retry: bool,
    may_cancel: bool,
    may_delete: bool,
}

/// Who reads, and when.
pub(super) struct Reader {
    pub(super) now: Timestamp,
    pub(super) zone: Tz,
    orgs: HashMap<Uuid, String>,
}

impl Reader {
    /// A reader who knows the orgs of these lanes by name, as far as `db` shows them.
    pub(super) async fn new(
        db: &mut PgConnection,
        now: Timestamp,
        zone: Tz,
        lanes: impl Iterator<Item = Uuid>,
    ) -> sqlx::Result<Self> {
        let mut lanes: Vec<Uuid> = lanes.collect();
        lanes.sort_unstable();
        lanes.dedup();
        let orgs = orgs::names(db, &lanes).await?.into_iter().collect();
        Ok(Self { now, zone, orgs })
    }

    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        Moment::of(at, self.now, self.zone)
    }

    /// The org of a lane by name, or by its id if the name is not known.
    pub(super) fn org(&self, lane: Option<Uuid>) -> Option<String> {
        lane.map(|lane| {
            let name = self.orgs.get(&lane).cloned();
            name.unwrap_or_else(|| lane.to_string())
        })
    }

    pub(super) fn row(&self, job: &JobRow) -> Row {
        let finished = job.finished_at;
        let waits = matches!(&*job.state, "ready" | "parked" | "held");
        let could_run = job.run_at.unwrap_or(job.created_at).max(job.created_at);
        let waited = if waits {
            Some(self.now - could_run)
        } else {
            job.started_at
                .filter(|_| job.state != "scheduled")
                .map(|started| started - could_run)
        };
        let ran = job
            .started_at
            .filter(|_| finished.is_some() || job.state == "running")
            .map(|started| finished.unwrap_or(self.now) - started);
        let told = |length: chrono::TimeDelta| span(length.as_seconds_f64().max(0.0));
        Row {
            id: job.id,
            kind: job.kind.clone(),
            queue: job.queue.clone(),
            state: StateMark::of(&job.state),
            org: self.org(job.lane),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            priority: job.priority,
            waited: waited.map(told),
            ran: ran.map(told),
            next: job
                .run_at
                .filter(|_| job.state == "scheduled")
                .map(|at| self.moment(at)),
            at: self.moment(finished.unwrap_or(job.created_at)),
            error: first_line(job.last_error.as_deref().unwrap_or_default()),
            may_retry: finished.is_some() || job.state == "scheduled",
            may_cancel: finished.is_none(),
            may_delete: job.state != "running",
        }
    }
}

/// Enough of an error to tell it from others.
fn first_line(error: &str) -> String {
    const MOST: usize = 160;
    let line = error.lines().next().unwrap_or_default();
    let mut cut: String = line.chars().take(MOST).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}
