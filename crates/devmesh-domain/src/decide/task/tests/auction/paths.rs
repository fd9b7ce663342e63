//! Tasks whose paths meet, others' leases, or what people change by hand.

use serde_json::json;

use super::super::Tasks;
use super::{may_bid, mesh};

/// Tasks on the same paths are not started together, and the second one starts once it can.
#[test]
fn touch_sets_keep_apart() {
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"src/\"]}", "close 1 codex"]);
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/a\"]}"), "task_added t-2");
    assert_eq!(tasks.step("alice add {\"paths\":[\"doc\"]}"), "task_added t-3, auction_opened t-3");
    assert!(may_bid(&tasks, 2).is_empty());
    tasks.step("codex start 1");
    let came = tasks.step("codex fail 1 test {\"hard\":true}");
    assert_eq!(came, "attempt_ended t-1, auction_opened t-2");
    // A lease that came between opening and closing: no award.
    assert_eq!(
        tasks.send("bob", "lock.acquire", json!({ "paths": ["src"], "mode": "write" })),
        "bob has write src"
    );
    assert_eq!(tasks.step("close 2 codex"), "auction_lapsed t-2");
    // A person's lease on part of it, given back, is seen at once.
    tasks.step("after 60000");
    assert_eq!(tasks.step("after 60000"), "nothing");
    let came = tasks.send("bob", "lock.release", json!({ "paths": ["src"] }));
    assert_eq!(came, "src free, auction_opened t-2");
}

#[test]
fn a_lease_that_gets_weaker_is_seen() {
    let mut tasks = Tasks::new();
    tasks.send("bob", "lock.acquire", json!({ "paths": ["src/a/b"], "mode": "write" }));
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/\"]}"), "task_added t-1");
    let lease = tasks.world.lease_of("bob", "src/a/b").to_string();
    let came = tasks.send("bob", "lock.convert", json!({ "lease": lease, "mode": "read" }));
    assert_eq!(came, "src/a/b is read, auction_opened t-1");
    // One that is not in the way is not looked at.
    let mut tasks = Tasks::new();
    for path in ["src", "other"] {
        tasks.send("bob", "lock.acquire", json!({ "paths": [path], "mode": "write" }));
    }
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    let generation = tasks.world.state.index.tasks.stirred.generation;
    tasks.send("bob", "lock.release", json!({ "paths": ["other"] }));
    assert_eq!(tasks.world.state.index.tasks.stirred.generation, generation);
}

/// A task for a folder of which bob holds a file, for a day.
fn behind_bob() -> Tasks {
    let mut tasks = Tasks::new();
    tasks.send(
        "bob",
        "lock.acquire",
        json!({ "paths": ["src/b"], "mode": "write", "ttl_ms": 86_400_000 }),
    );
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks
}

/// A large touch set is not starved by small ones.
#[test]
fn who_waited_long_for_paths_is_not_overtaken() {
    let mut tasks = behind_bob();
    assert_eq!(
        tasks.step("alice add {\"paths\":[\"src/a\"]}"),
        "task_added t-2, auction_opened t-2"
    );
    tasks.step("close 2 codex");
    tasks.step("codex start 2");
    tasks.step("after 600000");
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/c\"]}"), "task_added t-3");
    assert_eq!(tasks.step("alice add {\"paths\":[\"doc\"]}"), "task_added t-4, auction_opened t-4");
    assert_eq!(
        tasks.step("codex fail 2 test {\"hard\":true}"),
        "attempt_ended t-2, paths_queued t-1"
    );
    let came = tasks.send("bob", "lock.release", json!({ "paths": ["src/b"] }));
    assert_eq!(came, "src/b free, auction_opened t-1");
    // Nor while its own auction is open.
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/d\"]}"), "task_added t-5");
    assert_eq!(tasks.step("close 1"), "auction_lapsed t-1");
    assert_eq!(tasks.step("after 1000"), "auction_opened t-1");
    // When it is out of the way the others come.
    let mut tasks = behind_bob();
    tasks.step("after 600000");
    tasks.step("alice add {\"paths\":[\"src/c\"]}");
    assert_eq!(tasks.step("alice cancel 1"), "task_cancelled t-1, auction_opened t-2");
}

