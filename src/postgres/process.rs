//! Looking at processes and signalling them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How often something outside this process is asked again whether it has changed.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// What is known of a process without touching it.
struct Seen {
    /// The first letter of its state; `Z` is one that has ended and that nobody has reaped.
    state: char,
    /// The name of its program.
    name: String,
}

/// Whether `pid` runs; one that ended but was not reaped does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    look(pid).is_some_and(|seen| !matches!(seen.state, 'Z' | 'X'))
}

/// Whether `pid` is a living Postgres with its data in `data`.
///
/// A pid found in a file may long belong to something else.
pub(crate) fn is_postgres(pid: i32, data: &Path) -> bool {
    let Some(seen) = look(pid) else { return false };
    if matches!(seen.state, 'Z' | 'X') || !matches!(seen.name.as_str(), "postgres" | "postmaster") {
        return false;
    }
    // Postgres works in its data directory. Not everyone may see that, root in a container included; with which arguments
    // it was begun is for all to see.
    match std::fs::read_link(format!("/proc/{pid}/cwd")) {
        Ok(cwd) => cwd == data,
        Err(_) => arguments(pid).is_some_and(|arguments| name_data(&arguments, data)),
    }
}

/// Whether these arguments of a Postgres say that its data are in `data`.
fn name_data(arguments: &str, data: &Path) -> bool {
    format!(" {arguments} ").contains(&format!(" -D {} ", data.display()))
}

/// What `pid` was begun with, with spaces between.
fn arguments(pid: i32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&arguments).replace('\0', " "));
    }
    let output = Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The name of the program that `pid` runs.
pub(crate) fn name(pid: i32) -> Option<String> {
    look(pid).map(|seen| seen.name)
}

/// Sends `signal`; a process that is gone already is fine.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends `signal` to every process of the group that `leader` leads.
pub(crate) fn signal_group(leader: i32, signal: Signal) {
    if let Some(leader) = Pid::from_raw(leader) {
        let _ = rustix::process::kill_process_group(leader, signal);
    }
}

/// Waits until `done`, for at most `patience`; says whether it came true.
pub(crate) fn wait_until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

fn look(pid: i32) -> Option<Seen> {
    if cfg!(target_os = "linux") {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        return Some(Seen {
            state: tail.trim_start().chars().next()?,
            name: name.to_owned(),
        });
    }
    let output = Command::new("ps")
        .args(["-o", "stat=,comm=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (state, program) = line.split_once(char::is_whitespace)?;
    let name = program.trim().rsplit('/').next()?.to_owned();
    Some(Seen {
        state: state.chars().next()?,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_the_data_of_one_cluster_only() {
        let arguments = "/usr/lib/postgresql/17/bin/postgres -D /srv/ours/data -c fsync=off";
        assert!(name_data(arguments, Path::new("/srv/ours/data")));
        for other in ["/srv/ours", "/srv/ours/data2", "/ours/data"] {
            assert!(!name_data(arguments, Path::new(other)), "{other}");
        }
        assert!(!name_data("postgres: writer", Path::new("/srv/ours/data")));
    }

    #[test]
    fn the_arguments_of_a_process_are_known() {
        let own = arguments(std::process::id().cast_signed()).unwrap();
        let program = std::env::args().next().unwrap();
        assert!(own.starts_with(&program), "{own}");
    }
}
