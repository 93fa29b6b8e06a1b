//! The workers under test, each a process of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};

use super::clock;
use super::journal::{self, Build, Fault, Journal};

/// How long a worker that is told to stop may take to.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many MiB a worker may take that runs poison.
const MEMORY: u64 = 512;

/// How workers are started.
#[derive(Debug, Clone)]
pub(super) struct Shipyard {
    /// Where journals and logs go.
    pub(super) dir: PathBuf,
    pub(super) url: String,
    pub(super) lease: Duration,
    pub(super) journal: Arc<Journal>,
    pub(super) next: Arc<AtomicU32>,
    /// What makes clocks wrong, if it is there.
    pub(super) clockwork: Option<PathBuf>,
}

/// What a worker is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    pub(super) build: Build,
    pub(super) poison: bool,
}

impl Model {
    /// A worker as there are many.
    pub(super) const PLAIN: Self = Self {
        build: Build::New,
        poison: false,
    };
}

/// A worker that runs.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u32,
    child: Child,
    process: u32,
    /// Held open: it ends when we do. Whoever waits for a child would close it.
    _alive: Option<ChildStdin>,
    journal: Arc<Journal>,
}

impl Shipyard {
    /// Starts a worker.
    pub(super) fn start(&self, model: Model) -> anyhow::Result<Member> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let log = File::create(self.dir.join(format!("{number}.log")))?;
        let mut command = Command::new(std::env::current_exe()?);
        let build = match model.build {
            Build::Old => "old",
            Build::New => "new",
        };
        command
            .args(["chaos", "worker"])
            .arg(format!("--number={number}"))
            .arg(format!("--journals={}", self.dir.display()))
            .arg(format!("--url={}", self.url))
            .arg(format!("--lease-ms={}", self.lease.as_millis()))
            .arg(format!("--build={build}"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if model.poison {
            command.arg("--poison");
            if cfg!(target_os = "linux") {
                command.arg(format!("--memory={MEMORY}"));
            }
        }
        let wrong_by = clock::wrong_by(number);
        if let Some(library) = self.clockwork.as_deref().filter(|_| wrong_by != 0) {
            clock::set_wrong(&mut command, library, wrong_by);
            command.arg(format!("--wrong-by={wrong_by}"));
        }
        let mut child = command.spawn().context("starting a worker")?;
        Ok(Member {
            _alive: child.stdin.take(),
            number,
            process: child.id().unwrap_or(0),
            child,
            journal: self.journal.clone(),
        })
    }

    /// How many workers were started with a wrong clock.
    pub(super) fn wrong_clocks(&self) -> usize {
        let all = 1..self.next.load(Ordering::Relaxed);
        let wrong = all.filter(|worker| clock::wrong_by(*worker) != 0);
        self.clockwork.as_ref().map_or(0, |_| wrong.count())
    }

    /// Starts `count` workers.
    pub(super) fn fleet(&self, count: usize, model: Model) -> anyhow::Result<Vec<Member>> {
        (0..count).map(|_| self.start(model)).collect()
    }
}

impl Member {
    /// Kills it.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.must_run()?;
        let at = journal::now();
        self.child.kill().await?;
        let worker = self.number;
        self.journal.fault(at, Fault::Kill { worker })
    }

    /// Lets it stand still for `time`.
    pub(super) async fn pause(&mut self, time: Duration) -> anyhow::Result<()> {
        self.must_run()?;
        let at = journal::now();
        self.signal(Signal::STOP)?;
        tokio::time::sleep(time).await;
        self.signal(Signal::CONT)?;
        let worker = self.number;
        self.journal.fault(at, Fault::Pause { worker })
    }

    /// Tells it to stop, as a deploy does, and waits until it has.
    pub(super) async fn retire(mut self) -> anyhow::Result<()> {
        self.must_run()?;
        let at = journal::now();
        self.signal(Signal::TERM)?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(status) = ended else {
            bail!(
                "worker {} did not stop within {PATIENCE:?} of being told to",
                self.number
            );
        };
        let status = status?;
        if !status.success() {
            bail!(
                "worker {} was told to stop and ended by {status}",
                self.number
            );
        }
        let worker = self.number;
        self.journal.fault(at, Fault::Deploy { worker })
    }

    /// Waits until a job has taken it down.
    pub(super) async fn dies(&mut self) -> anyhow::Result<()> {
        self.child.wait().await?;
        let (at, worker) = (journal::now(), self.number);
        self.journal.fault(at, Fault::Poison { worker })
    }

    /// Only what was killed has ended.
    pub(super) fn must_run(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("worker {} ended by itself: {status}", self.number),
        }
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = pid.and_then(Pid::from_raw).context("it has ended")?;
        kill_process(pid, signal).context("signalling a worker")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        clock::tidy(self.process);
    }
}
