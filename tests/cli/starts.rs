//! What keeps a command from starting or from going on, and how it says so.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use super::leadmill;
use crate::harness::World;

/// A folder that every user may look into.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn program(dir: &Path, name: &str, script: &str) {
    let file = dir.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_machine_without_a_postgres_that_serves_is_told_so_and_scripts_too() {
    let folder = open_folder();
    let (bin, data) = (folder.path().join("bin"), folder.path().join("data"));
    std::fs::create_dir(&bin).unwrap();
    let named = bin.display().to_string();
    let (data, env) = (data.display().to_string(), [("LEADMILL_PG_BIN", &*named)]);
    let wanted = |found: &str| {
        format!(
            "exit 69\nerror: no PostgreSQL found, and this command needs one (version 14 or newer).\n  \
             looked for: $LEADMILL_PG_BIN ({named}; nowhere else, as it is set)\n  \
             found: {named}: {found}\n\
             Do one of these, then run the same command again:\n"
        )
    };
    let commands: [&[&str]; 2] = [&["dev", "--data", &data], &["bench", "enqueue"]];
    for command in commands {
        let said = leadmill(command, &env);
        assert!(
            said.starts_with(&wanted("no `postgres` in it")),
            "{command:?}: {said}"
        );
        assert!(
            said.ends_with("export DATABASE_URL=postgres://user:password@host/database\n"),
            "{command:?}: {said}"
        );
    }
    for name in ["postgres", "initdb"] {
        program(&bin, name, &format!("echo '{name} (PostgreSQL) 13.9'"));
    }
    for command in commands {
        let said = leadmill(command, &env);
        assert!(
            said.starts_with(&wanted("too old (13, need 14 or newer)")),
            "{command:?}: {said}"
        );
    }
}

#[test]
fn what_dev_cannot_have_is_told_before_a_database_is_looked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = open_folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (file, data) = (file.display().to_string(), folder.path().join("data"));
    let env = [("LEADMILL_PG_BIN", "/nowhere")];

    let said = leadmill(
        &[
            "dev",
            "--listen",
            &address,
            "--data",
            &data.display().to_string(),
        ],
        &env,
    );
    let wanted = format!("exit 69\nerror: cannot listen on {address}: ");
    assert!(said.starts_with(&wanted), "{said}");
    let said = leadmill(&["dev", "--data", &file], &env);
    let wanted = format!("exit 69\nerror: --data: cannot make the directory {file}: ");
    assert!(said.starts_with(&wanted), "{said}");
}

#[test]
fn what_neither_allows_nor_forbids_fetching_is_refused_by_name() {
    for value in ["no", "0", "false"] {
        let env = [
            ("LEADMILL_PG_FETCH", value),
            ("LEADMILL_PG_BIN", "/nowhere"),
        ];
        for command in [&["dev"][..], &["bench", "enqueue"]] {
            let said = leadmill(command, &env);
            assert_eq!(
                said,
                format!(
                    "exit 64\nerror: LEADMILL_PG_FETCH: `{value}` means nothing; say `never` to forbid fetching, or leave it out\n"
                ),
                "{command:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_seen_enough_ends_a_command_well() {
    let world = World::new().await;
    let commands: [&[&str]; 8] = [
        &["--help"],
        &["completions", "bash"],
        &["openapi"],
        &["check"],
        &["migrate"],
        &["jobs", "ls"],
        &["queues", "--json"],
        &["schedules"],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_leadmill"))
            .args(command)
            .current_dir(std::env::temp_dir())
            .env_clear()
            .envs([("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")])
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_migration_is_told_when_it_begins() {
    let server = crate::harness::server().await;
    let name = format!("leadmill_test_told_{}", std::process::id());
    server.create_database(&name).await.unwrap();
    let url = server.url(&name);
    let env = [("DATABASE_URL", &*url), ("RUST_LOG", "warn")];
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    // In the way of the third.
    sqlx::query("CREATE FUNCTION deny_mutation() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        .execute(&pool)
        .await
        .unwrap();
    let said = leadmill(&["migrate"], &env);
    let wanted = "exit 70\nApplying 0001_queue\nApplying 0002_queue_schedules\n";
    let told = said.split("error: ").next().unwrap();
    assert!(told.starts_with(wanted), "{said}");
    assert!(told.ends_with("Applying 0010_roles\n"), "{said}");

    sqlx::query("DROP FUNCTION deny_mutation()")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let said = leadmill(&["migrate"], &env);
    assert!(
        said.starts_with("exit 0\nApplying 0010_roles\n")
            && said.ends_with("\nThe database is up to date.\n"),
        "{said}"
    );
    server.drop_database(&name).await.unwrap();
}

#[test]
fn one_look_names_mistakes_of_all_kinds_each_once_and_in_its_place() {
    let folder = open_folder();
    let at = |path: &str| folder.path().join(path).display().to_string();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("t/mail/lead_scored/body.txt", "{% if lead %}");
    write("t/mail/lead_scored/bodi.txt", "Hello");
    write("t/pages/console/layout.html", "{{ 1 + }}");
    write("t/README.md", "ours");
    let toml = format!(
        "[log]\nfilter = \"leadmill=loud\"\n[mail]\nurl = \"smtp://mail.example?tls=maybe\"\nfrom = \"a@\"\n\
         [http]\nlisen = \"x\"\n[templates]\ndir = \"{}\"\n",
        at("t")
    );
    write("worker.toml", &toml);
    let file = at("worker.toml");

    let said = leadmill(&["check", "--config", &file], &[]);
    let mut lines: Vec<String> = said
        .lines()
        .map(|line| line.replace(&format!("{}/", folder.path().display()), ""))
        .collect();
    lines.sort();
    assert_snapshot!("check_everything", lines.join("\n"));

    let lost = format!("templates.dir={}", at("nowhere"));
    let said = leadmill(&["serve", "--set", &lost], &[]);
    let wanted = format!(
        "exit 78\nerror: --set: templates.dir: `{}` is not a folder\n",
        at("nowhere")
    );
    assert_eq!(said, wanted);
    let said = leadmill(&["check"], &[("RUST_LOG", "x=y=z")]);
    assert!(
        said.starts_with("exit 78\nerror: RUST_LOG: log.filter: `x=y=z` is not a filter; "),
        "{said}"
    );
}
