//! `leadmill migrate`: bring the database to this program's schema.

use std::sync::Arc;

use super::Failure;
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
    if pending.is_empty() {
        println!("The database is up to date.");
        return Ok(());
    }
    for name in &pending {
        println!(
            "{} {name}",
            if args.dry_run {
                "Would apply"
            } else {
                "Applying"
            }
        );
    }
    if !args.dry_run {
        database::migrate(&pool).await?;
        println!("The database is up to date.");
    }
    Ok(())
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match &error {
            DatabaseError::Address => Self::config(format!("database.url: {error}")),
            DatabaseError::Unreachable(_)
            | DatabaseError::TooOld { .. }
            | DatabaseError::Behind { .. } => Self::unavailable(error),
            DatabaseError::Different(_) | DatabaseError::Migrate(_) | DatabaseError::Sql(_) => {
                Self::software(&anyhow::Error::new(error))
            }
        }
    }
}
