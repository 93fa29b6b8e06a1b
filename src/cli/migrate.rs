//! `leadmill migrate`: bring the database to this program's schema.

use std::sync::Arc;

use super::{Failure, say};
use crate::config::Config;
use crate::database::{self, DatabaseError};

/// Arguments of `leadmill migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only name what would be applied
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, config: Arc<Config>) -> Result<(), Failure> {
    let pool = database::connect(&config.database, "migrate", 2).await?;
    let pending = database::pending(&pool).await?;
    if args.dry_run && !pending.is_empty() {
        return pending
            .iter()
            .try_for_each(|name| say::line(format_args!("Would apply {name}")));
    }
    // One that nobody hears of is applied all the same.
    let mut said = Ok(());
    let migrated = database::migrate_telling(&pool, |name| {
        if said.is_ok() {
            said = say::line(format_args!("Applying {name}"));
        }
    });
    migrated.await?;
    said?;
    say::line("The database is up to date.")
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match &error {
            DatabaseError::Address => Self::config(format!("database.url: {error}")),
            DatabaseError::Unreachable(_)
            | DatabaseError::TooOld { .. }
            | DatabaseError::Forbidden { .. }
            | DatabaseError::Behind { .. } => Self::unavailable(error),
            DatabaseError::Different(_) | DatabaseError::Migrate(_) | DatabaseError::Sql(_) => {
                Self::outage_or_software(&anyhow::Error::new(error))
            }
        }
    }
}
