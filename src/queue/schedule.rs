//! What recurs.

mod cadence;
mod crontab;

pub use cadence::Cadence;
pub use crontab::{Cron, CronError};
