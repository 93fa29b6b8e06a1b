//! The user that Postgres runs as: ourselves, or for root somebody with fewer rights.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;

/// Who runs Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether commands must change to this user first.
    dropped: bool,
}

impl Account {
    /// The user for a cluster whose data is, or will be, in `data`.
    ///
    /// Root becomes the owner of existing data, else `postgres`, else `nobody`: initdb refuses root and any uid without an
    /// entry in the user database.
    pub(crate) fn for_data(data: &Path) -> Result<Self, Error> {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        if uid != 0 {
            return Ok(Self {
                uid,
                gid,
                dropped: false,
            });
        }
        if let Ok(meta) = std::fs::metadata(data)
            && meta.uid() != 0
        {
            return Ok(Self {
                uid: meta.uid(),
                gid: meta.gid(),
                dropped: true,
            });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                Some(Self {
                    uid: id("-u", name)?,
                    gid: id("-g", name)?,
                    dropped: true,
                })
            })
            .ok_or(Error::NoUser)
    }

    /// Whether files must be handed over to this user.
    pub(crate) fn is_dropped(self) -> bool {
        self.dropped
    }

    /// A command run by this user, from `/`, free of the caller's `PG*` settings and of its terminal.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
        if self.dropped {
            command
                .uid(self.uid)
                .gid(self.gid)
                .env("HOME", "/")
                .env_remove("XDG_RUNTIME_DIR");
        }
        command
    }

    /// Whether this user can enter `dir`, which needs search permission on every ancestor.
    pub(crate) fn can_enter(self, dir: &Path) -> bool {
        self.command("/bin/sh")
            .args(["-c", "cd \"$1\"", "sh"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Makes this user the owner of `path`.
    pub(crate) fn own(self, path: &Path) -> std::io::Result<()> {
        if self.dropped {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
        } else {
            Ok(())
        }
    }
}

/// What `id FLAG NAME` prints, or nothing if there is no such user.
fn id(flag: &str, name: &str) -> Option<u32> {
    let output = Command::new("id")
        .args([flag, name])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
