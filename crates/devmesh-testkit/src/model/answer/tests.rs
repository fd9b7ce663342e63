//! Which step comes next, and what is said with it.

use serde_json::json;

use super::super::request::{Item, Tool, ToolKind};
use super::*;

fn request(prompts_and_results: &[&str]) -> Request {
    let tool = Tool {
        name: "Bash".to_owned(),
        namespace: None,
        kind: ToolKind::Function,
        schema: json!({ "properties": { "command": { "type": "string" } } }),
    };
    let items = prompts_and_results
        .iter()
        .map(|text| match text.strip_prefix('>') {
            Some(result) => Item::Result(result.to_owned()),
            None => Item::user([*text]),
        })
        .collect();
    Request { tools: vec![tool], items, ..Request::default() }
}

/// Plays a conversation whose first prompt is the script: the command called, or the last word.
fn next(script: &str, rest: &[&str]) -> (String, Option<String>) {
    let prompt = format!("[[model {script}]]");
    let texts: Vec<&str> = [prompt.as_str()].into_iter().chain(rest.iter().copied()).collect();
    let request = request(&texts);
    let found = request.directive().unwrap();
    let script = found.0.script.clone().unwrap();
    let answer = decide(&request, &script, Some(&found));
    let command = answer.call.map(|call| call.args["command"].as_str().unwrap().to_owned());
    (answer.text, command)
}

fn says(text: &str) -> (String, Option<String>) {
    (text.to_owned(), None)
}

fn runs(text: &str, command: &str) -> (String, Option<String>) {
    (text.to_owned(), Some(command.to_owned()))
}

const SCRIPT: &str = r#"{"steps":[{"say":"first"},{"shell":"a"},{"shell":"b"},{"say":"so"}],
    "final":"done","again":{"steps":[{"shell":"c"}],"final":"better"},
    "cases":[{"contains":"tests fail","steps":[{"shell":"fix"}],"final":"fixed"}]}"#;

#[test]
fn the_step_is_the_number_of_results() {
    assert_eq!(next(SCRIPT, &[]), runs("first", "a"));
    assert_eq!(next(SCRIPT, &[">1"]), runs("", "b"));
    assert_eq!(next(SCRIPT, &[">1", ">2"]), says("so\ndone"));
    assert_eq!(next(SCRIPT, &[">1", ">2", ">3"]), says("so\ndone"));
}

#[test]
fn a_resumed_session_plays_its_own_part() {
    assert_eq!(next(SCRIPT, &[">1", ">2", "go on"]), runs("", "c"));
    assert_eq!(next(SCRIPT, &[">1", ">2", "go on", ">1"]), says("better"));
    let plain = r#"{"steps":[{"shell":"a"}],"final":"done"}"#;
    assert_eq!(next(plain, &[">1", "go on"]), runs("", "a"));
}

#[test]
fn a_case_is_chosen_by_the_words_of_the_prompt() {
    assert_eq!(next(SCRIPT, &[">1", ">2", "the tests fail: x"]), runs("", "fix"));
    // The words inside the directive itself choose nothing.
    assert_eq!(next(SCRIPT, &[]).1.as_deref(), Some("a"));
}

#[test]
fn a_request_without_working_tools_is_no_step() {
    let mut request = request(&["Title?"]);
    request.tools.clear();
    let answer = decide(&request, &Script::default(), None);
    assert_eq!((answer.step, answer.text.as_str()), (None, "Scripted"));
    request.schema = Some(json!({ "type": "object", "properties": { "t": { "const": 7 } } }));
    assert_eq!(decide(&request, &Script::default(), None).text, "{\"t\":7}");
}

#[test]
fn a_step_that_no_tool_fits_is_told() {
    let script = r#"{"steps":[{"call":{"tool":"Nope"}}]}"#;
    let found = request(&[&format!("[[model {script}]]")]).directive().unwrap();
    let script = found.0.script.clone().unwrap();
    let answer = decide(&request(&["x"]), &script, Some(&found));
    assert!(answer.unfit);
    assert!(answer.text.contains("Nope") && answer.text.contains("Bash"), "{}", answer.text);
}

#[test]
fn the_last_message_takes_the_shape_asked_for() {
    let mut request = request(&["x"]);
    request.schema = Some(json!({ "properties": { "ok": { "type": "boolean" } } }));
    let script = |last: &str| Script { last: Some(last.to_owned()), ..Script::default() };
    assert_eq!(decide(&request, &script("done"), None).text, "{\"ok\":false}");
    assert_eq!(decide(&request, &script("{\"ok\":true}"), None).text, "{\"ok\":true}");
}
