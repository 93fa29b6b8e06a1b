//! Who uses a cluster, and the watcher that stops it when nobody does any more.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use crate::place::Place;
use crate::{Error, process};

/// The watcher's program, for `sh`.
const WATCH: &str = include_str!("watch.sh");

/// The processes that use the cluster in one directory.
#[derive(Debug, Clone)]
pub(crate) struct Holders {
    dir: PathBuf,
    /// Where the socket is, which the watcher removes in the end.
    socket: PathBuf,
    /// Whether the watcher removes the whole directory in the end.
    remove: bool,
    /// How long the watcher waits for another user, in seconds.
    linger: u32,
    /// Tells this use from others by the same process.
    number: u32,
}

/// How often this process has begun to use a cluster.
static USES: AtomicU32 = AtomicU32::new(0);

impl Holders {
    pub(crate) fn new(place: &Place, linger: u32, remove: bool) -> Self {
        Self {
            dir: place.dir.clone(),
            socket: place.socket.clone(),
            remove,
            linger,
            number: USES.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Says that this process uses the cluster; `also` names one more, for instance the runner of the tests.
    pub(crate) fn register(&self, also: Option<u32>) -> Result<(), Error> {
        fs::create_dir_all(self.dir.join("holders"))
            .map_err(Error::io("make the list of users"))?;
        let runner = also.map(|pid| self.dir.join("holders").join(pid.to_string()));
        for file in [Some(self.file()), runner].into_iter().flatten() {
            fs::write(file, "").map_err(Error::io("say that the cluster is used"))?;
        }
        Ok(())
    }

    /// Takes this use off the list; says whether another one is left.
    pub(crate) fn unregister(&self) -> bool {
        let _ = fs::remove_file(self.file());
        fs::read_dir(self.dir.join("holders"))
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                entry
                    .ok()?
                    .file_name()
                    .to_str()?
                    .split('.')
                    .next()?
                    .parse()
                    .ok()
            })
            .any(process::is_alive)
    }

    /// Makes sure that a watcher lives; one that was killed is replaced.
    pub(crate) fn ensure_watcher(&self) -> Result<(), Error> {
        if self.watcher().is_some() {
            return Ok(());
        }
        let _ = fs::remove_file(self.dir.join("stopping"));
        // As a file, which a list of processes shows by its name. A watcher that still runs keeps the one that it has open.
        let program = self.dir.join("watch.sh");
        let _ = fs::remove_file(&program);
        fs::write(&program, WATCH).map_err(Error::io("write the watcher"))?;
        let mut child = Command::new("/bin/sh")
            .arg(&program)
            .arg(&self.dir)
            .arg(self.linger.to_string())
            .arg(&self.socket)
            .arg(if self.remove { "remove" } else { "keep" })
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::io("start the watcher"))?;
        fs::write(self.dir.join("watcher"), child.id().to_string())
            .map_err(Error::io("note the watcher"))?;
        // Reaped as soon as it ends, should it end before this process.
        std::thread::spawn(move || child.wait());
        Ok(())
    }

    /// Ends the watcher, as nothing is left to watch.
    pub(crate) fn dismiss_watcher(&self) {
        if let Some(pid) = self.watcher() {
            process::signal_group(pid, Signal::TERM);
        }
        let _ = fs::remove_file(self.dir.join("watcher"));
        let _ = fs::remove_file(self.dir.join("stopping"));
    }

    /// Whether the watcher is just stopping the cluster.
    pub(crate) fn is_stopping(&self) -> bool {
        self.dir.join("stopping").exists() && self.watcher().is_some()
    }

    fn watcher(&self) -> Option<i32> {
        let pid = fs::read_to_string(self.dir.join("watcher"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let is_ours =
            process::is_alive(pid) && process::name(pid).is_some_and(|name| name.ends_with("sh"));
        is_ours.then_some(pid)
    }

    fn file(&self) -> PathBuf {
        self.dir
            .join("holders")
            .join(format!("{}.{}", std::process::id(), self.number))
    }
}

/// The process that runs the tests, if the parent is one: the cluster lives as long as the whole run.
pub(crate) fn test_runner() -> Option<u32> {
    let parent = std::os::unix::process::parent_id();
    let name = process::name(parent.cast_signed())?;
    (name.contains("cargo") || name.contains("nextest")).then_some(parent)
}
