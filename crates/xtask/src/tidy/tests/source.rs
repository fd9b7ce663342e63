//! Rules of the text and of what a crate may reach for.

use super::*;

const AT: &str = "crates/devmesh-bus/src/log.rs";
const DOMAIN: &str = "crates/devmesh-domain/src/fold.rs";
const PROTOCOL: &str = "crates/devmesh-protocol/src/event.rs";

/// A source of one line of code under a good first line.
fn code(line: &str) -> String {
    format!("//! What it is.\n{line}\n")
}

#[test]
fn a_file_says_what_it_is() {
    breaks(AT, "use std::fmt;\n", 1, "begins with `//!`");
    breaks(AT, "", 1, "begins with `//!`");
    passes(AT, "//! What it is.\n");
}

#[test]
fn a_crate_says_what_never_happens_in_it() {
    let at = "crates/devmesh-bus/src/lib.rs";
    breaks(at, "//! The wire.\n", 1, "Architecture invariant");
    passes(at, "//! The wire.\n//!\n//! **Architecture invariant:** nothing decides.\n");
}

#[test]
fn the_domain_closes_its_matches() {
    let at = "crates/devmesh-domain/src/lib.rs";
    let opening = "//! Verbs.\n//!\n//! **Architecture invariant:** pure.\n";
    let one = format!("{opening}#![deny(clippy::wildcard_enum_match_arm)]\n");
    breaks(at, &one, 1, "match_wildcard_for_single_variants");
    passes(at, &format!("{one}#![deny(clippy::match_wildcard_for_single_variants)]\n"));
}

#[test]
fn lines_are_short() {
    let long = format!("// {}", "é".repeat(98));
    breaks(AT, &code(&long), 2, "101 characters");
    passes(AT, &code(&long[..long.len() - 2]));
}

#[test]
fn recorded_data_in_a_test_may_be_long() {
    let tests = "crates/devmesh-agent/src/dialect/tests.rs";
    let recorded = code(&format!("const LINE: &str = r#\"{}\"#;", "x".repeat(200)));
    passes(tests, &recorded);
    breaks(AT, &recorded, 2, "225 characters");
    breaks(tests, &code(&format!("// {}", "x".repeat(200))), 2, "203 characters");
}

#[test]
fn files_are_short_but_for_tests() {
    let text = code(&"// a line\n".repeat(599));
    breaks(AT, &text, 0, "601 lines");
    passes("crates/devmesh-bus/src/log/tests.rs", &text);
    passes("tests/it/restart.rs", &text);
}

#[test]
fn functions_are_short() {
    let body = |n: usize| code(&format!("fn long() {{\n{}}}", "    step();\n".repeat(n)));
    breaks(AT, &body(69), 2, "`long` has 71 lines");
    passes(AT, &body(68));
}

#[test]
fn lints_are_expected_with_a_reason() {
    breaks(AT, &code("#[allow(dead_code)]"), 2, "expect");
    breaks(AT, &code("#![allow(dead_code)]"), 2, "expect");
    passes(AT, &code("#[expect(dead_code, reason = \"read by the next format\")]"));
    passes(AT, &code("// no #[allow(dead_code)] here"));
}

#[test]
fn nothing_is_left_unfinished() {
    breaks(AT, &code("fn later() { todo!() }"), 2, "todo!");
    breaks(AT, &code("fn later() { unimplemented!() }"), 2, "unimplemented!");
    breaks(AT, &code(concat!("// FIX", "ME: soon")), 2, concat!("FIX", "ME"));
    breaks(AT, &code(concat!("// TO", "DO: soon")), 2, concat!("TO", "DO"));
    breaks("nats/roles.toml", concat!("# FIX", "ME\n"), 1, concat!("FIX", "ME"));
}

#[test]
fn no_test_is_ignored() {
    breaks(AT, &code("#[ignore = \"slow\"]"), 2, "SKIP");
}

#[test]
fn tests_stand_in_a_file_of_their_own() {
    breaks(AT, &code("#[cfg(test)]\nmod tests {\n}"), 3, "sibling");
    passes(AT, &code("#[cfg(test)]\nmod tests;"));
}

#[test]
fn no_registry_is_named() {
    let url = concat!("https://files.", "pythonhosted", ".org/packages/x.whl");
    breaks(AT, &code(&format!("const URL: &str = \"{url}\";")), 2, "registry host");
    breaks(".ci/fetch", &format!("curl {url}\n"), 1, "registry host");
    passes("Cargo.lock", concat!("source = \"https://index.crates", ".io/\"\n"));
}

#[test]
fn the_pure_crates_reach_for_nothing() {
    for (line, word) in [
        ("use std::time::SystemTime;", "SystemTime"),
        ("let at = Instant::now();", "Instant"),
        ("let id = Uuid::now_v7();", "now_v7"),
        ("let home = std::env::var(\"HOME\");", "std::env"),
        ("use std::collections::HashMap;", "HashMap"),
        ("use std::collections::HashSet;", "HashSet"),
        ("let text = std::fs::read(\"x\");", "std::fs"),
        ("async fn decide() {}", "async fn"),
        ("println!(\"decided\");", "println!"),
    ] {
        breaks(DOMAIN, &code(line), 2, word);
        breaks(PROTOCOL, &code(line), 2, word);
        passes(AT, &code(line));
        passes("crates/devmesh-domain/src/fold/tests.rs", &code(line));
    }
    passes(DOMAIN, &code("use std::time::Duration;\nstruct Instantly;"));
}

#[test]
fn the_domain_has_no_floats() {
    breaks(DOMAIN, &code("fn score() -> f64 { 0.5 }"), 2, "no floats");
    passes(PROTOCOL, &code("fn load() -> f64 { 0.5 }"));
}

#[test]
fn the_wire_has_closed_shapes() {
    breaks(PROTOCOL, &code("#[serde(untagged)]\nenum E {}"), 2, "untagged");
    breaks(PROTOCOL, &code("#[serde(\n    default,\n    flatten,\n)]\nrest: R,"), 4, "flatten");
    passes(PROTOCOL, &code("#[serde(tag = \"kind\")]\nenum E {}\nfn f() { x.flatten(); }"));
}

#[test]
fn sql_stands_in_replay_only() {
    let line = concat!("let q = \"SEL", "ECT seq FROM events\";");
    breaks(AT, &code(line), 2, "SQL");
    passes("crates/devmesh-replay/src/rows.rs", &code(line));
    passes("crates/xtask/src/bench/peers/postgres.rs", &code(line));
    breaks("crates/xtask/src/bench/peers/redis.rs", &code(line), 2, "SQL");
    passes(AT, &code(concat!("// SEL", "ECT seq FROM events")));
    breaks(AT, &code(concat!("let q = r#\"\nINS", "ERT INTO events\"#;")), 3, "SQL");
}
