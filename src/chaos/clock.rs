//! Wrong clocks: workers live by clocks that differ, by way of `libfaketime` where it is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use tokio::process::Command;

/// By how many seconds the clocks of workers are wrong, in turn.
const WRONG_BY: [i64; 4] = [-600, 0, 37, 600];
/// The library, in a folder of its own below those that libraries are in.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// What makes the clock of a process wrong; `None` if it is not installed.
pub(super) fn library() -> Option<PathBuf> {
    let below = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let roots = ["/usr/lib64", "/usr/lib"].map(PathBuf::from);
    let roots = roots.into_iter().chain(below.map(|entry| entry.path()));
    roots
        .map(|root| root.join(LIBRARY))
        .find(|path| path.is_file())
}

/// By how many seconds the clock of this worker is wrong.
pub(super) fn wrong_by(worker: u32) -> i64 {
    let place = usize::try_from(worker).unwrap_or(0) % WRONG_BY.len();
    WRONG_BY[place]
}

/// Sets the clock of what `command` starts wrong; time passes there as it does here.
pub(super) fn set_wrong(command: &mut Command, library: &Path, by: i64) {
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME", format!("{by:+}"))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// What time this process believes that it is.
pub(super) fn believed() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Removes what the library leaves in shared memory of a process that was killed.
pub(super) fn tidy(process: u32) {
    for left in ["faketime_shm", "sem.faketime_sem"] {
        // One that ended well has left nothing.
        let _ = fs::remove_file(format!("/dev/shm/{left}_{process}"));
    }
}
