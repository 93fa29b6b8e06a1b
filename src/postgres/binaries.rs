//! Finding the programs of a Postgres that is installed here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;
use crate::fetch;

/// The oldest major version that is supported.
pub const OLDEST_MAJOR: u32 = 14;

/// Where Linux distributions, Homebrew, MacPorts and Postgres.app put their programs; `*` stands for any part of a name.
const PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/opt/local/lib/postgresql*/bin",
];

/// Where to look for the programs of Postgres.
#[derive(Debug, Clone)]
pub struct Search {
    /// The directory named by `LEADMILL_PG_BIN`: when set, the only place.
    pub named: Option<PathBuf>,
    /// Whether `pg_config` is asked.
    pub pg_config: bool,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// Further directories, in which `*` stands for any part of a name.
    pub places: Vec<String>,
    /// Where fetched binaries are kept.
    pub cache: PathBuf,
}

impl Search {
    /// Everywhere that this machine may have a Postgres, as the environment says.
    pub fn system() -> Self {
        Self {
            named: std::env::var_os("LEADMILL_PG_BIN")
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from),
            pg_config: true,
            path: std::env::var_os("PATH"),
            places: PLACES.iter().map(|place| (*place).to_owned()).collect(),
            cache: cache_dir(),
        }
    }

    /// Names the places in the order of the search.
    pub(crate) fn describe(&self) -> Vec<String> {
        if let Some(named) = &self.named {
            return vec![format!(
                "$LEADMILL_PG_BIN ({}; nowhere else, as it is set)",
                named.display()
            )];
        }
        let mut places = vec!["$LEADMILL_PG_BIN (unset)".to_owned()];
        places.extend(self.pg_config.then(|| "pg_config".to_owned()));
        places.extend(self.path.is_some().then(|| "PATH".to_owned()));
        places.extend(self.places.iter().cloned());
        places.push(self.cache.display().to_string());
        places
    }

    /// Every directory with a `postgres` in it, in order, each once.
    fn directories(&self) -> Vec<PathBuf> {
        if let Some(named) = &self.named {
            return named
                .join("postgres")
                .is_file()
                .then(|| named.clone())
                .into_iter()
                .collect();
        }
        let mut found = Vec::new();
        if self.pg_config {
            found.extend(ask_pg_config());
        }
        if let Some(path) = &self.path {
            // A link in PATH leads to where the rest of the installation is.
            found.extend(std::env::split_paths(path).filter_map(|dir| {
                dir.join("postgres")
                    .canonicalize()
                    .ok()?
                    .parent()
                    .map(Path::to_owned)
            }));
        }
        for place in &self.places {
            found.extend(expand(place));
        }
        found.extend(cached(&self.cache));

        let mut seen = BTreeSet::new();
        found.retain(|dir| {
            dir.join("postgres").is_file() && seen.insert(dir.canonicalize().unwrap_or(dir.clone()))
        });
        found
    }
}

/// The programs of one Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) bin: PathBuf,
    pub(crate) major: u32,
    /// Libraries that were fetched along with it.
    libraries: Option<OsString>,
}

/// What a search brought.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) usable: Vec<Binaries>,
    pub(crate) refused: Vec<(PathBuf, String)>,
}

impl Found {
    /// The one to use: the version that made existing data, else the first that was found.
    pub(crate) fn choose(&self, major: Option<u32>) -> Option<&Binaries> {
        self.usable
            .iter()
            .find(|binaries| major.is_none_or(|major| binaries.major == major))
    }
}

