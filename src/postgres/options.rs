//! What can be asked of a cluster.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::binaries::Search;
use crate::fetch::Fetch;

/// What a cluster is for, which decides between durability and speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What was committed survives a crash of the machine.
    Durable,
    /// Nothing is ever flushed to disk, many connections are allowed, and data that cannot be used is made again.
    Test,
}

/// How to get a cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the cluster lives; made if it is not there.
    pub dir: PathBuf,
    /// What the cluster is for.
    pub profile: Profile,
    /// Where to look for installed binaries.
    pub search: Search,
    /// Whether binaries may be fetched when none are installed.
    pub fetch: Fetch,
    /// Server settings on top of the profile's, each a name and a value.
    pub settings: Vec<(String, String)>,
    /// Whether this process starts the server again when it ends by itself.
    pub keep_alive: bool,
    /// Whether the process that runs the tests counts as a user too: each test may be a process of its own, and they are to
    /// share one cluster.
    pub until_runner_ends: bool,
    /// Whether the whole directory is removed when nobody uses the cluster any more.
    pub remove_afterwards: bool,
    /// Whether the caller has just made the directory: data that were kept elsewhere in its stead are removed then.
    pub anew: bool,
    /// Is told, in one line, what takes long or reaches out.
    pub announce: fn(&str),
}

impl Options {
    /// A cluster in `dir` from whatever this machine has, as the environment says.
    pub fn new(dir: impl Into<PathBuf>, profile: Profile) -> Self {
        Self {
            dir: dir.into(),
            profile,
            search: Search::system(),
            // What means nothing gives no leave.
            fetch: Fetch::from_env().unwrap_or(Fetch::Never),
            settings: Vec::new(),
            keep_alive: false,
            until_runner_ends: false,
            remove_afterwards: false,
            anew: false,
            announce: |line| {
                let _ = writeln!(std::io::stderr(), "{line}");
            },
        }
    }

    /// A cluster in a fresh directory inside `parent`, of which nothing is left in the end.
    pub fn temporary(parent: &Path, profile: Profile) -> Self {
        static CLUSTERS: AtomicU32 = AtomicU32::new(0);
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!("leadmill-pg-{}-{number}", std::process::id()));
        Self {
            remove_afterwards: true,
            ..Self::new(dir, profile)
        }
    }

    /// All settings of the server, later ones winning.
    pub(crate) fn all_settings(&self) -> Vec<(String, String)> {
        let common = [
            ("listen_addresses", ""),
            ("unix_socket_permissions", "0700"),
            ("max_connections", "200"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
        ];
        let test = [
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("max_connections", "300"),
        ];
        let profile: &[_] = if self.profile == Profile::Test {
            &test
        } else {
            &[]
        };
        let owned = common
            .iter()
            .chain(profile)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.chain(self.settings.iter().cloned()).collect()
    }
}
