//! Every code and rule has a page that helps.

use std::path::Path;

use devmesh_protocol::Code;
use devmesh_protocol::rulebook::RULES;

use super::{all, of, page};

#[test]
fn every_code_has_a_page_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for code in Code::ALL {
        let text = of(*code);
        assert!(text.starts_with(&format!("# {code}\n\n")), "{code} begins with its name");
        assert!(text.contains("\nWhat to do: "), "{code} says what to do");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{code} has short lines");
        assert!(seen.insert(text), "{code} has a page of its own");
        assert!(page(code.as_str()).is_some());
    }
}

#[test]
fn every_page_stands_beside_its_code() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/explain");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let pages = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "md"));
    let mut names: Vec<_> = pages.map(|p| p.file_name().into_string().unwrap()).collect();
    names.sort();
    let mut wanted: Vec<_> =
        Code::ALL.iter().map(|code| format!("{}.md", code.as_str().to_lowercase())).collect();
    wanted.sort();
    assert_eq!(names, wanted);
}

/// The source of the file that a path of the code is in, and the rest of the path.
fn source(path: &str) -> Option<(String, Vec<&str>)> {
    let mut parts = path.split("::");
    let package = parts.next()?.replace('_', "-");
    let parts: Vec<&str> = parts.collect();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    (1..parts.len()).rev().find_map(|modules| {
        let file = src.join(parts[..modules].join("/")).with_extension("rs");
        Some((std::fs::read_to_string(file).ok()?, parts[modules..].to_vec()))
    })
}

/// The text of a function by its path.
fn function(path: &str) -> Option<String> {
    let (source, rest) = source(path)?;
    let (name, within) = rest.split_last()?;
    let of = match within {
        [] => 0,
        [kind] => source.find(&format!("impl {kind} {{"))?,
        _ => return None,
    };
    let head = [format!("fn {name}("), format!("fn {name}<")];
    let at = of + head.iter().find_map(|head| source[of..].find(head))?;
    let end = source[at..].find("\n}\n").map_or(source.len(), |end| at + end);
    let before = source[..at].rfind("\n\n").unwrap_or(0);
    Some(source[before..end].to_owned())
}

#[test]
fn every_rule_is_enforced_and_tested_where_it_says() {
    for rule in RULES {
        assert!(function(rule.enforced_by).is_some(), "{}: no {}", rule.id, rule.enforced_by);
        let test = function(rule.tested_by);
        let test = test.unwrap_or_else(|| panic!("{}: no {}", rule.id, rule.tested_by));
        assert!(test.contains("#[test]"), "{} is tested by a test: {test}", rule.id);
        let name = format!("fn {}_", rule.id.to_lowercase());
        assert!(test.contains(&name), "{} is in the name of its test", rule.id);
        for code in rule.codes.iter().filter(|code| **code != Code::LimitExceeded) {
            assert!(test.contains(&format!("\"{code}\"")), "{}: {code} in {test}", rule.id);
        }
    }
    assert_eq!(function("devmesh_domain::decide::no_such"), None);
    assert_eq!(function("devmesh_protocol::path::NoSuch::new"), None);
}

#[test]
fn a_rules_page_says_all_there_is() {
    let page = page("R05").unwrap();
    for part in [
        "# R05\n\nBeat every four seconds",
        "For example: ",
        "Refuses with: AGENT_NOT_REGISTERED, STALE_TOKEN (",
        "Enforced by devmesh_domain::decide::agent::session::session_silent,\n",
        "shown by devmesh_domain::",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    for rule in RULES {
        let page = super::page(rule.id).unwrap();
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
        assert_eq!(page.contains("In every prompt:"), rule.prompt.is_some(), "{page}");
    }
}

#[test]
fn rules_and_the_list_of_all() {
    assert!(page("R12").unwrap().contains("Finish by yourself"));
    assert_eq!(page("NO_SUCH"), None);
    let all = all();
    assert_eq!(all.len(), Code::ALL.len() + RULES.len());
    assert!(all.iter().all(|(_, line)| line.len() > 15), "{all:?}");
    assert!(page("UNKNOWN_VERB").unwrap().contains("lock.acquire"));
}
