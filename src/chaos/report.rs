//! What came of it: a line for programs, a section of Markdown for people.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::checker::{Broken, Verdict, percentile};
use super::dose::Dose;
use super::fleet::Shipyard;
use super::journal::Fault;
use super::schedule_days::Days;

/// After a process is gone its jobs run again within so many leases, 99 of 100.
const RERUN_LEASES: u32 = 2;
/// After an outage the first job begins within this.
const RESUME: Duration = Duration::from_secs(15);

/// What the fault of a full disk is called.
pub(super) const DISK_FULL: &str = "disk_full";

/// What came of a dose.
#[derive(Debug)]
pub struct Report {
    dose: Dose,
    verdict: Verdict,
    given: BTreeMap<&'static str, usize>,
    skipped: BTreeMap<&'static str, String>,
    settled: Duration,
    disk_full: Option<Verdict>,
    pub(super) days: Option<Days>,
    /// How long everything took.
    pub(super) took: Duration,
}

impl Report {
    pub(super) fn new(dose: Dose, verdict: Verdict, faults: &[Broken], settled: Duration) -> Self {
        let mut given = BTreeMap::new();
        for fault in faults {
            *given.entry(name(fault.kind)).or_default() += 1;
        }
        Self {
            dose,
            verdict,
            given,
            skipped: BTreeMap::new(),
            settled,
            disk_full: None,
            days: None,
            took: Duration::ZERO,
        }
    }

    /// How many workers had a clock that was wrong. Not a fault: it excuses nothing.
    pub(super) fn clocks(&mut self, yard: &Shipyard) {
        match yard.wrong_clocks() {
            0 => self.skip("clock_wrong", "libfaketime is not installed".to_owned()),
            count => drop(self.given.insert("clock_wrong", count)),
        }
    }

    pub(super) fn add_disk_full(&mut self, verdict: Verdict) {
        self.given.insert(DISK_FULL, self.dose.full_disks);
        self.disk_full = Some(verdict);
    }

    pub(super) fn skip(&mut self, fault: &'static str, reason: String) {
        self.skipped.insert(fault, reason);
    }

