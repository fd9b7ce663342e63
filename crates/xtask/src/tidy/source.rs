//! Rules of the text: how a file begins, how long things are, what is never written.

use super::Breach;
use super::function::functions;
use super::tree::File;
use super::views::Views;

const LINE_CHARS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

const INVARIANT: &str = "//! **Architecture invariant:**";

/// What is never written in code, and why.
const NEVER_IN_CODE: &[(&str, &str)] = &[
    ("#[allow(", "use `#[expect(lint, reason = \"…\")]`"),
    ("#![allow(", "use `#![expect(lint, reason = \"…\")]`"),
    ("#[ignore", "a test runs, or says `SKIP: why` when what it needs is not there"),
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
];

/// Marks of unfinished work, in comments too. In pieces, so that this list is no breach itself.
const MARKS: &[&str] = &[concat!("FIX", "ME"), concat!("TO", "DO:"), concat!("XX", "X:")];

/// Hosts of package registries: a machine may use a mirror, and the ordinary clients know it.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io/"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("proxy.", "golang.org"),
];

/// Rules for every file with text.
pub(crate) fn check_text(file: &File) -> Vec<Breach> {
    let mut found = Vec::new();
    if file.path == "Cargo.lock" {
        return found; // written by cargo, which names its registry there
    }
    for (index, line) in file.text.lines().enumerate() {
        for host in REGISTRIES.iter().filter(|host| line.contains(**host)) {
            let what = format!("names the registry host {host}; leave that to the client's config");
            found.push(Breach::new(&file.path, index + 1, what));
        }
        for mark in MARKS.iter().filter(|mark| line.contains(**mark)) {
            found.push(Breach::new(&file.path, index + 1, format!("`{mark}`: finish or explain")));
        }
    }
    found
}

/// Rules for Rust sources.
pub(crate) fn check_rust(file: &File, views: &Views) -> Vec<Breach> {
    let mut found = opening(file);
    found.extend(long_lines(file, &views.strings));
    found.extend(long_wholes(file, &views.code));
    found.extend(forbidden(&file.path, &views.code));
    found.extend(tests_inside(file, &views.code));
    found
}

fn opening(file: &File) -> Vec<Breach> {
    let mut found = Vec::new();
    if !file.text.starts_with("//! ") {
        let what = "a file begins with `//!` and what it is";
        found.push(Breach::new(&file.path, 1, what));
    }
    let is_crate_root = file.path.starts_with("crates/") && file.path.ends_with("/src/lib.rs");
    if is_crate_root && !file.text.lines().any(|line| line.starts_with(INVARIANT)) {
        found.push(Breach::new(&file.path, 1, format!("no line begins `{INVARIANT}`")));
    }
    found
}

/// Data in a test, such as what a tool printed, stands as it was recorded.
fn long_lines(file: &File, strings: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    for (index, (line, string)) in file.text.lines().zip(strings.lines()).enumerate() {
        let chars = line.chars().count();
        let is_data = file.is_test() && string.trim_end().chars().count() > LINE_CHARS_MAX;
        if chars > LINE_CHARS_MAX && !is_data {
            let what = format!("{chars} characters, over {LINE_CHARS_MAX}");
            found.push(Breach::new(&file.path, index + 1, what));
        }
    }
    found
}

fn long_wholes(file: &File, code: &str) -> Vec<Breach> {
    let path = &file.path;
    let mut found = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX && !file.is_test() {
        found.push(Breach::new(path, 0, format!("{lines} lines, over {FILE_LINES_MAX}")));
    }
    for function in functions(code).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
        let what =
            format!("`{}` has {} lines, over {FUNCTION_LINES_MAX}", function.name, function.lines);
        found.push(Breach::new(path, function.line, what));
    }
    found
}

fn forbidden(path: &str, code: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for (word, why) in NEVER_IN_CODE.iter().filter(|(word, _)| line.contains(word)) {
            found.push(Breach::new(path, index + 1, format!("`{word}`: {why}")));
        }
    }
    found
}

fn tests_inside(file: &File, code: &str) -> Vec<Breach> {
    let inside = code.lines().enumerate().filter(|(_, line)| line.trim() == "mod tests {");
    inside
        .map(|(index, _)| Breach::new(&file.path, index + 1, "tests go in a sibling `tests.rs`"))
        .collect()
}
