//! Break everything that can break while work goes on, and see that no promise is broken.
//!
//! Workers are processes of their own that run the real queue on jobs made for this. What they do is written down by an
//! outside observer: append-only files, apart from the database that is broken. In the end a judge, which knows nothing
//! but those files and what the queue says is finished, accounts for every job. Not part of a release.
//!
//! # What is real and what is not
//!
//! Processes are killed and stopped by signals, servers by theirs, connections by our own proxy, the disk by filling a
//! small one. Three of four workers live by a clock that is wrong by up to ten minutes, if `libfaketime` is installed; if
//! not, that is told as skipped. Standby and primary are two private clusters on one machine.

mod checker;
mod clock;
mod dose;
mod faults;
mod fleet;
mod jobs;
mod journal;
mod mutations;
mod probe;
mod producer;
mod proxy;
mod report;
mod schedule_days;
mod stage;
mod store;
mod worker;

use std::time::{Duration, Instant};

use anyhow::Context;

use checker::Verdict;
use faults::DiskFull;
use fleet::{Member, Model};
use stage::Stage;

pub use dose::Dose;
pub use journal::Build;
pub use mutations::{Mutation, mutations};
use report::DISK_FULL;
pub use report::Report;
pub use worker::{Orders, work};

/// Between two jobs, whoever enqueues them.
const PACE: Duration = Duration::from_millis(30);

/// Gives the whole dose, or only the faults that are named, and judges.
pub async fn run(dose: Dose, only: &[String]) -> anyhow::Result<Report> {
    let began = Instant::now();
    let dose = if only.is_empty() {
        dose
    } else {
        dose.only(only)?
    };
    let mut report = if dose.is_on_stage() {
        on_stage(&dose).await?
    } else {
        Report::new(dose, Verdict::default(), &[], Duration::ZERO)
    };
    if dose.full_disks > 0 {
        match faults::disk_full(&dose, dose.full_disks).await? {
            DiskFull::Judged(verdict) => report.add_disk_full(*verdict),
            DiskFull::Skipped(reason) if only.is_empty() => report.skip(DISK_FULL, reason),
            // Who names a fault wants it given.
            DiskFull::Skipped(reason) => anyhow::bail!("the disk cannot be filled here: {reason}"),
        }
    }
    if dose.poisons > 0 && !faults::HAS_HOGS {
        let reason = "the memory of a process is limited on Linux only";
        report.skip("memory hog", reason.to_owned());
    }
    if dose.days > 0 {
        report.days = Some(schedule_days::days(dose.days).await?);
    }
    report.took = began.elapsed();
    Ok(report)
}

/// Everything that happens on the main stage, and what came of it.
async fn on_stage(dose: &Dose) -> anyhow::Result<Report> {
    let mut stage = Stage::set(dose.lease, None).await?;
    match give(&mut stage, dose).await {
        Ok((verdict, settled)) => {
            let lines = journal::read(&stage.dir)?;
            let mut report = Report::new(*dose, verdict, &checker::faults(&lines), settled);
            report.clocks(&stage.yard);
            stage.strike(!report.wrong_on_stage().is_empty()).await?;
            Ok(report)
        }
        Err(error) => {
            stage.strike(true).await?;
            Err(error)
        }
    }
}

async fn give(stage: &mut Stage, dose: &Dose) -> anyhow::Result<(Verdict, Duration)> {
    let mut fleet = stage.yard.fleet(dose.workers, Model::PLAIN)?;
    let producing = stage.produce(PACE);
    let broken = everything(stage, &mut fleet, dose).await;
    producing.stop().await.context("enqueueing")?;
    broken?;
    let settled = stage.settle(dose.patience).await?;
    let has_ticked = stage.has_ticked(dose.patience).await?;
    stage.settle(dose.patience).await?;
    for member in fleet {
        member.retire().await?;
    }
    let mut verdict = stage.judge().await?;
    if !has_ticked {
        let stuck = "the schedule of every minute does not fire any more";
        verdict.stuck.push(stuck.to_owned());
    }
    Ok((verdict, settled))
}

async fn everything(stage: &mut Stage, fleet: &mut [Member], dose: &Dose) -> anyhow::Result<()> {
    if dose.deploys > 0 {
        faults::deploys(stage, fleet, dose.deploys).await?;
    }
    if dose.kills > 0 {
        faults::kills(stage, fleet, dose.kills).await?;
    }
    if dose.pauses > 0 {
        faults::pauses(stage, fleet, dose.pauses).await?;
    }
    if dose.poisons > 0 {
        faults::poisons(stage, dose.poisons, dose.patience * 4).await?;
    }
    if dose.restarts > 0 {
        faults::restarts(stage, fleet, dose.restarts).await?;
    }
    if dose.exhaustions > 0 {
        faults::exhaustions(stage, fleet, dose.exhaustions).await?;
    }
    if dose.read_only > 0 {
        faults::read_only(stage, fleet, dose.read_only).await?;
    }
    if dose.failovers > 0 {
        faults::failovers(stage, fleet, dose.failovers).await?;
    }
    // Nothing after this ends connections that went half-open: whoever waits on one must give it up by itself.
    if dose.cuts > 0 {
        faults::cuts(stage, fleet, dose.cuts).await?;
    }
    Ok(())
}
