//! Each rule of the tree, shown to fire on the smallest breach and to let the good case pass.

use super::tree::{Dependency, File, Package, Tree};
use super::*;

mod crates;
mod source;
mod views;

/// Every breach of one file alone, as `line: what`.
fn check(path: &str, text: &str) -> Vec<String> {
    let files = vec![File { path: path.to_owned(), text: text.to_owned() }];
    let found = breaches(&Tree { files, packages: Vec::new() });
    found.into_iter().map(|b| format!("{}: {}", b.line, b.what)).collect()
}

/// Asserts that the file breaks exactly one rule, at this line, in words that hold this one.
#[track_caller]
fn breaks(path: &str, text: &str, line: usize, word: &str) {
    let found = check(path, text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(&format!("{line}: ")), "{found:?} is not at line {line}");
    assert!(found[0].contains(word), "{found:?} does not say {word}");
}

#[track_caller]
fn passes(path: &str, text: &str) {
    assert_eq!(check(path, text), Vec::<String>::new());
}

#[test]
fn the_top_level_holds_only_what_was_agreed() {
    breaks("scripts/run.sh", "", 0, "top level");
    breaks("IMPLEMENTATION.md", "", 0, "top level");
    passes("LICENSE-MIT", "");
    passes(".ci/run", "");
    passes("nats/roles.toml", "");
}

#[test]
fn there_is_one_readme_and_no_report() {
    breaks("crates/xtask/README.md", "", 0, "one README");
    breaks("nats/TEST_REPORT.md", "", 0, "report");
    breaks("replay/NOTES.txt", "", 0, "report");
    passes("schemas/README.md", "");
    passes("crates/devmesh/src/explain/lock_conflict.md", "");
}

#[test]
fn modules_have_no_mod_rs() {
    breaks("crates/devmesh-bus/src/log/mod.rs", "//! The log.\n", 0, "mod.rs");
}

#[test]
fn names_of_files_say_something() {
    breaks("crates/devmesh-bus/src/utils.rs", "//! Odds and ends.\n", 0, "`utils`");
    breaks("crates/devmesh-bus/src/log_helper/read.rs", "//! Reads.\n", 0, "`helper`");
    passes("crates/devmesh-bus/src/commons.rs", "//! A green.\n");
}

#[test]
fn names_in_code_say_something() {
    let at = "crates/devmesh-bus/src/log.rs";
    breaks(at, "//! A.\npub struct LogManager;\n", 2, "`manager` in `LogManager`");
    breaks(at, "//! A.\nfn put_misc() {}\n", 2, "`misc`");
    breaks(at, "//! A.\ntrait HTTPHandler {}\n", 2, "`handler` in `HTTPHandler`");
    breaks(at, "//! A.\nconst COMMON_PATHS: u8 = 1;\n", 2, "`common`");
    breaks(at, "//! A.\nmod helpers;\n", 2, "`helpers`");
    passes(at, "//! A.\n/// Exported as a service.\nfn put() { let kind = \"service\"; }\n");
    passes(at, "//! A.\nfn managed_server() {}\nstruct Uncommon;\n");
}

#[test]
fn the_readme_shows_the_table_of_modes() {
    breaks("README.md", "# devmesh\n", 0, "table of lock modes");
    passes("README.md", &format!("# devmesh\n\n{}\n", devmesh_protocol::Mode::table()));
}

#[test]
fn a_breach_is_printed_with_its_place() {
    assert_eq!(Breach::new("a/b.rs", 7, "wrong").to_string(), "a/b.rs:7: wrong");
    assert_eq!(Breach::new("a/b.rs", 0, "wrong").to_string(), "a/b.rs: wrong");
}

#[test]
fn the_share_of_tests_is_counted_without_blank_lines() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let files = [
        file("crates/devmesh-domain/src/lib.rs", "//! One.\n\nmod fold;\n"),
        file("crates/devmesh-domain/src/fold/tests.rs", "//! Two.\n\nuse super::*;\n"),
        file("tests/all.rs", "//! Three.\n"),
        file("README.md", "not counted\n"),
    ];
    assert_eq!(
        share::report(&files),
        [
            "devmesh-domain              4 lines,  50 % tests",
            "tests                       1 lines, 100 % tests",
            "whole                       5 lines,  60 % tests",
        ]
    );
}

#[test]
fn this_tree_can_be_read() {
    let tree = Tree::read(&crate::cargo::root()).unwrap();
    let own = tree.file("crates/xtask/src/tidy/tests.rs").expect("this file");
    assert!(own.is_test() && own.text.contains("this_tree_can_be_read"));
    let xtask = tree.packages.iter().find(|package| package.name == "xtask").expect("xtask");
    assert_eq!(xtask.manifest_path, "crates/xtask/Cargo.toml");
}
