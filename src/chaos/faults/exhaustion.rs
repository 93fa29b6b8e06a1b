//! The server has no connection left, and those that the workers had are ended.

use std::time::Duration;

use anyhow::ensure;
use sqlx::{Connection, PgConnection};

use super::{all_run, until_at_work};
use crate::bench::progress::Progress;
use crate::chaos::fleet::Member;
use crate::chaos::journal::{self, Fault};
use crate::chaos::stage::Stage;
use crate::chaos::store;

/// So many attempts begin between two times.
const STARTS: usize = 10;
/// For how long no connection is left.
const TIME: Duration = Duration::from_millis(1_500);
/// More than any server has here.
const MOST: usize = 1_000;
/// What a server says that has none left.
const TOO_MANY: &str = "53300";

/// Takes every connection `count` times.
pub(in crate::chaos) async fn exhaustions(
    stage: &Stage,
    fleet: &mut [Member],
    count: usize,
) -> anyhow::Result<()> {
    let progress = Progress::begin("times without connections", count);
    for number in 0..count {
        let at = journal::now();
        let mut superuser = stage.superuser().await?;
        let url = stage.primary.url("postgres");
        let (mut taken, mut sessions) = (Vec::new(), Vec::new());
        let mut refused = take(&url, &mut taken, &mut sessions).await?;
        store::end_sessions(&mut superuser, &sessions).await?;
        refused |= take(&url, &mut taken, &mut sessions).await?;
        ensure!(refused, "the server never ran out of connections");
        tokio::time::sleep(TIME).await;
        drop(taken);
        superuser.close().await?;
        stage.journal.fault(at, Fault::Exhaustion)?;
        until_at_work(stage, journal::now(), STARTS).await?;
        progress.at(number + 1);
    }
    all_run(fleet)
}

/// Takes all connections that there are; whether the server came to say that none is left.
async fn take(
    url: &str,
    taken: &mut Vec<PgConnection>,
    sessions: &mut Vec<i32>,
) -> anyhow::Result<bool> {
    while taken.len() < MOST {
        match PgConnection::connect(url).await {
            Ok(mut db) => {
                sessions.push(store::session(&mut db).await?);
                taken.push(db);
            }
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(TOO_MANY) => {
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
