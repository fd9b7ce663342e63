//! Every verb and every query once, as a story: two agents, a person, the administrator.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use devmesh_bus::cred::Role;
use devmesh_protocol::Verb;
use devmesh_protocol::query::Query;
use serde_json::{Value, json};

use super::Mesh;
use super::client::Door;
use crate::it::world::WITHIN;

/// A tree and a commit, as git would name them.
const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const COMMIT: &str = "18f0c3e5a2b44e1f0d6c7b8a9e0f1d2c3b4a5968";

/// An attempt as its commands name it.
#[derive(Debug)]
struct Attempt {
    task: Value,
    attempt: Value,
    token: Value,
}

impl Attempt {
    fn with(&self, more: Value) -> Value {
        let mut body = json!({ "task": self.task, "attempt": self.attempt, "token": self.token });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }
}

async fn join(door: &mut Door, session: &str, role: &str) {
    door.session = Some(session.to_owned());
    let body = json!({ "tool": "custom", "host": "h1", "capabilities": ["rust"] });
    let joined = door.ok("agent.join", body).await;
    assert_eq!(joined["role"], role);
    assert_eq!(joined["session"], session);
    assert!(joined["rulebook"]["rules"].is_object(), "{joined}");
    assert!(joined["roster"].is_array(), "{joined}");
}

