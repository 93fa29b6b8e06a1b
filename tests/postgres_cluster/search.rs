//! Which binaries are taken, and what is said when there are none.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postgres::{Cluster, Error, Fetch, NotFound, Options, Profile, Search, System};

use super::{open_dir, options};

/// Nothing but the two given places.
fn only(places: &[&Path], cache: &Path) -> Search {
    Search {
        named: None,
        pg_config: false,
        path: None,
        places: places
            .iter()
            .map(|place| place.display().to_string())
            .collect(),
        cache: cache.to_owned(),
    }
}

/// Programs that say they are PostgreSQL `version`.
fn pretend(dir: &Path, version: &str) {
    std::fs::create_dir_all(dir).unwrap();
    for program in ["postgres", "initdb"] {
        let file = dir.join(program);
        std::fs::write(
            &file,
            format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n"),
        )
        .unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

async fn refusal(dir: &Path, search: Search) -> NotFound {
    let options = Options {
        search,
        fetch: Fetch::Never,
        ..options(dir, Profile::Durable)
    };
    let error = Cluster::start(options).await.unwrap_err();
    assert!(error.is_unavailable());
    match error {
        Error::NotFound(not_found) => *not_found,
        other => panic!("{other}"),
    }
}

fn text(mut refusal: NotFound, dir: &Path, system: System) -> String {
    refusal.system = system;
    refusal
        .to_string()
        .replace(&dir.display().to_string(), "DIR")
}

#[tokio::test]
async fn a_machine_without_postgres_is_told_what_to_do() {
    let dir = open_dir();
    let search = only(&[&dir.path().join("*/bin")], &dir.path().join("cache"));

    let refusal = refusal(dir.path(), search).await;

    insta::assert_snapshot!(text(refusal.clone(), dir.path(), System::Debian), @r"
    no PostgreSQL found, and this command needs one (version 14 or newer).
      looked for: $LEADMILL_PG_BIN (unset), DIR/*/bin, DIR/cache
      fetch: not tried, as it is forbidden (--no-fetch or LEADMILL_PG_FETCH=never)
    Do one of these, then run the same command again:
      Debian, Ubuntu    sudo apt-get install -y postgresql
      a server you have export DATABASE_URL=postgres://user:password@host/database
    ");
    insta::assert_snapshot!(text(refusal, dir.path(), System::Other), @r"
    no PostgreSQL found, and this command needs one (version 14 or newer).
      looked for: $LEADMILL_PG_BIN (unset), DIR/*/bin, DIR/cache
      fetch: not tried, as it is forbidden (--no-fetch or LEADMILL_PG_FETCH=never)
    Do one of these, then run the same command again:
      Debian, Ubuntu    sudo apt-get install -y postgresql
      Fedora, RHEL      sudo dnf install -y postgresql-server postgresql-contrib
      Alpine            apk add postgresql
      Arch              sudo pacman -S postgresql
      macOS             brew install postgresql@17
      a server you have export DATABASE_URL=postgres://user:password@host/database
    ");
}

#[tokio::test]
async fn a_postgres_that_is_too_old_or_broken_is_named() {
    let dir = open_dir();
    let (old, broken) = (dir.path().join("13/bin"), dir.path().join("15/bin"));
    pretend(&old, "13.9");
    pretend(&broken, "15.1");
    std::fs::write(
        broken.join("initdb"),
        "#!/bin/sh\necho 'no such library' >&2\nexit 127\n",
    )
    .unwrap();

    let search = only(&[&dir.path().join("*/bin")], &dir.path().join("cache"));
    let refusal = refusal(dir.path(), search).await;

    insta::assert_snapshot!(text(refusal, dir.path(), System::MacOs), @r"
    no PostgreSQL found, and this command needs one (version 14 or newer).
      looked for: $LEADMILL_PG_BIN (unset), DIR/*/bin, DIR/cache
      found: DIR/15/bin: initdb does not run (no such library)
      found: DIR/13/bin: too old (13, need 14 or newer)
      fetch: not tried, as it is forbidden (--no-fetch or LEADMILL_PG_FETCH=never)
    Do one of these, then run the same command again:
      macOS             brew install postgresql@17
      a server you have export DATABASE_URL=postgres://user:password@host/database
    ");
}

#[tokio::test]
async fn a_named_directory_is_the_only_one_that_counts() {
    let dir = open_dir();
    let search = Search {
        named: Some(dir.path().join("nothing")),
        ..Search::system()
    };

    let refusal = refusal(dir.path(), search).await;

    insta::assert_snapshot!(text(refusal, dir.path(), System::Fedora), @r"
    no PostgreSQL found, and this command needs one (version 14 or newer).
      looked for: $LEADMILL_PG_BIN (DIR/nothing; nowhere else, as it is set)
      found: DIR/nothing: no `postgres` in it
    Do one of these, then run the same command again:
      Fedora, RHEL      sudo dnf install -y postgresql-server postgresql-contrib
      a server you have export DATABASE_URL=postgres://user:password@host/database
    ");
}

#[test]
fn the_advice_fits_the_system() {
    let system = System::from_release;
    assert_eq!(system("ID=debian\n"), System::Debian);
    assert_eq!(
        system("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
        System::Debian
    );
    assert_eq!(
        system("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
        System::Fedora
    );
    assert_eq!(system("ID=alpine\n"), System::Alpine);
    assert_eq!(system("ID=nixos\n"), System::Other);
}
