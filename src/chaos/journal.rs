//! What an outside observer knows: files that are only ever appended to, one a process, apart from every database.
//!
//! A line is one write, so a process that is killed leaves whole lines; what it had not written it had not done.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Microseconds since 1970 on this machine's clock, whatever clock a worker believes in.
    pub(super) at: i64,
    /// The process that saw it: 0 is the observer, every start of a worker has a number of its own.
    pub(super) by: u32,
    #[serde(flatten)]
    pub(super) seen: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub(super) enum Seen {
    /// A job is about to be enqueued.
    Asked { number: u64, order: Order },
    /// Its transaction was committed, and we were told so.
    Accepted { number: u64, job: i64 },
    /// A live job had its key: nothing was enqueued.
    Folded { number: u64 },
    /// An attempt began.
    Start {
        number: u64,
        job: i64,
        epoch: i32,
        attempt: u16,
        max: u16,
        build: Build,
    },
    /// It wrote to the database under its fence, and the commit was answered.
    Effect {
        number: u64,
        epoch: i32,
        /// Drawn while the fence held, so two effects of a job are in the order of their commits.
        order: i64,
    },
    /// The fence told it that its claim is gone.
    Refused { number: u64, epoch: i32 },
    /// It ended and told the queue this.
    End { number: u64, epoch: i32, how: End },
    /// Something was broken from the line's time on until this one.
    Fault { kind: Fault, until: i64 },
}

/// What a job is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Order {
    /// The version of its payload.
    pub(super) version: u16,
    /// At most one live job has it.
    pub(super) key: Option<String>,
    /// It can never work and must end as a dead letter.
    pub(super) poison: bool,
}

/// Which program a worker is, in a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Build {
    /// Knows version 1 of `chaos_mixed`, and no `chaos_novel`.
    Old,
    /// Knows version 2, and `chaos_novel`.
    New,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    Done,
    /// It is to be tried again: an error, or a panic.
    Failed,
    /// Its process goes down with it.
    Deadly,
}

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// A worker was killed.
    Kill { worker: u32 },
    /// A worker stood still.
    Pause { worker: u32 },
    /// A worker was told to stop, and had the time to.
    Deploy { worker: u32 },
    /// A job took its worker down.
    Poison { worker: u32 },
    /// The database was stopped and started.
    Restart,
    /// The database was killed and started.
    Crash,
    /// The primary was killed and its standby promoted.
    Failover,
    /// The way to the database was broken.
    Cut,
    /// The database took no writes.
    ReadOnly,
    /// The database had no connection left.
    Exhaustion,
    /// The database had no room left.
    DiskFull,
    /// The machine itself stood still: nobody's doing, but seen.
    Stall,
}

impl Fault {
    /// The one worker that it hit; `None` if all.
    pub(super) fn worker(self) -> Option<u32> {
        match self {
            Self::Kill { worker }
            | Self::Pause { worker }
            | Self::Deploy { worker }
            | Self::Poison { worker } => Some(worker),
            _ => None,
        }
    }

    /// Whether jobs can run again only when it is over.
    pub(super) fn is_outage(self) -> bool {
        matches!(
            self,
            Self::Restart
                | Self::Crash
                | Self::Failover
                | Self::Cut
                | Self::ReadOnly
                | Self::DiskFull
        )
    }
}

/// The journal of one process.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    by: u32,
    /// Microseconds by which this process's clock is ahead of the machine's.
    ahead: i64,
}

impl Journal {
    /// Appends to the file of process `by` in `dir`, whose clock is wrong by so many seconds.
    pub(super) fn open(dir: &Path, by: u32, wrong_by: i64) -> anyhow::Result<Self> {
        let path = dir.join(format!("{by}.journal"));
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        let ahead = wrong_by * 1_000_000;
        Ok(Self { file, by, ahead })
    }

    /// Whose it is.
    pub(super) fn by(&self) -> u32 {
        self.by
    }

    /// Writes down what is seen now.
    pub(super) fn saw(&self, seen: Seen) -> anyhow::Result<()> {
        self.saw_at(now() - self.ahead, seen)
    }

    /// Writes down what was seen, or began, at `at`.
    pub(super) fn saw_at(&self, at: i64, seen: Seen) -> anyhow::Result<()> {
        let line = Line {
            at,
            by: self.by,
            seen,
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        let mut file = &self.file;
        file.write_all(&text).context("writing the journal")
    }

    /// Writes down a fault that began at `from` and is over.
    pub(super) fn fault(&self, from: i64, kind: Fault) -> anyhow::Result<()> {
        self.saw_at(from, Seen::Fault { kind, until: now() })
    }
}

/// Every line of every process, in the order of their times.
pub(super) fn read(dir: &Path) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "journal") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for line in text.lines() {
            let line = serde_json::from_str(line)
                .with_context(|| format!("{}: {line}", path.display()))?;
            lines.push(line);
        }
    }
    lines.sort_by_key(|line: &Line| line.at);
    Ok(lines)
}

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

/// How many lines of the workers since `from` are of a kind; reads only the ends of the files.
pub(super) fn recent(
    dir: &Path,
    from: i64,
    is_one: impl Fn(&Seen) -> bool,
) -> anyhow::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};

    /// More than is written in the time between two faults.
    const END: u64 = 64 * 1024;

    let mut count = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let old = entry
            .metadata()?
            .modified()?
            .duration_since(UNIX_EPOCH)?
            .as_micros()
            < u128::try_from(from).unwrap_or(0);
        if old || path.extension().is_none_or(|end| end != "journal") {
            continue;
        }
        let mut file = File::open(&path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(END)))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let lines = text.lines().rev();
        let lines = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
        count += lines
            .take_while(|line| line.at >= from)
            .filter(|line| is_one(&line.seen))
            .count();
    }
    Ok(count)
}
