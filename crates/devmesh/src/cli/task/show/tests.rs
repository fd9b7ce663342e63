//! What people read of a task, and that nothing in it can steer their terminal.

use serde_json::{Value, json};

use super::lines;

fn failed() -> Value {
    json!({
        "task": "t-4", "title": "make \u{1b}[2Jit", "state": "failed", "repo": "r",
        "base": "main", "target": "devmesh/landed/main", "tries": 2, "max_attempts": 2,
        "added_at": "2026-11-21T10:00:00.000Z", "by": "ada",
        "attempts": [
            { "attempt": 1, "actor": "a1", "host": "here", "why": "session_ended" },
            { "attempt": 2, "actor": "a2", "host": "there", "why": "failed", "class": "test",
              "message": "2 tests failed\nsee above", "usage": {
                  "input_tokens": 10, "output_tokens": 3, "cost_micro_usd": 1_234_567 } },
        ],
        "failure": { "attempt": 2, "class": "test", "message": "2 tests failed",
                     "paths": ["src/a", "src/b"], "hard": true, "at": 0 },
        "award": { "seq": 9, "bids": [{ "actor": "a2", "score": { "idle": 5 }, "total": 5 }] },
    })
}

/// All lines that a field has.
fn field(task: &Value, name: &str) -> Vec<String> {
    let lead = format!("{name:<10} ");
    let all = lines::of(task).into_iter();
    all.filter_map(|line| line.strip_prefix(&lead).map(str::to_owned)).collect()
}

#[test]
fn a_failure_is_told_with_its_class_paths_and_what_to_do() {
    let task = failed();
    assert_eq!(field(&task, "failed"), ["test; another try would not help"]);
    assert_eq!(field(&task, "at"), ["src/a, src/b"]);
    let hint = "read what the proof printed: devmesh task logs; then devmesh task retry t-4";
    assert_eq!(field(&task, "hint"), [hint]);
}

#[test]
fn each_try_is_told_with_how_it_ended_and_what_it_cost() {
    let task = failed();
    assert_eq!(field(&task, "try 1"), ["a1 on here: session ended"]);
    let second = "a2 on there: failed, test; 10 tokens read, 3 written, $1.2345";
    assert_eq!(field(&task, "try 2"), [second]);
    assert_eq!(field(&task, ""), ["2 tests failed", "see above", "2 tests failed"]);
    let mut untold = task;
    untold["attempts"][1]["usage"]["cost_micro_usd"] = Value::Null;
    assert!(field(&untold, "try 2")[0].ends_with("cost not told"), "unknown is not nothing");
}

#[test]
fn why_nobody_takes_it_is_told_agent_by_agent() {
    let mut task = failed();
    task["nobody_why"] = json!("none of 2 agents can take it");
    task["nobody"] = json!([{ "agent": "a1", "why": "its tool is codex" }]);
    task["waits"] = json!(["it waits for an agent"]);
    assert_eq!(field(&task, "nobody"), ["none of 2 agents can take it"]);
    assert!(field(&task, "").contains(&"a1: its tool is codex".to_owned()));
    assert_eq!(field(&task, "waits"), ["it waits for an agent"]);
    assert_eq!(field(&task, "bid"), ["a2: 5 (idle 5)"]);
}

#[test]
fn a_proof_is_told_step_by_step_and_what_failed_is_looked_up() {
    let mut task = failed();
    task["attempt"] = json!({ "attempt": 3, "actor": "a1", "host": "here", "receipt": {
        "verdict": "failed", "host": "here", "steps": [
            { "command": "make lint", "exit": 0, "ms": 4, "output": "aa" },
            { "command": "make test", "exit": 1, "ms": 30, "output": "bb" },
            { "command": "make soak", "exit": null, "ms": 9, "output": "cc" },
    ] } });
    let said = field(&task, "");
    assert!(said.contains(&"make lint: ok, 4 ms".to_owned()), "{said:?}");
    assert!(said.contains(&"make test: exit 1, 30 ms".to_owned()), "{said:?}");
    let failed = lines::failed_steps(&task);
    assert_eq!(failed[0], ("make test".to_owned(), "bb".to_owned()));
    assert_eq!(failed.len(), 2, "what was ended by a signal failed too");
}

#[test]
fn nothing_in_it_steers_a_terminal() {
    let mut task = failed();
    task["said"] = json!([{ "at": "now", "by": "b\u{7}", "kind": "say", "text": "\u{1b}]0;x" }]);
    task["nobody_why"] = json!("\u{202e}x");
    let all = [lines::of(&task), lines::texts(&task)].concat().join("");
    assert!(!all.contains(|c: char| c.is_control() && c != '\n'), "{all:?}");
    assert!(!all.contains('\u{202e}'), "{all:?}");
}

#[test]
fn a_plan_is_told_in_full_until_it_is_worked_to() {
    let mut task = failed();
    task["plan"] = json!({
        "by": "a1", "attempt": 1, "text": "Keep it \u{1b}[2Jsmall.", "unknown": ["gpu"],
        "proposed": [{
            "key": "b", "title": "B", "prompt": "do b", "paths": ["src/"], "depends_on": ["a"],
            "needs": ["gpu"], "priority": 2, "review": "none",
        }],
    });
    let all = lines::texts(&task).join("\n");
    for part in [
        "warning: no agent that was there is capable of: gpu",
        "the plan of a1",
        "b  B (priority 2; after a; paths src/; needs gpu)\ndo b",
    ] {
        assert!(all.contains(part), "{part} is not in {all}");
    }
    assert!(!all.contains('\u{1b}'), "{all:?}");
    task["plan"] = json!({ "by": "a1", "attempt": 1, "framework": 3, "tasks": ["t-5", "t-6"] });
    let all = lines::texts(&task).join("\n");
    assert!(all.contains("planned by a1: framework 3, t-5, t-6"), "{all}");
}
