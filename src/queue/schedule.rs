//! Work that recurs: what is due when, written once however many processes watch the clock.
//!
//! A tick is a row of `queue.schedule_tick` and the job is enqueued in the transaction that writes it, so a tick that
//! several processes see is one job, and a process that dies in between leaves neither. What time it is is the
//! database's to say: processes whose clocks differ agree. See [`Cadence`] for what happens where clocks are changed.

mod cadence;
mod crontab;
pub(crate) mod ledger;
mod operate;
mod ticker;

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use futures::future::BoxFuture;
use sqlx::PgConnection;

use crate::{Job, enqueue};

pub use cadence::Cadence;
pub use crontab::{Cron, CronError};
pub use operate::{
    BackfillError, ForgetError, MOST_FILLED, ResumeError, ScheduleRow, backfill, backfill_preview,
    forget, list, pause, resume, run_now,
};
pub use ticker::{Ticked, Ticker, tick};

/// What fires: given the nominal time, it writes what is to happen into the tick's transaction.
type Fire = Arc<
    dyn for<'c> Fn(&'c mut PgConnection, DateTime<Utc>) -> BoxFuture<'c, anyhow::Result<()>>
        + Send
        + Sync,
>;

/// Something that recurs under a name.
#[derive(Clone)]
pub struct Schedule {
    name: String,
    cadence: Result<Cadence, ScheduleError>,
    zone: Tz,
    catch_up: CatchUp,
    fire: Fire,
}

/// What becomes of ticks that fell due while no process ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// Nothing: a tick more than five minutes late does not fire.
    Skip,
    /// The last one fires.
    #[default]
    Latest,
    /// The most recent of them fire, up to this many, in order.
    All(u16),
}

/// Why a schedule cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// Its cadence makes no sense.
    #[error("schedule {name}: {why}")]
    Cadence {
        /// The schedule.
        name: String,
        /// What is wrong.
        #[source]
        why: CronError,
    },
    /// It was not said when it recurs.
    #[error("schedule {0}: it is not said when it recurs")]
    NoCadence(String),
    /// Another one has its name.
    #[error("schedule {0}: there are two of this name")]
    Twice(String),
}

impl Schedule {
    /// A schedule that enqueues what `make` gives for the tick's nominal time.
    pub fn new<J: Job>(
        name: impl Into<String>,
        make: impl Fn(DateTime<Utc>) -> J + Send + Sync + 'static,
    ) -> Self {
        let make = Arc::new(make);
        Self::doing(name, move |db, due| {
            let make = make.clone();
            Box::pin(async move {
                let job = make(due);
                enqueue(db, &job).await?;
                Ok(())
            })
        })
    }

    /// A schedule that does as `fire` says in the tick's transaction.
    pub fn doing<F>(name: impl Into<String>, fire: F) -> Self
    where
        F: for<'c> Fn(&'c mut PgConnection, DateTime<Utc>) -> BoxFuture<'c, anyhow::Result<()>>
            + Send
            + Sync
            + 'static,
    {
        let name = name.into();
        Self {
            cadence: Err(ScheduleError::NoCadence(name.clone())),
            name,
            zone: Tz::UTC,
            catch_up: CatchUp::default(),
            fire: Arc::new(fire),
        }
    }

    /// Every day at this time.
    pub fn daily_at(self, hour: u32, minute: u32) -> Self {
        self.cron(&format!("{minute} {hour} * * *"))
    }

    /// Every hour at this minute.
    pub fn hourly_at(self, minute: u32) -> Self {
        self.cron(&format!("{minute} * * * *"))
    }

    /// As five cron fields say: minute, hour, day of month, month, day of week.
    pub fn cron(mut self, fields: &str) -> Self {
        self.cadence = self.named(Cadence::cron(fields, self.zone));
        self
    }

    /// At an interval of minutes from midnight UTC on; it must divide a day.
    pub fn every(mut self, minutes: u32) -> Self {
        self.cadence = self.named(Cadence::every(minutes));
        self
    }

    /// On the clock of `zone`, where it would be UTC's.
    pub fn zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self.cadence = self.cadence.map(|cadence| cadence.in_zone(zone));
        self
    }

    /// What becomes of missed ticks, where it would be that the last one fires.
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it recurs, or why that is not known.
    pub fn cadence(&self) -> Result<&Cadence, ScheduleError> {
        self.cadence.as_ref().map_err(Clone::clone)
    }

    fn named(&self, cadence: Result<Cadence, CronError>) -> Result<Cadence, ScheduleError> {
        let name = self.name.clone();
        cadence.map_err(|why| ScheduleError::Cadence { name, why })
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("name", &self.name)
            .field("cadence", &self.cadence)
            .field("catch_up", &self.catch_up)
            .finish_non_exhaustive()
    }
}

impl Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip => write!(f, "skip"),
            Self::Latest => write!(f, "latest"),
            Self::All(most) => write!(f, "all {most}"),
        }
    }
}

/// A stored cadence makes no sense to this program.
#[derive(Debug, thiserror::Error)]
#[error("the stored cadence {0:?} is not understood")]
pub struct UnknownCadence(String);

impl Cadence {
    /// Reads what [`Cadence::text`] wrote.
    fn stored(text: &str, zone: &str) -> Result<Self, UnknownCadence> {
        let unknown = || UnknownCadence(text.to_owned());
        let minutes = text.strip_prefix("every ");
        let minutes = minutes.and_then(|rest| rest.strip_suffix(" minutes"));
        match minutes {
            Some(minutes) => minutes
                .parse()
                .ok()
                .and_then(|minutes| Self::every(minutes).ok())
                .ok_or_else(unknown),
            None => {
                let zone = Tz::from_str(zone).map_err(|_| unknown())?;
                Self::cron(text, zone).map_err(|_| unknown())
            }
        }
    }
}
