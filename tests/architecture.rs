//! What the tree promises beyond what the compiler holds: who uses what, and that files stay small.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files hold more than one idea.
const LONGEST: usize = 500;

/// Every Rust file of the programs and their tests, with its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut dirs: Vec<PathBuf> = ["src", "jobs", "tests"].map(|dir| root.join(dir)).into();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() > 100, "the sources are not where they were");
    found
}

/// Asserts that `words` stand only in files under one of `homes`, tests aside.
#[track_caller]
fn only_in(homes: &[&str], words: &[&str]) {
    let mut astray = Vec::new();
    for (name, text) in sources() {
        let is_test =
            name.starts_with("tests/") || name.ends_with("tests.rs") || name.contains("/tests/");
        if is_test || homes.iter().any(|home| name.starts_with(home)) {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| code.contains(**word)) {
                astray.push(format!("{name}:{number}: {word}"));
            }
        }
    }
    assert!(
        astray.is_empty(),
        "only {homes:?} may:\n{}",
        astray.join("\n")
    );
}

#[test]
fn sql_stands_in_stores() {
    let homes = [
        "src/domain/store/",
        "src/queue/store",
        "src/queue/admin",
        "src/queue/schedule/",
        "src/queue/listen.rs",
        "src/queue/worker.rs",
        "src/database",
        "src/postgres/",
        "src/bench/",
        "src/chaos/store",
    ];
    only_in(
        &homes,
        &["sqlx::query", "sqlx::raw_sql", "QueryBuilder::new"],
    );
}

/// Processes whose clocks differ agree only on the database's.
#[test]
fn the_queue_asks_no_clock_but_the_databases() {
    for (name, text) in sources() {
        if name.starts_with("src/queue/") && !name.ends_with("tests.rs") {
            for clock in ["Utc::now", "Local::now", "SystemTime::now"] {
                assert!(!text.contains(clock), "{name} asks {clock}");
            }
        }
    }
}

#[test]
fn apalis_is_the_queues_own_matter() {
    only_in(&["src/queue/"], &["apalis"]);
}

#[test]
fn only_effects_reach_out() {
    only_in(&["jobs/effects"], &["lettre::", "reqwest::"]);
}

#[test]
fn the_web_knows_no_effects() {
    let web = ["src/web", "src/intake", "src/api", "src/console"];
    for (name, text) in sources() {
        if web.iter().any(|part| name.starts_with(part)) {
            assert!(
                !text.contains("jobs::effects"),
                "{name} reaches out by itself"
            );
        }
    }
}

#[test]
fn the_queue_knows_no_business_and_the_domain_no_queue() {
    for (name, text) in sources() {
        if name.starts_with("src/queue/") {
            assert!(!text.contains("use domain::"), "{name} knows business");
        }
        if name.starts_with("src/domain/") {
            assert!(
                !text.contains("use queue::") && !text.contains("axum::"),
                "{name} knows too much"
            );
        }
    }
}

#[test]
fn every_job_is_in_a_file_of_its_name_registered_and_tested() {
    let registry =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/lib.rs")).unwrap();
    let mut jobs = 0;
    for (name, text) in sources() {
        let Some(at) = text.find("const NAME: &'static str = \"") else {
            continue;
        };
        if !name.starts_with("jobs/") {
            continue;
        }
        jobs += 1;
        let kind = text[at..].split('"').nth(1).unwrap();
        assert_eq!(name, format!("jobs/{kind}.rs"));
        let kind: String = kind
            .split('_')
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect();
        assert!(
            registry.contains(&format!(".add::<{kind}>()")),
            "{kind} is not registered"
        );
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests")
            .join(&name);
        assert!(tests.exists(), "{kind} has no tests in tests/{name}");
    }
    assert!(jobs >= 9, "the jobs are not where they were");
}

#[test]
fn files_hold_one_idea() {
    for (name, text) in sources() {
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST,
            "{name} has {lines} lines, more than {LONGEST}"
        );
        assert!(
            !name.ends_with("/mod.rs"),
            "{name}: a module is a file beside its folder"
        );
    }
}

#[test]
fn what_the_doors_share_knows_no_door() {
    let doors = ["crate::api", "crate::console", "crate::intake"];
    only_in(
        &[
            "src/api",
            "src/console",
            "src/intake",
            // Puts the parts together.
            "src/app.rs",
            "src/serve.rs",
            "src/cli",
            "src/dev",
            "src/bench",
        ],
        &doors,
    );
    only_in(&["src/api", "src/serve.rs", "src/cli"], &["crate::api"]);
    // A capture over tRPC is a source of leads that the API opens the door to.
    only_in(
        &[
            "src/intake",
            "src/api/trpc/procedures.rs",
            // Puts the parts together.
            "src/app.rs",
            "src/serve.rs",
            "src/dev",
            "src/bench",
        ],
        &["crate::intake"],
    );
    only_in(&["src/console", "src/serve.rs"], &["crate::console"]);
}

#[test]
fn settings_know_nothing_that_they_set() {
    for (name, text) in sources() {
        if name.starts_with("src/config") {
            let foreign = ["use jobs::", "use domain::", "use queue::"];
            let known = foreign.iter().find(|path| text.contains(**path));
            assert_eq!(known, None, "{name}");
        }
    }
}