fn asks(tasks: &mut Tasks, who: &str, path: &str, wait_ms: u64) -> String {
    let body = json!({ "paths": [path], "mode": "write", "wait_ms": wait_ms });
    tasks.send(who, "lock.acquire", body)
}

/// The defect: whoever asked for a path again and again could keep a task from it for ever.
#[test]
fn who_waited_long_stands_in_the_queue() {
    let mut tasks = behind_bob();
    // Who came before is before it.
    assert_eq!(asks(&mut tasks, "alice", "src/x", 0), "alice has write src/x");
    tasks.step("after 599999");
    let came = tasks.send("bob", "lock.release", json!({ "paths": ["src/b"] }));
    assert_eq!(came, "src/b free", "a minute early it is no waiter");
    assert_eq!(asks(&mut tasks, "bob", "src/b", 0), "bob has write src/b");
    tasks.step("after 1");
    let came = tasks.send("alice", "lock.release", json!({ "paths": ["src/x"] }));
    assert_eq!(came, "src/x free, paths_queued t-1");
    // Who comes now is after it, and elsewhere nobody is.
    assert_eq!(asks(&mut tasks, "alice", "src/c", 0), "LOCK_CONFLICT");
    let body = json!({ "paths": ["src/c"], "mode": "write" });
    let refused = tasks.world.send("alice", "lock.acquire", body).unwrap_err();
    let first = "t-1, which has waited long, (intent) waits for src/ and comes first; ";
    assert!(refused.message.starts_with(first), "{refused}");
    assert_eq!(asks(&mut tasks, "alice", "doc", 0), "alice has write doc");
    assert_eq!(asks(&mut tasks, "alice", "src/c", 900_000), "alice waits");
    let came = tasks.send("bob", "lock.release", json!({ "paths": ["src/b"] }));
    assert_eq!(came, "src/b free, auction_opened t-1");
    assert_eq!(asks(&mut tasks, "bob", "src/b", 900_000), "bob waits");
    assert_eq!(tasks.step("close 1 codex"), "task_awarded t-1, codex has intent src/");
    tasks.step("codex start 1");
    // Then it is their turn.
    let came = tasks.step("codex fail 1 test {\"hard\":true}");
    assert_eq!(came, "attempt_ended t-1, alice has write src/c, bob has write src/b");
    tasks.world.check_replay();
}

/// It does not hold others up for ever, and never what runs.
#[test]
fn a_place_in_the_queue_ends() {
    let in_line = || {
        let mut tasks = behind_bob();
        tasks.step("after 600000");
        // The long lease goes by on a part of it, and the search comes past.
        asks(&mut tasks, "alice", "src/x", 0);
        let came = tasks.send("alice", "lock.release", json!({ "paths": ["src/x"] }));
        assert_eq!(came, "src/x free, paths_queued t-1");
        tasks
    };
    let mut tasks = in_line();
    assert_eq!(asks(&mut tasks, "alice", "src/c", 900_000), "alice waits");
    assert_eq!(tasks.step("after 599999"), "nothing");
    assert_eq!(tasks.step("after 1"), "paths_left t-1, alice has write src/c, paths_queued t-1");
    // An attempt that needs one of the paths has it.
    let mut tasks = in_line();
    tasks.step("alice add {\"paths\":[\"doc\"]}");
    tasks.step("close 2 codex");
    tasks.step("codex start 2");
    let body = json!({ "paths": ["src/y"], "mode": "write", "task": "t-2" });
    assert_eq!(tasks.send("codex", "lock.acquire", body), "codex has write src/y");
    // It leaves with what would be done, and comes back with other paths.
    for (step, expect) in [
        ("alice pause 1", "task_paused t-1, alice has write src/c"),
        ("alice cancel 1", "task_cancelled t-1, alice has write src/c"),
        (
            "alice edit 1 {\"paths\":[\"lib\"]}",
            "task_edited t-1, alice has write src/c, paths_queued t-1, auction_opened t-1",
        ),
    ] {
        let mut tasks = in_line();
        assert_eq!(asks(&mut tasks, "alice", "src/c", 900_000), "alice waits");
        assert_eq!(tasks.step(step), expect);
        tasks.world.check_replay();
    }
}

