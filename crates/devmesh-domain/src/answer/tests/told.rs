//! What is told of what was done, and of what is so already.

use devmesh_protocol::{At, Reply};
use serde_json::{Value, json};

use super::{Desk, actor, known, v7, with};
use crate::answer::Known;

#[test]
fn what_is_published_is_told_with_its_tasks() {
    let mut desk = Desk::new();
    let graph = json!([
        { "key": "a", "title": "a" },
        { "key": "b", "title": "b", "depends_on": ["a"] },
    ]);
    let first = json!({ "text": "plan", "graph": graph });
    let told = desk.ok("alice", "framework.publish", first);
    assert_eq!(told, json!({ "version": 1, "tasks": ["t-1", "t-2"] }));
    let patch = json!({ "text": "patched" });
    let told = desk.ok("codex", "framework.publish", patch.clone());
    assert_eq!(told, json!({ "version": 2 }));
    let told = desk.ok("codex", "framework.publish", patch);
    assert_eq!(told, json!({ "version": 2 }), "it is that already");
}

/// Whoever planned a goal is told what has become of it, as often as it asks.
#[test]
fn a_planner_is_told_again_what_its_plan_has_become() {
    let graph = json!([{ "key": "a", "title": "a", "needs": ["rust"] }]);
    let plan = json!({ "text": "plan", "graph": graph });
    let mut desk = Desk::new();
    desk.ok("alice", "task.add", json!({ "title": "goal", "kind": "plan" }));
    desk.award(1, "codex");
    let own = desk.own(1);
    desk.ok("codex", "task.start", own.clone());
    let told = desk.ok("codex", "framework.publish", with(own.clone(), plan.clone()));
    assert_eq!(told, json!({ "version": 1, "tasks": ["t-2"], "unknown": ["rust"] }));
    let again = desk.ok("codex", "framework.publish", with(own, plan.clone()));
    assert_eq!(again, told, "under another id too");
    // While a person looks at it, it is nothing but the goal.
    let goal = json!({ "title": "goal", "kind": "plan", "review": "person" });
    desk.ok("alice", "task.add", goal);
    desk.ok("codex", "framework.read", json!({ "version": 1 }));
    desk.award(3, "codex");
    let own = desk.own(3);
    desk.ok("codex", "task.start", own.clone());
    let told = desk.ok("codex", "framework.publish", with(own.clone(), plan.clone()));
    assert_eq!((&told["task"], &told["state"]), (&json!("t-3"), &json!("review")));
    let again = desk.ok("codex", "framework.publish", with(own, plan));
    assert_eq!(again, told);
    let told = desk.ok("alice", "task.review", json!({ "task": "t-3", "verdict": "approve" }));
    assert_eq!((&told["task"], &told["state"]), (&json!("t-3"), &json!("completed")));
}

#[test]
fn what_is_changed_is_told_as_it_is_then() {
    let mut desk = Desk::new();
    let repo = json!({ "name": "other", "path": "/o", "verify": ["make"] });
    let told = desk.ok("alice", "repo.add", repo.clone());
    assert_eq!((&told["repo"], &told["path"]), (&json!("other"), &json!("/o")));
    assert_eq!(desk.ok("alice", "repo.add", repo), told, "and where nothing changes");
    let set = json!({ "key": "lock.ttl_ms", "value": 9_000 });
    assert_eq!(desk.ok("alice", "setting.set", set.clone()), set);
    for paused in [true, true, false, false] {
        let verb = if paused { "mesh.pause" } else { "mesh.resume" };
        assert_eq!(desk.ok("bob", verb, json!({})), json!({ "paused": paused }));
    }
}

#[test]
fn a_renewal_is_told_lease_by_lease() {
    let mut desk = Desk::new();
    let take = json!({ "paths": ["a", "b"], "mode": "read", "ttl_ms": 60_000, "repo": "r" });
    let given = desk.ok("alice", "lock.acquire", take);
    let lease = |i: usize| given["leases"][i]["lease"].clone();
    desk.world.after(50_000);
    let renewed = desk.ok("alice", "lock.renew", json!({}));
    let expires_at = At(desk.world.at.0 + 60_000);
    let one = |i: usize| json!({ "lease": lease(i), "expires_at": expires_at });
    assert_eq!(renewed, json!({ "leases": [one(0), one(1)] }));
}

/// A machine that has lost its clock begins in 1970: its ids are old, and none was forgotten.
#[test]
fn where_nothing_was_forgotten_no_id_is_too_old() {
    let mut desk = Desk::new();
    let body = json!({ "id": v7(0, 1), "key": "k", "value": "v" });
    let command = desk.command("bob", "note.share", body);
    assert_eq!(command.actor, actor("bob"));
    assert_eq!(known(&desk.world.state, &command, desk.world.at), Known::New);
}

#[test]
fn how_far_an_id_is_ahead_is_told() {
    let mut desk = Desk::new();
    let ms = desk.world.at.0 + devmesh_protocol::limits::ID_AHEAD_MS + 1_500;
    let body = json!({ "id": v7(ms, 1), "key": "k", "value": "v" });
    let Some(Reply::Err { error, .. }) = desk.send("bob", "note.share", body) else {
        panic!("it is refused")
    };
    assert!(error.message.contains(" is 601 s ahead of the mesh's clock"), "{error}");
    assert_eq!(error.details["ahead_ms"], Value::from(601_500));
}

/// With an attempt ends what waited for its task, and nothing else of its agent's.
#[test]
fn who_waited_for_a_task_is_told_when_its_attempt_ends() {
    let mut desk = Desk::new();
    desk.world.attempt(1, "codex", json!({}));
    desk.ok("alice", "lock.acquire", json!({ "paths": ["a", "b"], "mode": "write" }));
    let ask = |id: &str, path: &str| {
        let paths = [path];
        json!({ "id": id, "paths": paths, "mode": "write", "wait_ms": 60_000 })
    };
    let task = with(ask("w-1", "a"), json!({ "task": "t-1" }));
    assert_eq!(desk.send("codex", "lock.acquire", task), None);
    let other = desk.command("codex", "lock.acquire", ask("w-2", "b"));
    assert_eq!(desk.take(&other), None);
    let own = desk.own(1);
    desk.ok("codex", "task.abandon", with(own, json!({ "reason": "no" })));
    assert_eq!(super::code(desk.waited("w-1").unwrap()), "STALE_TOKEN");
    assert_eq!(known(&desk.world.state, &other, desk.world.at), Known::Waiting);
}
