//! What the tool is asked, and which plans are found in its answer.

use super::super::Parts;
use super::{plan, plan_in};

const GOOD: &str = r#"{"text":"how","tasks":[{"key":"a","title":"A","prompt":"do {a}"}]}"#;

#[test]
fn the_question_says_what_is_known_and_what_is_wanted() {
    let parts = Parts {
        task: "t-1".into(),
        title: "Grow".into(),
        prompt: Some("Grow well.".into()),
        framework: Some("Keep the roots.".into()),
        said: vec!["alice (reject): too wide".into()],
        map: "src/".into(),
        rules: vec![("R11".into(), "The worktree is the root.".into())],
        verify: vec!["make test".into()],
        ..Parts::default()
    };
    let text = plan(&parts, &["gpu".into(), "rust".into()]);
    let parts = [
        "# Goal t-1: Grow",
        "Grow well.",
        "do not edit",
        "too wide",
        "Keep the roots.",
        "make test",
        "gpu, rust",
        "src/",
        "R11 The worktree",
        "1 to 64",
        "\"depends_on\"",
    ];
    let places: Vec<Option<usize>> = parts.iter().map(|part| text.find(part)).collect();
    assert!(places.iter().all(Option::is_some), "{places:?} in {text}");
    assert!(places.is_sorted(), "{places:?} in {text}");
    assert!(super::plan(&Parts::default(), &[]).contains("leave `needs` empty"));
}

#[test]
fn a_plan_is_found_wherever_it_stands() {
    for words in [
        GOOD.to_owned(),
        format!("Here it is:\n```json\n{GOOD}\n```\nDone."),
        format!("I looked at {{x}} and \"{{\".\n{GOOD}"),
        format!("First {{\"tasks\":[]}}, no, better:\n{GOOD}"),
        format!("The plan: {GOOD} (that is all {{}})"),
        GOOD.replace(",\"tasks\"", ",\n\n  \"tasks\""),
    ] {
        let plan = plan_in(&words).unwrap_or_else(|why| panic!("{why}: {words}"));
        assert_eq!((plan.text.as_str(), plan.tasks[0].title.as_str()), ("how", "A"));
    }
}

#[test]
fn what_is_no_plan_says_why() {
    for (words, said) in [
        ("", "no JSON object with the fields `text` and `tasks`"),
        ("I would rather not.", "no JSON object with the fields"),
        ("{\"text\":\"x\"}", "no JSON object with the fields"),
        ("{\"text\":\"x\",\"tasks\":[{]}", "the JSON of the plan cannot be read: key must be"),
        ("{x} {\"text\":\"x\",\"tasks\":[", "cannot be read: EOF while parsing a list"),
        ("{\"text\":\"x\",\"tasks\":[]}", "tasks is empty"),
        ("{\"text\":\"x\",\"tasks\":{}}", "tasks: invalid type: map"),
        ("{\"text\":\"x\",\"tasks\":[{\"key\":\"a\"}]}", "tasks[0]: missing field `title`"),
        (
            "{\"text\":\"x\",\"tasks\":[{\"key\":\"a\",\"title\":\"t\",\"paths\":[\"/etc\"]}]}",
            "tasks[0].paths[0]: the path is absolute",
        ),
        (
            "{\"text\":\"x\",\"tasks\":[{\"key\":\"a\",\"title\":\"t\",\"depends_on\":[\"a\"]}]}",
            "depends_on goes in a circle: a -> a",
        ),
    ] {
        let why = plan_in(words).expect_err(words);
        assert!(why.contains(said), "{why}, not {said}");
    }
}

/// Nothing that a tool could say takes long to read.
#[test]
fn an_endless_answer_is_refused() {
    // In time linear in its length: the square of it would outlast any test's limit.
    for part in ["{", "{\"a\":", "{\"tasks\":[1,", "[{\"a\":["] {
        plan_in(&part.repeat(20_000)).expect_err(part);
    }
}
