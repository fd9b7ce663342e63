//! What is not right is refused with a name and a fix, and nothing else is disturbed.

use devmesh_bus::cred::Role;
use serde_json::{Value, json};

use super::Mesh;
use super::client::Door;

/// Sends bytes that may be no JSON; the error.
async fn text(door: &mut Door, verb: &str, text: &str, code: &str) -> Value {
    let ask = json!({ "subject": door.subject(verb), "text": text });
    let reply = door.raw(&ask).await["reply"].clone();
    let shown: String = text.chars().take(80).collect();
    assert_eq!(reply["error"]["code"], code, "{verb} {shown}: {reply}");
    assert!(reply["seq"].is_null(), "{verb} {shown}: {reply}");
    reply["error"].clone()
}

/// The error names the field at fault.
async fn field(door: &mut Door, verb: &str, body: Value, code: &str, name: &str) {
    let error = door.refused(verb, body.clone(), code).await;
    let named = error["details"]["field"].as_str().unwrap_or_default().to_owned();
    let told = format!("{named} {}", error["message"]);
    let shown: String = body.to_string().chars().take(120).collect();
    assert!(told.contains(name), "{verb} {shown}: {error} does not name {name}");
}

fn acquire(path: &str) -> Value {
    json!({ "paths": [path], "mode": "write" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bodies_are_refused_by_name_and_leave_no_record() {
    let Some(mesh) = Mesh::start().await else { return };
    let (_admin, mut pat) = mesh.furnished().await;
    let before = pat.ask("state", json!({})).await["seq"].clone();

    for body in ["{", "[1]", "7", "\"x\"", "{\"paths\":[],}", "\u{0}"] {
        text(&mut pat, "lock.acquire", body, "BAD_REQUEST").await;
    }
    let twice = r#"{"paths":["a"],"paths":["b"],"mode":"write"}"#;
    let error = text(&mut pat, "lock.acquire", twice, "BAD_REQUEST").await;
    assert!(error["message"].as_str().unwrap().contains("duplicate"), "{error}");
    let huge = format!(r#"{{"title":"t","prompt":"{}"}}"#, "x".repeat(600 * 1024));
    text(&mut pat, "task.add", &huge, "LIMIT_EXCEEDED").await;

    let bad = "BAD_REQUEST";
    field(&mut pat, "lock.acquire", json!({ "paths": 7, "mode": "write" }), bad, "paths").await;
    field(&mut pat, "lock.acquire", json!({ "paths": ["a"], "mode": "rw" }), bad, "mode").await;
    field(&mut pat, "lock.acquire", json!({ "paths": ["a"] }), bad, "mode").await;
    field(&mut pat, "lock.acquire", json!({ "paths": [], "mode": "read" }), bad, "paths").await;
    let colour = json!({ "paths": ["a"], "mode": "write", "colour": "red" });
    field(&mut pat, "lock.acquire", colour, bad, "colour").await;
    field(&mut pat, "task.add", json!({ "prompt": "no title" }), bad, "title").await;
    let many: Vec<String> = (0..10_000).map(|n| format!("f{n}")).collect();
    let many = json!({ "paths": many, "mode": "write" });
    field(&mut pat, "lock.acquire", many, "LIMIT_EXCEEDED", "paths").await;
    let long = json!({ "title": "x".repeat(10_000) });
    field(&mut pat, "task.add", long, "LIMIT_EXCEEDED", "title").await;

    for path in ["../x", "a/../../x", "/etc/passwd", "C:\\x", ".git/config", "a\u{0}b"] {
        field(&mut pat, "lock.acquire", acquire(path), "PATH_OUTSIDE_REPO", "paths").await;
    }
    field(&mut pat, "lock.acquire", acquire(""), bad, "paths").await;
    for name in ["a.b", "*", ">", "a b", "A", "", "a/b", "ü", "a\u{0}"] {
        let body = json!({ "name": name, "path": "/x" });
        field(&mut pat, "repo.add", body, bad, "name").await;
    }
    field(
        &mut pat,
        "setting.set",
        json!({ "key": "none.such", "value": 1 }),
        "INVALID_CONFIG",
        "key",
    )
    .await;
    pat.refused("lock.steal", json!({}), "UNKNOWN_VERB").await;
    pat.refused("task.cancel", json!({ "task": "17" }), bad).await;
    pat.refused("task.cancel", json!({ "task": "t-17" }), "TASK_NOT_FOUND").await;

    assert_eq!(pat.ask("state", json!({})).await["seq"], before, "nothing of that is history");
    assert!(pat.ok("lock.acquire", acquire("a.md")).await["leases"].is_array());
    mesh.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_speaks_for_nobody_else() {
    let Some(mesh) = Mesh::start().await else { return };
    let (_admin, mut pat) = mesh.furnished().await;
    let mut ada = mesh.door("ada", Role::Agent).await;
    ada.session = Some("s-ada".to_owned());
    ada.ok("agent.join", json!({ "tool": "custom", "host": "h1" })).await;
    let before = pat.ask("state", json!({})).await["seq"].clone();

    let mesh_name = crate::it::world::MESH;
    for subject in [
        "cmd.pat.mesh.pause".to_owned(),
        "cmd.admin.actor.end".to_owned(),
        "query.pat.state".to_owned(),
        "beat.pat".to_owned(),
        "report.h1".to_owned(),
        "log".to_owned(),
        "event.task_added.t-1".to_owned(),
    ] {
        let subject = format!("devmesh.{mesh_name}.{subject}");
        let ask = json!({ "subject": subject, "body": { "actor": "pat" }, "timeout": 1 });
        let answer = ada.raw(&ask).await;
        assert!(answer.get("error").is_some(), "{subject}: {answer}");
    }
    // What an agent may not, even under its own name.
    for (verb, body) in [
        ("mesh.pause", json!({})),
        ("actor.add", json!({ "actor": "eve", "role": "person" })),
        ("lock.break", json!({ "lease": "l-1-0", "reason": "mine" })),
        ("setting.set", json!({ "key": "hook.mode", "value": "off" })),
        ("task.add", json!({ "title": "easy", "verify": ["true"] })),
    ] {
        ada.refused(verb, body, "NOT_PERMITTED").await;
    }
    assert_eq!(pat.ask("state", json!({})).await["seq"], before);
    let agents = pat.ask("agents", json!({})).await;
    assert_eq!(agents["agents"][0]["agent"], "ada", "{agents}");
    mesh.end().await;
}