#[test]
fn what_a_person_changes_by_hand_comes_after_other_work() {
    let mut tasks = mesh(&[]);
    tasks.send("alice", "checkout.report", json!({ "paths": ["src/a.rs"] }));
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks.step("alice add {\"paths\":[\"docs/\"],\"priority\":4}");
    let body = json!({ "tool": "custom", "host": "h", "session": "s" });
    assert!(tasks.send("ada", "agent.join", body).ends_with("auction_opened t-2"));
    // With nothing else to do it is begun all the same.
    let body = json!({ "tool": "custom", "host": "h", "session": "s2" });
    assert!(tasks.send("eve", "agent.join", body).ends_with("auction_opened t-1"));
    // Nor does it yield for ever.
    let mut tasks = mesh(&[]);
    tasks.send("alice", "checkout.report", json!({ "paths": ["src/a.rs"] }));
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks.step("after 600000");
    tasks.step("alice add {\"paths\":[\"docs/\"]}");
    let body = json!({ "tool": "custom", "host": "h", "session": "s" });
    assert!(tasks.send("ada", "agent.join", body).ends_with("auction_opened t-1"));
}

#[test]
fn tasks_that_meet_are_not_opened_together() {
    let mut tasks = mesh(&[]);
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks.step("alice add {\"paths\":[\"src/a.rs\"]}");
    tasks.step("alice add {\"paths\":[\"docs/\"]}");
    tasks.send("alice", "mesh.pause", json!({}));
    for name in ["ada", "eve", "ivy"] {
        let body = json!({ "tool": "custom", "host": "h", "session": name });
        tasks.send(name, "agent.join", body);
    }
    let came = tasks.send("alice", "mesh.resume", json!({}));
    assert_eq!(came, "mesh_resumed mesh, auction_opened t-1, auction_opened t-3");
}

/// Of two that stand in the queue the later one does not take what the first will need, though
/// that is free.
#[test]
fn the_order_of_the_queue_holds_for_what_is_free_too() {
    let mut tasks = Tasks::new();
    for (who, path) in [("alice", "a"), ("bob", "c")] {
        let body = json!({ "paths": [path], "mode": "write", "ttl_ms": 86_400_000 });
        tasks.send(who, "lock.acquire", body);
    }
    assert_eq!(tasks.step("alice add {\"paths\":[\"a\",\"b\"]}"), "task_added t-1");
    assert_eq!(tasks.step("alice add {\"paths\":[\"b\",\"c\"]}"), "task_added t-2");
    tasks.step("after 600000");
    for path in ["a/x", "c/x"] {
        let who = if path == "a/x" { "alice" } else { "bob" };
        let body = json!({ "paths": [path], "mode": "read", "session": "other" });
        tasks.send(who, "lock.acquire", body);
    }
    tasks.step("alice send setting.set {\"key\":\"hot\",\"value\":[]}");
    tasks.step("alice send agent.drain {\"agent\":\"gemini\"}");
    let queued = |tasks: &Tasks| -> Vec<bool> {
        let place = |n| tasks.world.state.place_in_queue(devmesh_protocol::TaskId(n)).is_some();
        [1, 2].map(place).to_vec()
    };
    assert_eq!(queued(&tasks), [true, true]);
    let came = tasks.send("bob", "lock.release", json!({ "paths": ["c"] }));
    assert_eq!(came, "c free");
    let came = tasks.send("alice", "lock.release", json!({ "paths": ["a"] }));
    assert_eq!(came, "a free, auction_opened t-1");
}

/// Nobody waits for a hot file, so nobody is kept from one for the sake of who waits for others.
#[test]
fn a_hot_file_keeps_no_tasks_apart() {
    let mut tasks = Tasks::new();
    let body = json!({ "paths": ["src/b"], "mode": "write", "ttl_ms": 86_400_000 });
    tasks.send("bob", "lock.acquire", body);
    tasks.step("alice add {\"paths\":[\"src/\",\"Cargo.lock\"]}");
    tasks.step("after 600000");
    let came = tasks.step("alice add {\"paths\":[\"docs/\",\"Cargo.lock\"]}");
    assert_eq!(came, "task_added t-2, auction_opened t-2");
}
