//! Say why a job is waiting.

use std::fmt::{self, Display};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{COUNTED_TO, Counted, Scope, question};
use crate::allow::{self, Candidate, Refusal};
use crate::store::ruled;

/// Why a job is where it is; the first that holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// Its queue, its kind, its lane or its limit key is paused.
    Paused {
        /// Which of them.
        scope: Scope,
        /// The name of it.
        name: String,
    },
    /// As many jobs run as may.
    Limited {
        /// Of what.
        scope: Scope,
        /// The name of it.
        name: String,
    },
    /// A rate lets no more start for now.
    Slowed {
        /// Of what.
        scope: Scope,
        /// The name of it.
        name: String,
        /// In how many seconds one more may.
        seconds: f64,
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
    lane: Option<Uuid>,
    limit_key: String,
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
            j.lane, j.limit_key,
            EXISTS (SELECT FROM queue.node n WHERE n.lease_until > now() AND j.queue = ANY(n.queues)) AS served,
            EXISTS (SELECT FROM queue.node n WHERE n.lease_until > now() AND j.queue = ANY(n.queues)
                AND j.kind = ANY(n.kinds)) AS known,
            (SELECT count(*) FROM (
                SELECT FROM queue.job o
                WHERE o.state = 0 AND o.lease_by IS NULL AND o.queue = j.queue
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
        let kept_back = kept_back(&mut tx, id, &facts).await?;
        return Ok(facts.tell(kept_back));
    }
    let outcome = sqlx::query_scalar("SELECT outcome FROM queue.job_history WHERE id = $1 LIMIT 1")
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(outcome.map_or(Waiting::Unknown, |outcome| Waiting::Finished { outcome }))
}

/// What rule keeps a job that waits for a worker from starting.
async fn kept_back(db: &mut PgConnection, id: i64, facts: &Facts) -> sqlx::Result<Option<Waiting>> {
    if facts.node.is_some() || !matches!(facts.state, 0 | 4) {
        return Ok(None);
    }
    let job = Candidate {
        id,
        kind: facts.kind.clone(),
        lane: facts.lane,
        limit_key: facts.limit_key.clone(),
        held: facts.state == 4,
    };
    let rules = ruled::in_force(db, &facts.queue, std::slice::from_ref(&job)).await?;
    if rules.is_empty() {
        return Ok(None);
    }
    let busy = ruled::busy(db).await?;
    let refusal = allow::refusal(&facts.queue, &job, &rules, &busy);
    Ok(refusal.map(|(scope, name, why)| match why {
        Refusal::Paused => Waiting::Paused { scope, name },
        Refusal::Full => Waiting::Limited { scope, name },
        Refusal::Rate(seconds) => Waiting::Slowed {
            scope,
            name,
            seconds,
        },
    }))
}

impl Facts {
    fn tell(self, kept_back: Option<Waiting>) -> Waiting {
        if let Some(kept_back) = kept_back {
            return kept_back;
        }
        let Self { queue, kind, .. } = self;
        match (self.state, self.node) {
            (_, Some(node)) => Waiting::Running {
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
            Self::Paused { scope, name } => write!(f, "the {scope} {name} is paused"),
            Self::Limited { scope, name } => {
                write!(f, "as many jobs of the {scope} {name} run as may")
            }
            Self::Slowed {
                scope,
                name,
                seconds,
            } => write!(
                f,
                "the rate of the {scope} {name} lets the next job start in {seconds:.1} s"
            ),
            Self::NoWorker { queue } => write!(f, "no live worker serves the queue {queue}"),
            Self::UnknownKind { kind } => {
                write!(f, "no live worker that serves its queue knows {kind}")
            }
            Self::Behind { others: Counted(0) } => write!(f, "it is next"),
            Self::Behind { others } => write!(f, "it is behind {others} others"),
        }
    }
}
