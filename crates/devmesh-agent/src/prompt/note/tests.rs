//! Notes in prompts, and in what tools say.

use serde_json::json;

use super::super::{Parts, first};
use super::*;

fn note(key: &str, value: &str) -> NoteView {
    serde_json::from_value(json!({
        "key": key, "value": value, "confidence": 70, "paths": ["src/", "a.rs"], "by": "codex-1",
        "at": "2026-11-21T10:00:00Z", "task": "t-7",
    }))
    .unwrap()
}

#[test]
fn a_prompt_says_who_noted_what_and_where() {
    let notes = vec![note("flaky", "run it twice\nor thrice\u{1b}[0m")];
    let prompt = first(&Parts { notes, ..Parts::default() });
    let line = "- flaky [src/, a.rs]: run it twice\n  or thrice[0m (codex-1 at t-7, 2026-11-21, \
                70 % sure)\n";
    assert!(prompt.contains("## Known\n") && prompt.contains(line), "{prompt}");
    assert!(!first(&Parts::default()).contains("## Known"));
    let gone = NoteView { value: None, ..note("forgotten", "") };
    assert!(!first(&Parts { notes: vec![gone], ..Parts::default() }).contains("## Known"));
}

#[test]
fn the_best_notes_come_whole_and_the_rest_stays_out() {
    let notes: Vec<NoteView> = (0..9).map(|n| note(&format!("n{n}"), &"x".repeat(700))).collect();
    let text = known(&notes);
    assert!(text.len() <= NOTES_BYTES_MAX && text.contains("n0") && text.contains("n1"), "{text}");
    assert_eq!(text.lines().count(), 3, "of those that do not fit nothing is shown");
    assert!(text.lines().all(|line| line.ends_with("% sure)")), "{text}");
}

#[test]
fn a_tool_notes_in_lines_of_their_own() {
    let cases = [
        ("NOTE build: make first", Some(("build", "", "make first"))),
        (
            "  - NOTE the lexer [src/lex.rs, src/tab/]: it is greedy: beware",
            Some(("the lexer", "src/lex.rs,src/tab/", "it is greedy: beware")),
        ),
        ("NOTE a [../out, b]: c", Some(("a", "b", "c"))),
        ("NOTE a [b: c", None),
        ("NOTE : c", None),
        ("NOTE a:  ", None),
        ("Note that: c", None),
        ("I would NOTE a: b", None),
    ];
    for (line, wanted) in cases {
        let found = learned(line);
        let show = |it: &Learned| {
            let paths: Vec<String> = it.paths.iter().map(ToString::to_string).collect();
            (it.key.clone(), paths.join(","), it.value.clone())
        };
        let wanted = wanted.map(|(key, paths, value)| (key.into(), paths.into(), value.into()));
        assert_eq!(found.first().map(show), wanted, "{line}");
    }
    assert_eq!(learned("NOTE a: b\ntext\nNOTE c: d").len(), 2);
    assert_eq!(learned(&first(&Parts::default())), [], "an echoed prompt says nothing");
}