impl Binaries {
    /// A command for one of the programs, to be run by `account`.
    pub(crate) fn command(&self, account: Account, program: &str) -> Command {
        let mut command = account.command(self.bin.join(program));
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// Looks at `bin`: the programs count only if `account` can run them and they are new enough.
    fn probe(bin: &Path, account: Account) -> Result<Self, String> {
        let libraries = libraries_beside(bin);
        let mut binaries = Self {
            bin: bin.to_owned(),
            major: 0,
            libraries,
        };
        for program in ["postgres", "initdb"] {
            let output = binaries
                .command(account, program)
                .arg("--version")
                .stderr(Stdio::piped())
                .output()
                .map_err(|error| format!("{program} does not run ({error})"))?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let major = major_of(&text)
                .filter(|_| output.status.success())
                .ok_or_else(|| {
                    let error = String::from_utf8_lossy(&output.stderr);
                    format!(
                        "{program} does not run ({})",
                        error
                            .lines()
                            .next()
                            .unwrap_or("it did not tell its version")
                    )
                })?;
            if major < OLDEST_MAJOR {
                return Err(format!("too old ({major}, need {OLDEST_MAJOR} or newer)"));
            }
            binaries.major = major;
        }
        Ok(binaries)
    }
}

/// Looks everywhere that `search` names for programs that `account` can run.
pub(crate) fn find(search: &Search, account: Account) -> Found {
    let mut found = Found::default();
    for bin in search.directories() {
        match Binaries::probe(&bin, account) {
            Ok(binaries) => found.usable.push(binaries),
            Err(reason) => found.refused.push((bin, reason)),
        }
    }
    if let Some(named) = &search.named
        && found.usable.is_empty()
        && found.refused.is_empty()
    {
        found
            .refused
            .push((named.clone(), "no `postgres` in it".to_owned()));
    }
    found
}

/// The major version in the likes of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn ask_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    (!dir.trim().is_empty()).then(|| PathBuf::from(dir.trim()))
}

/// The directories that match `pattern`, the highest number first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.split_once('*') {
            None => found
                .into_iter()
                .map(|dir| dir.join(part))
                .filter(|dir| dir.exists())
                .collect(),
            Some((start, end)) => found
                .iter()
                .flat_map(|dir| matching(dir, start, end))
                .collect(),
        };
    }
    found
}

fn matching(dir: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<(u32, String)> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| {
            // As for a shell; a download that is still going on has such a name.
            if name.starts_with('.') {
                return None;
            }
            let middle = name.strip_prefix(start)?.strip_suffix(end)?;
            Some((middle.parse().unwrap_or(0), name))
        })
        .collect();
    names.sort();
    names
        .into_iter()
        .rev()
        .map(|(_, name)| dir.join(name))
        .collect()
}

/// The program directories of everything fetched before.
pub(crate) fn cached(cache: &Path) -> Vec<PathBuf> {
    let cache = cache.display();
    [
        format!("{cache}/*/usr/lib/postgresql/*/bin"),
        format!("{cache}/*/native/bin"),
    ]
    .iter()
    .flat_map(|pattern| expand(pattern))
    .collect()
}

/// Libraries unpacked beside the programs, in the layout of a Debian package.
fn libraries_beside(bin: &Path) -> Option<OsString> {
    let usr = bin.ancestors().nth(4).filter(|usr| usr.ends_with("usr"))?;
    let root = usr
        .parent()
        .filter(|root| root.join(fetch::MARK).exists())?;
    let dirs = ["usr/lib", "lib"].map(|lib| root.join(lib).join(fetch::debian_triplet()));
    std::env::join_paths(dirs).ok()
}

/// Root's home is closed to the user that root's Postgres runs as.
fn cache_dir() -> PathBuf {
    let of = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = match () {
        () if rustix::process::geteuid().is_root() => PathBuf::from("/var/cache"),
        () if of("XDG_CACHE_HOME").is_some() => of("XDG_CACHE_HOME").unwrap_or_default(),
        () => of("HOME").unwrap_or_else(std::env::temp_dir).join(".cache"),
    };
    base.join("leadmill/postgres")
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn the_major_version_is_read_from_what_the_programs_print() {
        assert_eq!(
            major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_of("initdb (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("something else"), None);
    }
}
