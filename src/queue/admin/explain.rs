//! Say why a job is waiting.

use std::fmt::{self, Display};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{COUNTED_TO, Counted, question};

/// Why a job is where it is; the first that holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Waiting {
    /// There is none of this id.
    Unknown,
    /// It waits for nothing: it is finished.
    Finished {
        /// How it ended.
        outcome: String,
    },
    /// It waits for nothing: it runs.
    Running {
        /// The node that runs it.
        node: i64,
        /// Whether that node's lease holds; if not, the job is taken back soon.
        alive: bool,
    },
    /// Its time has not come.
    Future {
        /// When it may run.
        run_at: DateTime<Utc>,
        /// Failed attempts that put it off.
        failed: i16,
    },
    /// No worker that ran knew its kind or the version of its payload.
    Parked {
        /// Its kind.
        kind: String,
        /// The version of its payload.
        version: i16,
    },
    /// Its queue is paused.
    Paused {
        /// The queue.
        queue: String,
    },
    /// No live worker serves its queue.
    NoWorker {
        /// The queue.
        queue: String,
    },
    /// Live workers serve its queue, and none of them knows its kind.
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// Others are ahead of it.
    Behind {
        /// How many.
        others: Counted,
    },
}

/// What is needed to tell.
#[derive(sqlx::FromRow)]
struct Facts {
    queue: String,
    kind: String,
    version: i16,
    state: i16,
    run_at: DateTime<Utc>,
    attempt: i16,
    node: Option<i64>,
    node_alive: bool,
    paused: bool,
    served: bool,
    known: bool,
    ahead: Counted,
}

/// Why the job of this id is waiting.
pub async fn explain(db: &mut PgConnection, id: i64) -> sqlx::Result<Waiting> {
    let mut tx = question(db).await?;
    let facts: Option<Facts> = sqlx::query_as(
        r#"
        SELECT j.queue, j.kind, j.version, j.state, j.run_at, j.attempt, j.lease_by AS node,
            EXISTS (SELECT FROM queue.node n WHERE n.id = j.lease_by AND n.lease_until > now()) AS node_alive,
            EXISTS (SELECT FROM queue.queue q WHERE q.name = j.queue AND q.paused) AS paused,
            EXISTS (SELECT FROM queue.node n WHERE n.lease_until > now() AND j.queue = ANY(n.queues)) AS served,
            EXISTS (SELECT FROM queue.node n WHERE n.lease_until > now() AND j.queue = ANY(n.queues)
                AND j.kind = ANY(n.kinds)) AS known,
            (SELECT count(*) FROM (
                SELECT FROM queue.job o
                WHERE o.state = 0 AND o.queue = j.queue
                    AND (o.priority, o.run_at, o.id) < (j.priority, j.run_at, j.id)
                LIMIT $2
            ) o) AS ahead
        FROM queue.job j
        WHERE j.id = $1
        "#,
    )
    .bind(id)
    .bind(COUNTED_TO + 1)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(facts) = facts {
        return Ok(facts.tell());
    }
    let outcome = sqlx::query_scalar("SELECT outcome FROM queue.job_history WHERE id = $1 LIMIT 1")
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(outcome.map_or(Waiting::Unknown, |outcome| Waiting::Finished { outcome }))
}

impl Facts {
    fn tell(self) -> Waiting {
        let Self { queue, kind, .. } = self;
        match (self.state, self.node) {
            (2, Some(node)) => Waiting::Running {
                node,
                alive: self.node_alive,
            },
            (3, _) => Waiting::Parked {
                kind,
                version: self.version,
            },
            (1, _) => Waiting::Future {
                run_at: self.run_at,
                failed: self.attempt,
            },
            _ if self.paused => Waiting::Paused { queue },
            _ if !self.served => Waiting::NoWorker { queue },
            _ if !self.known => Waiting::UnknownKind { kind },
            _ => Waiting::Behind { others: self.ahead },
        }
    }
}

impl Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "there is no such job"),
            Self::Finished { outcome } => write!(f, "it is finished: {outcome}"),
            Self::Running { node, alive: true } => write!(f, "it runs on node {node}"),
            Self::Running { node, .. } => {
                write!(
                    f,
                    "node {node} ran it and is gone; it is about to be taken back"
                )
            }
            Self::Future { run_at, failed: 0 } => write!(f, "it may not run before {run_at}"),
            Self::Future { run_at, failed } => {
                write!(
                    f,
                    "it may not run again before {run_at}, after {failed} attempts"
                )
            }
            Self::Parked { kind, version } => {
                write!(f, "no worker knows {kind} in version {version}")
            }
            Self::Paused { queue } => write!(f, "the queue {queue} is paused"),
            Self::NoWorker { queue } => write!(f, "no live worker serves the queue {queue}"),
            Self::UnknownKind { kind } => {
                write!(f, "no live worker that serves its queue knows {kind}")
            }
            Self::Behind { others: Counted(0) } => write!(f, "it is next"),
            Self::Behind { others } => write!(f, "it is behind {others} others"),
        }
    }
}