    /// What is wrong, a line each; nothing if every promise was kept.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.wrong_on_stage();
        if let Some(verdict) = &self.disk_full {
            let faults = verdict.faults().into_iter();
            wrong.extend(faults.map(|fault| format!("on the full disk: {fault}")));
        }
        if let Some(days) = &self.days {
            wrong.extend(days.wrong.iter().cloned());
        }
        if self.dose.days > 0 && self.days.is_none() {
            wrong.push("nothing is proven: no day was lived through".to_owned());
        }
        if self.dose.full_disks > 0
            && !self.skipped.contains_key(DISK_FULL)
            && self.given(&[DISK_FULL]) == 0
        {
            wrong.push(format!("nothing is proven: no {DISK_FULL} was given"));
        }
        wrong
    }

    /// What is wrong with what happened on the main stage.
    pub(super) fn wrong_on_stage(&self) -> Vec<String> {
        let mut wrong = self.verdict.faults();
        let (rerun, limit) = (self.rerun(99), self.dose.lease * RERUN_LEASES);
        if rerun > limit {
            wrong.push(format!(
                "of the interrupted jobs 1 in 100 began again later than {rerun:.1?}, and {limit:?} is promised"
            ));
        }
        if let Some((kind, slowest)) = self.resumes().max_by_key(|(_, wait)| *wait)
            && slowest > RESUME
        {
            let kind = name(kind);
            wrong.push(format!(
                "work went on {slowest:.1?} after an outage ({kind}), and {RESUME:?} is promised"
            ));
        }
        wrong.extend(self.vacuous());
        wrong
    }

    /// A fault that hit nothing proves nothing.
    fn vacuous(&self) -> Vec<String> {
        let counts = &self.verdict.counts;
        let mut vacuous = Vec::new();
        let mut must = |given: usize, seen: usize, what: &str| {
            if given > 0 && seen == 0 {
                vacuous.push(format!("nothing is proven: {what}"));
            }
        };
        let on_stage = usize::from(self.dose.is_on_stage());
        must(on_stage, counts.accepted, "no job was accepted");
        must(on_stage, counts.starts, "no job was begun");
        must(
            self.given.get("clock_wrong").copied().unwrap_or(0),
            counts.by_wrong_clocks,
            "no worker with a wrong clock did anything",
        );
        for (times, faults) in self.dose.on_stage() {
            must(
                times,
                self.given(faults),
                &format!("no {} was given", faults.join(" or ")),
            );
        }
        must(
            self.dose.kills,
            self.verdict.reruns.len(),
            "no job was interrupted",
        );
        must(
            self.dose.pauses,
            counts.refused,
            "no worker that stood still was refused anything",
        );
        vacuous
    }

    /// How many of these faults there were.
    fn given(&self, faults: &[&str]) -> usize {
        faults
            .iter()
            .filter_map(|fault| self.given.get(fault))
            .sum()
    }

    fn rerun(&self, percent: usize) -> Duration {
        percentile(&self.verdict.reruns, percent)
    }

    fn resumes(&self) -> impl Iterator<Item = (Fault, Duration)> {
        let on_full_disk = self
            .disk_full
            .iter()
            .flat_map(|verdict| verdict.resumes.iter().copied());
        self.verdict.resumes.iter().copied().chain(on_full_disk)
    }

    fn sum(&self, of: fn(&Verdict) -> usize) -> usize {
        of(&self.verdict) + self.disk_full.as_ref().map_or(0, of)
    }

    /// One line for programs.
    pub fn json(&self) -> Value {
        let mut slowest: BTreeMap<&str, f64> = BTreeMap::new();
        for (kind, wait) in self.resumes() {
            let seconds = slowest.entry(name(kind)).or_default();
            *seconds = seconds.max(rounded(wait));
        }
        json!({
            "lost": self.sum(|verdict| verdict.lost.len()),
            "stale_accepted": self.sum(|verdict| verdict.stale_accepted.len()),
            "unexplained_duplicates": self.sum(|verdict| verdict.unexplained_duplicates.len()),
            "stuck": self.sum(|verdict| verdict.stuck.len()),
            "wrong": self.wrong().len(),
            "faults": self.given,
            "skipped": self.skipped,
            "dose": self.dose.name,
            "lease_seconds": self.dose.lease.as_secs_f64(),
            "workers": self.dose.workers,
            "accepted": self.sum(|verdict| verdict.counts.accepted),
            "unanswered": self.sum(|verdict| verdict.counts.unanswered),
            "starts": self.sum(|verdict| verdict.counts.starts),
            "starts_again": self.sum(|verdict| verdict.counts.again),
            "effects": self.sum(|verdict| verdict.counts.effects),
            "effects_by_wrong_clocks": self.sum(|verdict| verdict.counts.by_wrong_clocks),
            "ends": self.sum(|verdict| verdict.counts.ends),
            "stale_refused": self.sum(|verdict| verdict.counts.refused),
            "reruns": self.verdict.reruns.len(),
            "rerun_p50_seconds": rounded(self.rerun(50)),
            "rerun_p99_seconds": rounded(self.rerun(99)),
            "resume_seconds": slowest,
            "schedule_days": self.days.as_ref().map(Days::json),
            "settled_seconds": rounded(self.settled),
            "took_seconds": rounded(self.took),
        })
    }

    /// The section "Reliability" of the README.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let mut row = |what: &str, dose: &str, came: &str| {
            let _ = writeln!(text, "| {what} | {dose} | {came} |");
        };
        row("fault", "times", "first job after it, at most");
        row("---", "---", "---");
        let mut slowest: BTreeMap<&str, Duration> = BTreeMap::new();
        for (kind, wait) in self.resumes() {
            let longest = slowest.entry(name(kind)).or_default();
            *longest = wait.max(*longest);
        }
        for (fault, times) in &self.given {
            let resumed = slowest.get(fault);
            let resumed = resumed.map_or_else(String::new, |wait| format!("{wait:.1?}"));
            row(&fault.replace('_', " "), &times.to_string(), &resumed);
        }
        for (fault, reason) in &self.skipped {
            row(fault, "skipped", reason);
        }
        let counts = &self.verdict.counts;
        let _ = write!(
            text,
            "\n{} jobs accepted ({} more asked for and not answered), {} attempts begun, {} of them again; {} effects written \
             under a fence, {} claims refused theirs. **{} lost, {} stale writes accepted, {} starts unaccounted for, {} \
             stuck.** With a lease of {:?}, {} interrupted jobs began again after {:.1?} (median) and {:.1?} (p99) on {} \
             workers; everything was done {:.0?} after the last fault.",
            counts.accepted,
            counts.unanswered,
            counts.starts,
            counts.again,
            counts.effects,
            counts.refused,
            self.sum(|verdict| verdict.lost.len()),
            self.sum(|verdict| verdict.stale_accepted.len()),
            self.sum(|verdict| verdict.unexplained_duplicates.len()),
            self.sum(|verdict| verdict.stuck.len()),
            self.dose.lease,
            self.verdict.reruns.len(),
            self.rerun(50),
            self.rerun(99),
            self.dose.workers,
            self.settled,
        );
        if let Some(days) = &self.days {
            let _ = write!(
                text,
                " {} schedule days in {} zones, {} of them with clocks that were changed, each by another rule: {} ticks due, \
                 {} fired by {} tickers at once, each once and with one job.",
                days.days, days.zones, days.rules, days.due, days.fired, days.tickers
            );
        }
        text.push('\n');
        text
    }
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill { .. } => "worker_killed",
        Fault::Pause { .. } => "worker_paused_past_its_lease",
        Fault::Deploy { .. } => "worker_replaced",
        Fault::Poison { .. } => "worker_taken_down_by_poison",
        Fault::Restart => "database_restarted",
        Fault::Crash => "database_killed",
        Fault::Failover => "failover",
        Fault::Cut => "network_cut",
        Fault::ReadOnly => "read_only",
        Fault::Exhaustion => "no_connection_left",
        Fault::DiskFull => DISK_FULL,
        Fault::Stall => "stall_of_the_machine",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(dose: Dose, given: &[Fault]) -> Report {
        let faults: Vec<_> = given
            .iter()
            .map(|kind| Broken {
                kind: *kind,
                from: 0,
                until: 0,
            })
            .collect();
        let mut verdict = Verdict::default();
        verdict.counts.accepted = 1;
        verdict.counts.starts = 1;
        Report::new(dose, verdict, &faults, Duration::ZERO)
    }

    #[test]
    fn a_fault_that_was_asked_for_and_never_given_is_wrong() {
        let dose = Dose {
            restarts: 2,
            failovers: 1,
            ..Dose::NONE
        };
        assert_eq!(
            report(dose, &[Fault::Crash, Fault::Failover]).wrong(),
            [""; 0]
        );
        assert_eq!(
            report(dose, &[Fault::Restart]).wrong(),
            ["nothing is proven: no failover was given"]
        );
        assert_eq!(
            report(dose, &[]).wrong(),
            [
                "nothing is proven: no database_restarted or database_killed was given",
                "nothing is proven: no failover was given"
            ]
        );
        let dose = Dose {
            full_disks: 1,
            days: 1,
            ..Dose::NONE
        };
        let mut nothing = report(dose, &[]);
        assert_eq!(nothing.wrong().len(), 2);
        nothing.skip(DISK_FULL, "nobody may mount one".to_owned());
        assert_eq!(
            nothing.wrong(),
            ["nothing is proven: no day was lived through"]
        );
    }
}
