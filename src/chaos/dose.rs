//! How much of each fault.

use std::time::Duration;

/// How often everything is broken.
#[derive(Debug, Clone, Copy)]
pub struct Dose {
    /// What people call it.
    pub name: &'static str,
    /// For how long a worker that says nothing is not taken for dead.
    pub lease: Duration,
    /// How many workers there are.
    pub workers: usize,
    /// Workers killed at work.
    pub kills: usize,
    /// Workers stopped for longer than their lease.
    pub pauses: usize,
    /// Restarts of the database, every second one a crash.
    pub restarts: usize,
    /// Failovers to a standby.
    pub failovers: usize,
    /// Cuts of the network, in five ways in turn.
    pub cuts: usize,
    /// Times at which the primary takes no writes.
    pub read_only: usize,
    /// Times at which no connection is left.
    pub exhaustions: usize,
    /// Poisonous jobs of each kind.
    pub poisons: usize,
    /// Rolling deploys, each from old to new or back.
    pub deploys: usize,
    /// Times at which the disk is full.
    pub full_disks: usize,
    /// Days that schedules are to fire on, at least.
    pub days: usize,
    /// How long what is left in the end may take.
    pub patience: Duration,
}

impl Dose {
    /// Every fault, a few times: within four minutes.
    pub const SMALL: Self = Self {
        name: "small",
        lease: Duration::from_secs(3),
        workers: 4,
        kills: 24,
        pauses: 6,
        restarts: 4,
        failovers: 2,
        cuts: 5,
        read_only: 2,
        exhaustions: 1,
        poisons: 2,
        deploys: 2,
        full_disks: 1,
        days: 12_000,
        patience: Duration::from_secs(75),
    };

    /// The dose of the reliability report.
    pub const FULL: Self = Self {
        name: "full",
        lease: Duration::from_secs(3),
        workers: 8,
        kills: 1_000,
        pauses: 500,
        restarts: 100,
        failovers: 50,
        cuts: 200,
        read_only: 20,
        exhaustions: 10,
        poisons: 20,
        deploys: 20,
        full_disks: 5,
        days: 36_000,
        patience: Duration::from_secs(120),
    };

    /// Nothing at all, to which single faults are added.
    pub(super) const NONE: Self = Self {
        name: "none",
        kills: 0,
        pauses: 0,
        restarts: 0,
        failovers: 0,
        cuts: 0,
        read_only: 0,
        exhaustions: 0,
        poisons: 0,
        deploys: 0,
        full_disks: 0,
        days: 0,
        ..Self::SMALL
    };

    /// So many hundredths of it, rounded up.
    #[must_use]
    pub fn percent(self, percent: usize) -> Self {
        let part = |times: usize| (times * percent).div_ceil(100);
        Self {
            kills: part(self.kills),
            pauses: part(self.pauses),
            restarts: part(self.restarts),
            failovers: part(self.failovers),
            cuts: part(self.cuts),
            read_only: part(self.read_only),
            exhaustions: part(self.exhaustions),
            poisons: part(self.poisons),
            deploys: part(self.deploys),
            full_disks: part(self.full_disks),
            days: part(self.days),
            ..self
        }
    }

    /// How often something happens on the main stage, and as which of these the report counts it.
    pub(super) fn on_stage(&self) -> [(usize, &'static [&'static str]); 9] {
        [
            (self.kills, &["worker_killed"]),
            (self.pauses, &["worker_paused_past_its_lease"]),
            (self.restarts, &["database_restarted", "database_killed"]),
            (self.failovers, &["failover"]),
            (self.cuts, &["network_cut"]),
            (self.read_only, &["read_only"]),
            (self.exhaustions, &["no_connection_left"]),
            (self.poisons, &["worker_taken_down_by_poison"]),
            (self.deploys, &["worker_replaced"]),
        ]
    }

    /// Whether anything happens on the main stage.
    pub(super) fn is_on_stage(&self) -> bool {
        self.on_stage().iter().any(|(times, _)| *times > 0)
    }

    /// Only the faults of these names, in this dose.
    pub(super) fn only(self, names: &[String]) -> anyhow::Result<Self> {
        let mut dose = Self {
            name: self.name,
            lease: self.lease,
            workers: self.workers,
            patience: self.patience,
            ..Self::NONE
        };
        for name in names {
            match name.as_str() {
                "kills" => dose.kills = self.kills,
                "pauses" => dose.pauses = self.pauses,
                "restarts" => dose.restarts = self.restarts,
                "failovers" => dose.failovers = self.failovers,
                "cuts" => dose.cuts = self.cuts,
                "read_only" => dose.read_only = self.read_only,
                "exhaustions" => dose.exhaustions = self.exhaustions,
                "poisons" => dose.poisons = self.poisons,
                "deploys" => dose.deploys = self.deploys,
                "full_disks" => dose.full_disks = self.full_disks,
                "days" => dose.days = self.days,
                _ => anyhow::bail!("there is no fault {name}"),
            }
        }
        Ok(dose)
    }
}
