//! Every code and rule has a page that helps.

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

#[test]
fn rules_and_the_list_of_all() {
    assert!(page("R04").unwrap().contains(RULES[3].text));
    assert_eq!(page("NO_SUCH"), None);
    let all = all();
    assert_eq!(all.len(), Code::ALL.len() + RULES.len());
    assert!(all.iter().all(|(_, line)| line.len() > 15), "{all:?}");
    assert!(page("UNKNOWN_VERB").unwrap().contains("lock.acquire"));
}
