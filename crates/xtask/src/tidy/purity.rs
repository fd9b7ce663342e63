//! What a source may not reach for, by the crate it stands in.

use super::Breach;
use super::tree::File;
use super::views::{Views, is_name};

/// Words of code and why they are not for the pure crates.
const IMPURE: &[(&str, &str)] = &[
    ("SystemTime", "time enters as data"),
    ("Instant", "time enters as data"),
    ("Utc::now", "time enters as data"),
    ("Local::now", "time enters as data"),
    ("now_v7", "ids are minted at the doors"),
    ("new_v4", "ids are minted at the doors"),
    ("thread_rng", "no randomness"),
    ("std::env", "no environment"),
    ("std::fs", "no disk"),
    ("std::net", "no network"),
    ("std::process", "no processes"),
    ("std::thread", "no threads"),
    ("HashMap", "its order differs from run to run; use BTreeMap"),
    ("HashSet", "its order differs from run to run; use BTreeSet"),
    ("async fn", "nothing to wait for"),
    (".await", "nothing to wait for"),
    ("println!", "says nothing; reasons are values"),
    ("eprintln!", "says nothing; reasons are values"),
];

const FLOATS: &[(&str, &str)] = &[
    ("f32", "no floats: integers fold alike everywhere"),
    ("f64", "no floats: integers fold alike everywhere"),
];

/// Shapes whose meaning an old reader cannot tell.
const OPEN_SHAPES: &[(&str, &str)] =
    &[("flatten", "an open shape; name the field"), ("untagged", "closed enums carry a tag")];

/// A list of these is SQL. In pieces, so that this table is no breach itself.
const SQL: &[&str] = &[
    concat!("SEL", "ECT "),
    concat!("INS", "ERT INTO "),
    concat!("INS", "ERT OR "),
    concat!("DEL", "ETE FROM "),
    concat!("CRE", "ATE TABLE "),
    concat!("CRE", "ATE INDEX "),
    concat!("PRA", "GMA "),
];

/// Where it stands: in replay, and in the client of a database that we are measured beside.
const SQL_HOMES: &[&str] = &["crates/devmesh-replay/", "crates/xtask/src/bench/peers/postgres.rs"];

/// The lints that make a new event break every place that must think about it.
const CLOSED_MATCHES: &[&str] = &["wildcard_enum_match_arm", "match_wildcard_for_single_variants"];

/// Checks one Rust source.
pub(crate) fn check(file: &File, views: &Views) -> Vec<Breach> {
    let is_in = |name: &str| file.path.starts_with(&format!("crates/{name}/src/"));
    let mut found = Vec::new();
    let is_domain = is_in("devmesh-domain");
    let is_protocol = is_in("devmesh-protocol");
    if (is_domain || is_protocol) && !file.is_test() {
        found.extend(words(&file.path, &views.code, IMPURE));
    }
    if is_domain && !file.is_test() {
        found.extend(words(&file.path, &views.code, FLOATS));
    }
    if is_protocol {
        let serde = attributes(&views.code, "#[serde(");
        found.extend(words(&file.path, &serde, OPEN_SHAPES));
    }
    let has_sql = SQL_HOMES.iter().any(|home| file.path.starts_with(home));
    if !has_sql && !file.is_test() {
        found.extend(sql(&file.path, &views.strings));
    }
    if file.path == "crates/devmesh-domain/src/lib.rs" {
        let missing = CLOSED_MATCHES.iter().filter(|lint| !views.code.contains(**lint));
        found.extend(missing.map(|lint| {
            Breach::new(&file.path, 1, format!("`#![deny(clippy::{lint})]` is missing"))
        }));
    }
    found
}

fn words(path: &str, code: &str, list: &[(&str, &str)]) -> Vec<Breach> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for (word, why) in list.iter().filter(|(word, _)| has_word(line, word)) {
            found.push(Breach::new(path, index + 1, format!("`{word}`: {why}")));
        }
    }
    found
}

fn sql(path: &str, strings: &str) -> Vec<Breach> {
    strings
        .lines()
        .enumerate()
        .filter(|(_, line)| SQL.iter().any(|word| has_word(line, word)))
        .map(|(index, _)| Breach::new(path, index + 1, "SQL stands in devmesh-replay only"))
        .collect()
}

/// Whether the line has the word with no letter of a name right before or after it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |edge: Option<char>, near: Option<char>| {
            edge.is_some_and(is_name) && near.is_some_and(is_name)
        };
        !joins(word.chars().next(), before) && !joins(word.chars().next_back(), after)
    })
}

/// The code with all but the attributes that begin so blanked; an attribute may span lines.
fn attributes(code: &str, opening: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(opening) {
        kept.extend(rest[..at].chars().filter(|c| *c == '\n'));
        let end = rest[at..].find(")]").map_or(rest.len(), |end| at + end + 2);
        kept.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    kept
}