/// Bids until the auction is won, and begins.
async fn win(door: &mut Door, task: &Value) -> Attempt {
    let deadline = Instant::now() + WITHIN;
    loop {
        assert!(Instant::now() < deadline, "{task} is not won");
        let body = json!({ "task": task, "score": { "warm": 100 } });
        let bid = door.send("task.bid", body).await;
        if bid["ok"] == true {
            assert!(bid["result"]["leading"].is_boolean(), "{bid}");
            door.sent.insert("task.bid".to_owned());
        }
        let shown = door.ask("task", json!({ "task": task })).await;
        let attempt = &shown["attempt"];
        if attempt.is_object() {
            let (attempt, token) = (attempt["attempt"].clone(), attempt["token"].clone());
            let won = Attempt { task: task.clone(), attempt, token };
            let started = door.ok("task.start", won.with(json!({}))).await;
            assert_eq!(started["state"], "working");
            return won;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn receipt(verdict: &str) -> Value {
    json!({ "tree": TREE, "verdict": verdict, "steps": [], "host": "h1" })
}

/// Leases, each verb of theirs; what they answer.
async fn leases(ada: &mut Door, ben: &mut Door, pat: &mut Door, won: &Attempt) {
    let body = json!({ "paths": ["docs/a.md"], "mode": "intent", "task": won.task });
    let granted = ada.ok("lock.acquire", body).await;
    let lease = granted["leases"][0].clone();
    assert_eq!((&lease["path"], &lease["mode"]), (&json!("docs/a.md"), &json!("intent")));
    let first = lease["token"].as_u64().unwrap();
    let body = json!({ "lease": lease["lease"], "mode": "write" });
    let converted = ada.ok("lock.convert", body).await;
    assert_eq!(converted["leases"][0]["mode"], "write");
    assert!(converted["leases"][0]["token"].as_u64().unwrap() > first, "{converted}");
    let body = json!({ "paths": ["docs/"], "mode": "write" });
    let error = ben.refused("lock.acquire", body.clone(), "LOCK_CONFLICT").await;
    assert_eq!(error["details"]["holders"][0]["actor"], "ada", "{error}");
    assert!(error["retry_after_ms"].is_u64(), "{error}");
    let checked = ben.ask("lock.check", body).await;
    assert_eq!(checked["holders"][0]["actor"], "ada", "{checked}");
    let why = ben.ask("lock.why", json!({ "path": "docs/" })).await;
    assert_eq!(why["holders"][0]["actor"], "ada", "{why}");
    let listed = ben.ask("locks", json!({ "actor": "ada" })).await;
    let lease = converted["leases"][0]["lease"].clone();
    assert!(listed["leases"].as_array().unwrap().iter().any(|one| one["lease"] == lease));
    let reason = json!({ "lease": lease, "reason": "it is needed elsewhere" });
    assert_eq!(pat.ok("lock.break", reason).await["lease"], lease);

    let edited = json!({ "repo": "web", "paths": ["notes.md"], "more": 0 });
    let reported = pat.ok("checkout.report", edited).await;
    assert_eq!(reported, json!({ "repo": "web", "paths": 1 }));
    let checked = ben.ask("lock.check", json!({ "paths": ["notes.md"], "mode": "write" })).await;
    assert_eq!(checked["advisory"][0]["holder"], "you", "{checked}");

    let body = json!({ "paths": ["README.md"], "mode": "read", "ttl_ms": 60_000 });
    let own = pat.ok("lock.acquire", body).await["leases"][0].clone();
    assert!(own["expires_at"].is_string(), "{own}");
    let renewed = pat.ok("lock.renew", json!({ "leases": [own["lease"]] })).await;
    assert_eq!(renewed["leases"][0]["lease"], own["lease"]);
    let released = pat.ok("lock.release", json!({ "leases": [own["lease"]] })).await;
    assert_eq!(released["released"], json!([own["lease"]]));
}

/// What people and workers say to one another.
async fn talk(ada: &mut Door, pat: &mut Door, won: &Attempt) {
    let task = &won.task;
    let said = pat.ok("task.say", json!({ "task": task, "text": "mind the tabs" })).await;
    assert_eq!(&said["task"], task);
    let body = json!({ "task": task, "question": "tabs or spaces?", "options": ["tabs", "spaces"],
        "wait_s": 600 });
    let asked = ada.ok("task.ask", body).await;
    let question = asked["question"]["question"].clone();
    assert_eq!(asked["state"], "blocked");
    let answered = pat.ok("task.answer", json!({ "question": question, "answer": "tabs" })).await;
    assert_eq!(answered["state"], "working");
    assert_eq!(pat.ok("task.pause", json!({ "task": task })).await["state"], "paused");
    assert_eq!(pat.ok("task.resume", json!({ "task": task })).await["state"], "working");
}

/// From the award to the landed commit.
async fn land(ada: &mut Door, won: &Attempt) {
    let facts = json!({ "phase": "verifying", "tool_session": "s-1",
        "usage": { "input_tokens": 10, "output_tokens": 2, "cost_micro_usd": 30 } });
    assert_eq!(ada.ok("task.progress", won.with(facts)).await["state"], "verifying");
    let begin = won.with(json!({ "tree": TREE }));
    ada.refused("land.begin", begin.clone(), "VERIFICATION_REQUIRED").await;
    let verified = ada.ok("task.verified", won.with(json!({ "receipt": receipt("passed") }))).await;
    assert_eq!(verified["attempt"]["receipt"]["verdict"], "passed");
    let turn = ada.ok("land.begin", begin).await;
    assert!(turn["turn"].is_u64(), "{turn}");
    let body = won.with(json!({ "outcome": "landed", "commit": COMMIT, "tree": TREE }));
    let ended = ada.ok("land.end", body).await;
    assert_eq!(&ended["task"], &won.task);
    let done = won.with(json!({ "message": "It accepts tabs." }));
    let completed = ada.ok("task.complete", done.clone()).await;
    assert_eq!((&completed["state"], &completed["commit"]), (&json!("completed"), &json!(COMMIT)));
    // The ending verbs answer the same for ever.
    assert_eq!(ada.ok("task.complete", done).await["state"], "completed");
    let stale = won.with(json!({ "class": "test", "message": "too late" }));
    ada.refused("task.fail", stale, "STALE_TOKEN").await;
}

/// A task that a person looks at, and that then fails for good.
async fn review_and_fail(ada: &mut Door, pat: &mut Door) -> Value {
    let body = json!({ "title": "rename it", "review": "person", "repo": "web" });
    let task = pat.ok("task.add", body).await["task"].clone();
    let won = win(ada, &task).await;
    let verified = ada.ok("task.verified", won.with(json!({ "receipt": receipt("passed") }))).await;
    assert_eq!(verified["state"], "review");
    // Its worker is free; whoever wins it after the approval goes on with its evidence.
    ada.refused("land.begin", won.with(json!({ "tree": TREE })), "STALE_TOKEN").await;
    let body = json!({ "task": task, "verdict": "approve", "comments": "well done" });
    let reviewed = pat.ok("task.review", body).await;
    assert_eq!(reviewed["parked"]["approved"], true, "{reviewed}");
    let won = win(ada, &task).await;
    let body = won.with(json!({ "class": "disk", "message": "the disk is full", "hard": true }));
    assert_eq!(ada.ok("task.fail", body).await["state"], "failed");
    let edited = pat.ok("task.edit", json!({ "task": task, "title": "rename all" })).await;
    assert_eq!(edited["title"], "rename all");
    assert_eq!(pat.ok("task.retry", json!({ "task": task })).await["state"], "queued");
    task
}

/// Texts: published, read, forgotten.
async fn texts(ada: &mut Door, ben: &mut Door, pat: &mut Door) {
    let published = ada.ok("framework.publish", json!({ "text": "First the parser." })).await;
    assert_eq!(published, json!({ "version": 1 }));
    for door in [&mut *ada, &mut *ben] {
        assert_eq!(door.ok("framework.read", published.clone()).await, published);
    }
    let body = json!({ "key": "parser", "value": "it is recursive", "paths": ["src/"] });
    assert_eq!(ada.ok("note.share", body).await, json!({ "key": "parser" }));
    let notes = pat.ask("notes", json!({})).await;
    assert_eq!(notes["notes"][0]["value"], "it is recursive", "{notes}");
    let digest = devmesh_protocol::Digest::of(b"it is recursive").to_string();
    let text = pat.ask("text", json!({ "digest": digest })).await;
    assert_eq!(text["text"], "it is recursive", "{text}");
    let redacted = pat.ok("redact", json!({ "digest": digest })).await;
    assert_eq!(redacted, json!({ "digest": digest }));
    let notes = pat.ask("notes", json!({})).await;
    assert!(notes["notes"][0]["value"].is_null(), "{notes}");
}

/// The lists that nothing above has asked for.
async fn look(pat: &mut Door, task: &Value) {
    let state = pat.ask("state", json!({})).await;
    assert!(state["leader"].as_str().unwrap().starts_with("here-"), "{state}");
    let named = |value: &Value, list: &str, field: &str| -> Vec<String> {
        let all = value[list].as_array().unwrap_or_else(|| panic!("{list}: {value}"));
        all.iter().map(|one| one[field].as_str().unwrap_or_default().to_owned()).collect()
    };
    let tasks = pat.ask("tasks", json!({ "limit": 1 })).await;
    assert_eq!(named(&tasks, "tasks", "task"), ["t-1"]);
    let agents = pat.ask("agents", json!({})).await;
    assert_eq!(named(&agents, "agents", "agent"), ["ada", "ben"]);
    let repos = pat.ask("repos", json!({})).await;
    assert_eq!(named(&repos, "repos", "repo"), ["web"]);
    assert!(pat.ask("hosts", json!({})).await["hosts"].is_array());
    let settings = pat.ask("settings", json!({})).await;
    assert!(settings.to_string().contains("share_after_ms"), "{settings}");
    let why = pat.ask("why", json!({ "about": task })).await;
    assert_eq!(&why["about"], task);
    let chain = why["chain"].as_array().unwrap();
    let told: Vec<&str> = chain.iter().filter_map(|link| link["what"].as_str()).collect();
    assert!(told.iter().any(|what| what.contains("t-1 is completed")), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_is_taken_from_a_client_that_is_not_ours() {
    let Some(mesh) = Mesh::start().await else { return };
    let (mut admin, mut pat) = mesh.furnished().await;
    let mut ada = mesh.door("ada", Role::Agent).await;
    let mut ben = mesh.door("ben", Role::Agent).await;
    ada.refused("lock.renew", json!({ "session": "s" }), "AGENT_NOT_REGISTERED").await;
    join(&mut ada, "s-ada", "architect").await;
    join(&mut ben, "s-ben", "agent").await;
    let set = pat.ok("setting.set", json!({ "key": "share_after_ms", "value": 1000 })).await;
    assert_eq!(set, json!({ "key": "share_after_ms", "value": 1000 }));
    texts(&mut ada, &mut ben, &mut pat).await;

    let body = json!({ "title": "accept tabs", "prompt": "The parser should accept tabs.",
        "paths": ["src/parser/"], "key": "issue-7", "verify": ["make test"], "priority": 1,
        "max_cost_usd": 2.5 });
    let added = pat.ok("task.add", body.clone()).await;
    assert_eq!((&added["task"], &added["state"]), (&json!("t-1"), &json!("queued")));
    assert_eq!(pat.ok("task.add", body).await["task"], "t-1");
    let won = win(&mut ada, &added["task"]).await;
    leases(&mut ada, &mut ben, &mut pat, &won).await;
    talk(&mut ada, &mut pat, &won).await;
    land(&mut ada, &won).await;

    let inverse = pat.ok("task.revert", json!({ "task": won.task })).await;
    assert_eq!(inverse["reverts"], won.task);
    let cancelled = pat.ok("task.cancel", json!({ "task": inverse["task"] })).await;
    assert_eq!(cancelled["state"], "cancelled");
    let again = review_and_fail(&mut ada, &mut pat).await;
    let held = win(&mut ada, &again).await;
    let given_back = held.with(json!({ "reason": "out of quota", "unspent": true }));
    assert_eq!(ada.ok("task.abandon", given_back).await["state"], "queued");
    look(&mut pat, &won.task).await;

    assert_eq!(pat.ok("mesh.pause", json!({ "now": true })).await, json!({ "paused": true }));
    assert_eq!(pat.ok("mesh.resume", json!({})).await, json!({ "paused": false }));
    assert_eq!(pat.ok("agent.drain", json!({ "agent": "ben" })).await, json!({ "agent": "ben" }));
    ben.ok("agent.leave", json!({ "reason": "done" })).await;
    assert_eq!(admin.ok("actor.end", json!({ "actor": "ben" })).await, json!({ "actor": "ben" }));
    ben.refused("agent.join", json!({ "tool": "x", "host": "h1" }), "NOT_PERMITTED").await;

    let sent: BTreeSet<String> =
        [admin.sent, pat.sent, ada.sent, ben.sent].into_iter().flatten().collect();
    let all = Verb::NAMES.iter().chain(Query::NAMES).map(|name| (*name).to_owned()).collect();
    assert_eq!(sent, all, "every verb and query was sent and taken");
    mesh.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_is_answered_the_same() {
    let Some(mesh) = Mesh::start().await else { return };
    let (_admin, mut pat) = mesh.furnished().await;
    let id = devmesh_bus::client::mint().to_string();
    let body = json!({ "id": id, "paths": ["a.md"], "mode": "write" });
    let first = pat.send("lock.acquire", body.clone()).await;
    assert_eq!(first["ok"], true, "{first}");
    assert_eq!(pat.send("lock.acquire", body).await, first);
    let other = json!({ "id": id, "paths": ["b.md"], "mode": "write" });
    pat.refused("lock.acquire", other, "BAD_REQUEST").await;
    // Without an id each sending is a command of its own; the holder gets its lease again.
    let lease = &first["result"]["leases"][0]["lease"];
    let again = pat.ok("lock.acquire", json!({ "paths": ["a.md"], "mode": "write" })).await;
    assert_eq!(&again["leases"][0]["lease"], lease);
    mesh.end().await;
}
