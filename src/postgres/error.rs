//! Why there is no private Postgres, in words that say what to do about it.

use std::fmt;
use std::path::PathBuf;

use crate::binaries::OLDEST_MAJOR;

/// Why a private Postgres could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable binaries anywhere, and none could be fetched.
    #[error(transparent)]
    NotFound(Box<NotFound>),
    /// The data were made by another major version than any that was found.
    #[error(
        "the data in {} were made by PostgreSQL {major}, and no PostgreSQL {major} was found\n\
         {}Install that version, or move the directory away to begin with an empty one.",
        .data.display(), lines(.fetch)
    )]
    OtherMajor {
        /// The data directory.
        data: PathBuf,
        /// The major version that made it.
        major: u32,
        /// Why nothing was fetched, or how each attempt failed.
        fetch: Vec<String>,
    },
    /// The data were made by a version that is not supported any more.
    #[error(
        "the data in {} were made by PostgreSQL {major}, and {OLDEST_MAJOR} or newer is needed\n\
         Move the directory away to begin with an empty one, or upgrade it with pg_upgrade.",
        .data.display()
    )]
    TooOld {
        /// The data directory.
        data: PathBuf,
        /// The major version that made it.
        major: u32,
    },
    /// Root has no user to run Postgres as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor a user `nobody` to run it as"
    )]
    NoUser,
    /// A file or a program could not be used.
    #[error("could not {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program of Postgres ended with an error.
    #[error("{program} failed:\n{output}")]
    Failed {
        /// The program.
        program: String,
        /// The end of what it printed.
        output: String,
    },
    /// The server did not come up, or did not go away, in time.
    #[error("{what} took too long; its log is {}", .log.display())]
    TooLong {
        /// What was awaited.
        what: &'static str,
        /// Where the server logs.
        log: PathBuf,
    },
    /// The directory for the socket belongs to somebody else.
    #[error("{} is not ours to put a socket in; remove it", .0.display())]
    ForeignSocketDir(PathBuf),
    /// The server answered with an error.
    #[error("the private PostgreSQL refused a statement")]
    Sql(#[from] sqlx::Error),
    /// The template's migrations failed.
    #[error("could not fill the template database")]
    Template(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address of a server was not understood.
    #[error("not an address of a PostgreSQL server")]
    Url(#[from] url::ParseError),
}

impl Error {
    /// For `map_err`: names what was attempted.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether there is no Postgres to be had here, as opposed to one that failed.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_) | Self::OtherMajor { .. } | Self::TooOld { .. } | Self::NoUser
        )
    }
}

/// What became of the attempts to fetch, a line each.
fn lines(fetch: &[String]) -> String {
    fetch
        .iter()
        .map(|line| format!("  fetch: {line}\n"))
        .collect()
}

/// Where binaries were looked for, what was wrong with those found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// The places searched, in order.
    pub looked_for: Vec<String>,
    /// Candidates that do not serve, each with the reason.
    pub refused: Vec<(PathBuf, String)>,
    /// Why nothing was fetched, or how each attempt failed.
    pub fetch: Vec<String>,
    /// The system this is, which decides the advice.
    pub system: System,
}

impl std::error::Error for NotFound {}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no PostgreSQL found, and this command needs one (version {OLDEST_MAJOR} or newer)."
        )?;
        writeln!(f, "  looked for: {}", self.looked_for.join(", "))?;
        for (place, reason) in &self.refused {
            writeln!(f, "  found: {}: {reason}", place.display())?;
        }
        f.write_str(&lines(&self.fetch))?;
        writeln!(f, "Do one of these, then run the same command again:")?;
        for (system, name, advice) in ADVICE {
            if self.system == *system || self.system == System::Other {
                writeln!(f, "  {name:<18}{advice}")?;
            }
        }
        write!(
            f,
            "  {:<18}export DATABASE_URL=postgres://user:password@host/database",
            "a server you have"
        )
    }
}

/// A kind of operating system, as far as installing Postgres differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Debian, Ubuntu and their kin.
    Debian,
    /// Fedora, RHEL and their kin.
    Fedora,
    /// Alpine.
    Alpine,
    /// Arch and its kin.
    Arch,
    /// macOS.
    MacOs,
    /// Any other.
    Other,
}

const ADVICE: &[(System, &str, &str)] = &[
    (
        System::Debian,
        "Debian, Ubuntu",
        "sudo apt-get install -y postgresql",
    ),
    (
        System::Fedora,
        "Fedora, RHEL",
        "sudo dnf install -y postgresql-server postgresql-contrib",
    ),
    (System::Alpine, "Alpine", "apk add postgresql"),
    (System::Arch, "Arch", "sudo pacman -S postgresql"),
    (System::MacOs, "macOS", "brew install postgresql@17"),
];

impl System {
    /// The system this process runs on.
    pub fn current() -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::from_release(&release)
    }

    /// Reads `ID` and `ID_LIKE` of an `os-release` file.
    pub fn from_release(release: &str) -> Self {
        let value = |key: &str| {
            release
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_default()
        };
        let ids = format!("{} {}", value("ID="), value("ID_LIKE=")).replace('"', "");
        let is = |names: &[&str]| ids.split_whitespace().any(|id| names.contains(&id));
        match () {
            () if is(&["debian", "ubuntu"]) => Self::Debian,
            () if is(&["fedora", "rhel", "centos"]) => Self::Fedora,
            () if is(&["alpine"]) => Self::Alpine,
            () if is(&["arch"]) => Self::Arch,
            () => Self::Other,
        }
    }
}
