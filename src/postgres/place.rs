//! Where a cluster keeps its files.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::account::Account;

/// Where root's clusters go when the user that runs them cannot enter the asked directory.
const ELSEWHERE: &str = "/var/lib/leadmill-dev";

/// The directories and files of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Holds all the others except the socket.
    pub(crate) dir: PathBuf,
    /// The directory of the socket; short, as a socket's whole path has only some hundred bytes.
    pub(crate) socket: PathBuf,
    pub(crate) account: Account,
    /// Not where it was asked for.
    pub(crate) is_elsewhere: bool,
}

impl Place {
    /// Prepares `dir`, or a directory in its stead when the user that will run Postgres cannot enter it.
    pub(crate) fn prepare(dir: &Path) -> Result<Self, Error> {
        create(dir)?;
        let mut dir = dir
            .canonicalize()
            .map_err(Error::io(format!("find {}", dir.display())))?;
        let mut account = Account::for_data(&dir.join("data"))?;
        let is_elsewhere = account.is_dropped() && !account.can_enter(&dir);
        if is_elsewhere {
            let instead = Path::new(ELSEWHERE).join(digest(&dir));
            // Only if nothing is in it: the directory made above is of no use.
            let _ = fs::remove_dir(&dir);
            create(&instead)?;
            dir = instead
                .canonicalize()
                .map_err(Error::io(format!("find {}", instead.display())))?;
            account = Account::for_data(&dir.join("data"))?;
        }
        let socket = PathBuf::from(format!("/tmp/leadmill-{}-{}", account.uid, digest(&dir)));
        Ok(Self {
            dir,
            socket,
            account,
            is_elsewhere,
        })
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The socket that clients connect to.
    pub(crate) fn socket_file(&self) -> PathBuf {
        self.socket.join(".s.PGSQL.5432")
    }

    /// The file in which Postgres notes which process the socket belongs to.
    pub(crate) fn socket_lock(&self) -> PathBuf {
        self.socket.join(".s.PGSQL.5432.lock")
    }

    /// Makes the socket's directory, closed to everybody else; one planted by somebody else is refused.
    pub(crate) fn prepare_socket_dir(&self) -> Result<(), Error> {
        match DirBuilder::new().mode(0o700).create(&self.socket) {
            Ok(()) => self
                .account
                .own(&self.socket)
                .map_err(Error::io("hand over the socket's directory")),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                if self.owns_socket_dir() {
                    Ok(())
                } else {
                    Err(Error::ForeignSocketDir(self.socket.clone()))
                }
            }
            Err(error) => Err(Error::io("make the socket's directory")(error)),
        }
    }

    /// Removes the socket's directory, with what a server that was killed has left in it.
    pub(crate) fn remove_socket_dir(&self) {
        if self.owns_socket_dir() {
            for file in [self.socket_file(), self.socket_lock()] {
                let _ = fs::remove_file(file);
            }
            let _ = fs::remove_dir(&self.socket);
        }
    }

    fn owns_socket_dir(&self) -> bool {
        fs::symlink_metadata(&self.socket).is_ok_and(|meta| {
            meta.is_dir() && meta.uid() == self.account.uid && meta.mode() & 0o077 == 0
        })
    }

    /// Makes an empty directory that belongs to the user that runs Postgres.
    pub(crate) fn make_owned(&self, dir: &Path) -> Result<(), Error> {
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(Error::io(format!("make {}", dir.display())))?;
        self.account
            .own(dir)
            .map_err(Error::io(format!("hand over {}", dir.display())))
    }
}

/// Makes `dir` and lets others pass through it, whatever the umask.
fn create(dir: &Path) -> Result<(), Error> {
    if !dir.is_dir() {
        fs::create_dir_all(dir).map_err(Error::io(format!("make {}", dir.display())))?;
        fs::set_permissions(dir, Permissions::from_mode(0o755))
            .map_err(Error::io("open the cluster's directory"))?;
    }
    Ok(())
}

/// A short name for a path.
fn digest(path: &Path) -> String {
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hash.iter()
        .take(5)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
