//! The list of requirements names only tests that exist, each requirement once, and none that are done without a test.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("requirements.md");
/// How many requirements each part has.
const PARTS: [(&str, usize); 6] = [
    ("S0", 78),
    ("S1", 57),
    ("S2", 174),
    ("S3", 98),
    ("S4", 113),
    ("U", 15),
];

/// The rows of the list: id and proof, none if it is open.
fn rows() -> Vec<(&'static str, Option<&'static str>)> {
    let rows = LIST.lines().filter(|line| {
        line.starts_with("| S") && line.as_bytes()[3].is_ascii_digit() || line.starts_with("| U-")
    });
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let proof = *cells.last().unwrap();
        let open = proof == "☐";
        (cells[0], (!open).then(|| proof.trim_matches('`')))
    })
    .collect()
}

/// Where the file of a test path may be: each module in turn is a file or a folder.
fn file_of(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<_> = path.split("::").collect();
    let dir = match names[0] {
        "domain" => Some("src/domain"),
        "jobs" if names.get(1) == Some(&"effects") => Some("jobs"),
        _ => None,
    };
    let base = match dir {
        Some(dir) => {
            names.remove(0);
            root.join(dir)
        }
        None => root.join("tests"),
    };
    names.pop();
    while !names.is_empty() {
        let file = base.join(names.join("/")).with_extension("rs");
        if file.is_file() {
            return Some(file);
        }
        // A module in its parent's file.
        names.pop();
    }
    None
}

#[test]
fn every_proof_is_a_test_that_exists() {
    let mut missing = Vec::new();
    for (id, proof) in rows() {
        let Some(proof) = proof else { continue };
        let name = proof.rsplit("::").next().unwrap();
        let source = file_of(proof).and_then(|file| fs::read_to_string(file).ok());
        let there = source.is_some_and(|source| is_test(&source, name));
        if !there {
            missing.push(format!("{id}: {proof}"));
        }
    }
    assert!(
        missing.is_empty(),
        "there are no such tests:\n{}",
        missing.join("\n")
    );
}

/// Whether `name` is a function that is marked as a test, on its own or by a macro of properties.
fn is_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else {
        return false;
    };
    let before = &source[..at];
    let marked = before.rfind("#[test]").max(before.rfind("#[tokio::test"));
    marked.is_some_and(|mark| !before[mark..].contains("\n}"))
}

#[test]
fn each_requirement_is_listed_once_and_none_is_missing() {
    let ids: Vec<_> = rows().into_iter().map(|(id, _)| id).collect();
    let unique: HashSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    let mut counts = BTreeMap::new();
    for id in ids {
        let (part, _) = id.split_once('-').unwrap();
        *counts.entry(part).or_insert(0) += 1;
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), PARTS);
}
