//! Which plans are taken, and what is said of the others.

use serde_json::{Value, json};

use super::{Planned, order, read};
use crate::reply::Code;

fn task(key: &str, after: &[&str]) -> Value {
    json!({ "key": key, "title": "t", "depends_on": after })
}

fn plan(tasks: &[Value]) -> String {
    json!({ "text": "how", "tasks": tasks }).to_string()
}

fn keys(tasks: &[Value]) -> Vec<String> {
    let plan = read(&plan(tasks)).unwrap();
    let order = order(&plan.tasks, |task| (&task.key, &task.depends_on)).unwrap();
    order.into_iter().map(|at| plan.tasks[at].key.clone()).collect()
}

/// One that is refused: what is said, and with which code a command would be.
fn bad(json: &str, said: &str, code: Code) {
    let why = read(json).expect_err(json);
    assert!(why.to_string().contains(said), "{why}, not {said}");
    assert_eq!(why.rejection().code, code, "{why}");
}

#[test]
fn tasks_come_after_what_they_depend_on_and_otherwise_as_written() {
    assert_eq!(keys(&[task("a", &[]), task("b", &[])]), ["a", "b"]);
    assert_eq!(keys(&[task("a", &["c"]), task("b", &[]), task("c", &["b"])]), ["b", "c", "a"]);
    assert_eq!(keys(&[task("a", &["b", "b"]), task("b", &[])]), ["b", "a"]);
}

#[test]
fn circles_and_unknown_keys() {
    let circle = plan(&[task("x", &["a"]), task("a", &["b"]), task("b", &["a"])]);
    bad(&circle, "depends_on goes in a circle: a -> b -> a", Code::DependencyError);
    let own = plan(&[task("a", &["a"])]);
    bad(&own, "depends_on goes in a circle: a -> a", Code::DependencyError);
    let unknown = plan(&[task("a", &["zz"])]);
    bad(
        &unknown,
        "tasks[0].depends_on: no task of the plan has the key \"zz\"",
        Code::DependencyError,
    );
    let twice = plan(&[task("a", &[]), task("b", &[]), task("a", &[])]);
    bad(&twice, "tasks[2].key: \"a\" is the key of tasks[0] already", Code::BadRequest);
}

#[test]
fn fields() {
    let with = |field: &str, value: Value| {
        let mut task = task("a", &[]);
        task[field] = value;
        plan(&[task])
    };
    for (field, value, said) in [
        ("paths", json!(["../x"]), "tasks[0].paths[0]: the path leads out of the repository"),
        ("paths", json!(["/etc/passwd"]), "tasks[0].paths[0]: the path is absolute"),
        ("paths", json!([".git/config"]), "tasks[0].paths[0]: the path leads into .git"),
        ("title", json!(" "), "tasks[0].title: it is empty"),
        ("title", json!("a\nb"), "tasks[0].title: a line without control characters"),
        ("needs", json!(["a b"]), "tasks[0].needs: \"a b\" is not the name of a capability"),
        ("key", json!(""), "tasks[0].key: it is empty"),
        ("priority", json!(9), "tasks[0].priority: 0 (urgent) to 4 (idle)"),
        ("review", json!("me"), "tasks[0].review: unknown variant"),
        ("verify", json!(["true"]), "tasks[0].verify: unknown field `verify`"),
        ("prompt", json!("a\0b"), "tasks[0].prompt: it holds a NUL"),
    ] {
        bad(&with(field, value), said, Code::BadRequest);
    }
    bad("{\"text\":\"x\"}", "missing field `tasks`", Code::BadRequest);
    bad("no JSON", "expected", Code::BadRequest);
    bad("{\"text\":\" \",\"tasks\":[]}", "text is empty", Code::BadRequest);
    bad(&plan(&[]), "tasks is empty", Code::BadRequest);
}

#[test]
fn bounds() {
    let over = Code::LimitExceeded;
    let many: Vec<Value> = (0..65).map(|n| task(&n.to_string(), &[])).collect();
    bad(&plan(&many), "tasks has 65 tasks; at most 64 are taken", over);
    assert_eq!(keys(&many[..64]).len(), 64);
    let long = json!({ "key": "a", "title": "t".repeat(301) });
    bad(&plan(&[long]), "tasks[0].title has 301 characters; at most 300", over);
    let huge = json!({ "key": "a", "title": "t", "prompt": "p".repeat(262_145) });
    bad(&plan(&[huge]), "tasks[0].prompt has 262145 bytes", over);
    let paths: Vec<String> = (0..129).map(|n| n.to_string()).collect();
    let paths = json!({ "key": "a", "title": "t", "paths": paths });
    bad(&plan(&[paths]), "tasks[0].paths has 129 paths", over);
    let wide: Vec<String> = (0..120).map(|n| format!("{n:0>200}")).collect();
    let one = |n: usize| json!({ "key": n.to_string(), "title": "t", "paths": wide });
    let heavy: Vec<Value> = (0..6).map(one).collect();
    bad(&plan(&heavy), "bytes beside the prompts", over);
}

#[test]
fn what_is_left_out_has_its_default() {
    let plan = read(&plan(&[json!({ "key": "a", "title": "t" })])).unwrap();
    let planned = Planned { key: "a".into(), title: "t".into(), ..Planned::default() };
    assert_eq!(plan.tasks, [planned]);
}
