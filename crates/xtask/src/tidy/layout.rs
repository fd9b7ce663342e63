//! Where files may stand: the top level, the one README, no `mod.rs`, no files of their own report.

use std::collections::BTreeSet;

use super::Breach;
use super::tree::File;

/// The agreed top level, but for dotfiles and licences.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "nats",
    "replay",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "schemas",
    "tests",
];

/// The project's README, and the list of changes of shape that stands with the schemas.
const READMES: &[&str] = &["README.md", "schemas/README.md"];

/// Words of files that say what was done; that is said in commits.
const REPORTS: &[&str] = &["SUMMARY", "REPORT", "CHANGELOG", "TODO", "NOTES", "STATUS", "PLAN"];

/// Checks the paths of all files.
pub(crate) fn check(files: &[File]) -> Vec<Breach> {
    let paths = || files.iter().map(|file| file.path.as_str());
    let tops: BTreeSet<&str> = paths().filter_map(|path| path.split('/').next()).collect();
    let mut found: Vec<Breach> = tops
        .into_iter()
        .filter(|top| !(TOP.contains(top) || top.starts_with('.') || top.starts_with("LICENSE")))
        .map(|top| Breach::new(top, 0, "outside the agreed top level"))
        .collect();
    found.extend(paths().filter_map(misplaced));
    found
}

fn misplaced(path: &str) -> Option<Breach> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let breach = |what| Some(Breach::new(path, 0, what));
    let stem = name.split('.').next().unwrap_or(name).to_uppercase();
    if name == "mod.rs" {
        return breach("a module is `foo.rs` beside `foo/`, never `mod.rs`");
    }
    let is_prose = name.ends_with(".md") || name.ends_with(".txt") || !name.contains('.');
    if is_prose && stem == "README" && !READMES.contains(&path) {
        return breach("the project has one README");
    }
    let words: Vec<&str> = stem.split(['_', '-', ' ']).collect();
    if is_prose && words.iter().any(|word| REPORTS.contains(word)) {
        return breach("no report files; what was done is in the commit");
    }
    None
}
