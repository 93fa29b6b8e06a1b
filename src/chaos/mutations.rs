//! A test of the tests: with a safeguard taken out, the judge must find what it guards against.

use std::time::Duration;

use sqlx::Connection;

use super::checker::Verdict;
use super::dose::Dose;
use super::fleet::{Member, Model};
use super::stage::Stage;
use super::store::mutations as store;
use super::{PACE, faults};

/// How long what is left may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A safeguard that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// None: the judge has to find nothing.
    None,
    /// The comparison of epochs.
    Fence,
    /// The index that keeps two jobs of a key from living at once.
    Unique,
    /// The attempt that is given back when a job is.
    Refund,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Fence, Self::Unique, Self::Refund];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Fence => "the fence",
            Self::Unique => "the unique index",
            Self::Refund => "the refund",
        }
    }

    /// What the judge found of the kind that it has to find.
    fn found(self, verdict: &Verdict) -> &[String] {
        match self {
            Self::None => &[],
            Self::Fence => &verdict.stale_accepted,
            Self::Unique => &verdict.unexplained_duplicates,
            Self::Refund => &verdict.lost,
        }
    }
}

/// Tries each mutation in a database of its own; gives those that went as they should not have, with the reason.
pub async fn mutations() -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for mutation in Mutation::ALL {
        let verdict = with(mutation).await?;
        let found = mutation.found(&verdict);
        match (mutation, found.first()) {
            (Mutation::None, _) => {
                let faults = verdict.faults();
                eprintln!("without {}: {} faults found", mutation.name(), faults.len());
                wrong.extend(faults.into_iter().map(|fault| format!("whole: {fault}")));
            }
            (_, Some(first)) => {
                let count = found.len();
                eprintln!(
                    "without {}: found, {count} times, such as: {first}",
                    mutation.name()
                );
            }
            (_, None) => wrong.push(format!("without {} nothing was found", mutation.name())),
        }
    }
    Ok(wrong)
}

async fn with(mutation: Mutation) -> anyhow::Result<Verdict> {
    let dose = Dose {
        patience: PATIENCE,
        ..Dose::SMALL
    };
    let stage = Stage::set(dose.lease, None).await?;
    let mut db = stage.superuser().await?;
    match mutation {
        Mutation::None => {}
        Mutation::Fence => store::fence(&mut db).await?,
        Mutation::Unique => store::unique(&mut db).await?,
        Mutation::Refund => store::refund(&mut db).await?,
    }
    db.close().await?;
    let mut fleet = stage.yard.fleet(dose.workers, Model::PLAIN)?;
    let producing = stage.produce(PACE);
    breaking(&stage, &mut fleet, mutation).await?;
    producing.stop().await?;
    stage.settle(dose.patience).await?;
    for member in fleet {
        member.retire().await?;
    }
    let verdict = stage.judge().await?;
    let keep = mutation == Mutation::None && !verdict.is_good();
    stage.strike(keep).await?;
    Ok(verdict)
}

/// What brings it to light.
async fn breaking(stage: &Stage, fleet: &mut [Member], mutation: Mutation) -> anyhow::Result<()> {
    if matches!(mutation, Mutation::None | Mutation::Fence) {
        faults::pauses(stage, fleet, 4).await?;
    }
    // Long enough for jobs of one key to meet.
    faults::deploys(stage, fleet, 4).await
}
