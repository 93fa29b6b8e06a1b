//! The disk of the database is full for a while: a small file system in memory, which only root can make.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{all_run, until_at_work};
use crate::bench::progress::Progress;
use crate::chaos::checker::Verdict;
use crate::chaos::dose::Dose;
use crate::chaos::fleet::Model;
use crate::chaos::journal::{self, Fault};
use crate::chaos::producer::Ware;
use crate::chaos::stage::Stage;

/// How large the disk is: a new cluster, its log of changes, and some room.
const SIZE: &str = "size=320m,mode=755";
/// How many workers there are.
const WORKERS: usize = 2;
/// Between two jobs.
const PACE: Duration = Duration::from_millis(20);
/// So many attempts begin before the disk is full, and after it is no longer.
const STARTS: usize = 10;
/// How long it may take until the server notices.
const NOTICE: Duration = Duration::from_secs(20);
/// How long it stays full after that.
const FULL: Duration = Duration::from_secs(2);

/// What came of it.
pub(in crate::chaos) enum DiskFull {
    Judged(Box<Verdict>),
    /// It could not be tried here, for this reason.
    Skipped(String),
}

/// Fills the disk `count` times, on a stage of its own.
pub(in crate::chaos) async fn disk_full(dose: &Dose, count: usize) -> anyhow::Result<DiskFull> {
    let name = format!("leadmill-disk-{}", std::process::id());
    let disk = match Disk::mount(std::env::temp_dir().join(name)) {
        Ok(disk) => disk,
        Err(reason) => return Ok(DiskFull::Skipped(format!("{reason:#}"))),
    };
    let progress = Progress::begin("times with a full disk", count);
    let stage = Stage::set(dose.lease, Some(&disk.dir)).await?;
    let mut fleet = stage.yard.fleet(WORKERS, Model::PLAIN)?;
    let producing = stage.produce(PACE);
    for number in 0..count {
        until_at_work(&stage, journal::now(), STARTS).await?;
        let at = journal::now();
        let ballast = disk.fill()?;
        let mut line = None;
        let until = Instant::now() + NOTICE;
        while stage.producer.offer(&mut line, Ware::Work(1)).await? {
            if Instant::now() > until {
                bail!("the server never noticed that its disk is full");
            }
        }
        tokio::time::sleep(FULL).await;
        fs::remove_file(ballast)?;
        // It may have gone down over it, and not come up without room.
        stage.primary.revive().await?;
        stage.journal.fault(at, Fault::DiskFull)?;
        until_at_work(&stage, journal::now(), STARTS).await?;
        progress.at(number + 1);
    }
    producing.stop().await?;
    stage.settle(dose.patience).await?;
    all_run(&mut fleet)?;
    for member in fleet {
        member.retire().await?;
    }
    let verdict = stage.judge().await?;
    stage.strike(!verdict.is_good()).await?;
    Ok(DiskFull::Judged(Box::new(verdict)))
}

/// A small disk, gone when it is dropped.
struct Disk {
    dir: PathBuf,
}

impl Disk {
    fn mount(dir: PathBuf) -> anyhow::Result<Self> {
        if !cfg!(target_os = "linux") {
            bail!("a file system in memory is made on Linux only");
        }
        if !rustix::process::geteuid().is_root() {
            bail!("only root can make a file system in memory");
        }
        fs::create_dir_all(&dir)?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "leadmill"])
            .arg(&dir)
            .output()
            .context("running mount")?;
        if !output.status.success() {
            let _ = fs::remove_dir(&dir);
            let why = String::from_utf8_lossy(&output.stderr);
            bail!(
                "a file system in memory cannot be made here: {}",
                why.trim()
            );
        }
        Ok(Self { dir })
    }

    /// Takes all the room that is left; gives the file that has it.
    fn fill(&self) -> anyhow::Result<PathBuf> {
        let path = self.dir.join("ballast");
        let mut file = File::create(&path)?;
        for size in [1 << 20, 4096] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.dir);
    }
}

fn unmount(dir: &Path) {
    let unmounted = Command::new("umount").arg("-l").arg(dir).status();
    if unmounted.is_ok_and(|status| status.success()) {
        let _ = fs::remove_dir(dir);
    }
}
