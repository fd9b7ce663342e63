//! How much of the code is tests, by crate.

use std::collections::BTreeMap;

use super::tree::File;

#[derive(Default)]
struct Lines {
    tests: usize,
    all: usize,
}

/// A line per crate with Rust sources and one for the whole, test lines counted without blanks.
pub(crate) fn report(files: &[File]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Lines> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().filter(|line| !line.trim().is_empty()).count();
        for name in [crate_of(&file.path), "whole"] {
            let row = crates.entry(name).or_default();
            row.all += lines;
            row.tests += if file.is_test() { lines } else { 0 };
        }
    }
    let whole = crates.remove_entry("whole");
    crates.into_iter().chain(whole).map(|(name, lines)| line(name, &lines)).collect()
}

fn crate_of(path: &str) -> &str {
    path.strip_prefix("crates/").unwrap_or(path).split('/').next().unwrap_or(path)
}

fn line(name: &str, lines: &Lines) -> String {
    let percent = lines.tests * 100 / lines.all.max(1);
    format!("{name:22} {:>6} lines, {percent:>3} % tests", lines.all)
}
