//! Which connections may be used: alive, and to a server that takes writes.
//!
//! After a failover the old primary may still answer, but only to reads. A connection to it looks healthy, and a pool would go
//! on handing it out. So a connection is asked whether it can write: when it is new, when it has been idle for a while, once
//! a second for the whole pool, and every time for some seconds after one of them could not.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlx::{Executor, PgConnection};

/// How long a connection may be idle before it may have died without our noticing.
const IDLE: Duration = Duration::from_secs(1);
/// How often a busy pool asks through whichever connection is at hand.
const EVERY: Duration = Duration::from_secs(1);
/// How long every connection is asked after one of them was of no use.
const SUSPICION: Duration = Duration::from_secs(10);
/// How long an answer may take before the connection counts as dead.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a pool knows of its server.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    asked: Option<Instant>,
    suspect_until: Option<Instant>,
}

impl Health {
    /// Whether `db` may be handed out after it was idle for `idle`.
    pub(super) async fn is_usable(&self, db: &mut PgConnection, idle: Duration) -> bool {
        if idle < IDLE && !self.must_ask(Instant::now()) {
            return true;
        }
        let usable = matches!(
            tokio::time::timeout(PATIENCE, can_write(db)).await,
            Ok(Ok(true))
        );
        if !usable {
            self.known().suspect_until = Some(Instant::now() + SUSPICION);
        }
        usable
    }

    fn must_ask(&self, now: Instant) -> bool {
        let mut known = self.known();
        let suspect = known.suspect_until.is_some_and(|until| now < until);
        let due = known.asked.is_none_or(|asked| now - asked >= EVERY);
        if due {
            known.asked = Some(now);
        }
        suspect || due
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Prepares a new connection; one that cannot write is refused, and another is tried.
pub(super) async fn set_up(
    db: &mut PgConnection,
    statement: Duration,
    idle: Duration,
) -> sqlx::Result<()> {
    // After connecting, not while: a pooler in between may refuse start-up parameters.
    sqlx::query("SELECT set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $2, false)")
        .bind(statement.as_millis().to_string())
        .bind(idle.as_millis().to_string())
        .execute(&mut *db)
        .await?;
    if can_write(db).await? {
        Ok(())
    } else {
        Err(sqlx::Error::Configuration(
            "the server takes no writes".into(),
        ))
    }
}

async fn can_write(db: &mut PgConnection) -> sqlx::Result<bool> {
    let row = db
        .fetch_one("SELECT current_setting('transaction_read_only') = 'off'")
        .await?;
    sqlx::Row::try_get(&row, 0)
}
