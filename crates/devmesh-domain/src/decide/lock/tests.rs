//! What comes of requests for leases, one line a case.

mod defects;
mod lifetime;
mod limits;
mod queue;
mod random;
mod share;

use crate::invariant::world::{World, check, story};

/// What a first holder's mode means for a second one's, on the same path.
#[test]
fn the_table_is_what_decides() {
    for first in devmesh_protocol::Mode::ALL {
        for second in devmesh_protocol::Mode::ALL {
            let given = format!("alice {first} a");
            let expect = if first.is_compatible(second) {
                format!("bob has {second} a")
            } else {
                "LOCK_CONFLICT".to_owned()
            };
            check(&[&given], &format!("bob {second} a"), &expect);
        }
    }
}

#[test]
fn one_file_has_one_name() {
    let given = ["alice write a/b.rs"];
    for alias in [
        "a/b.rs",
        "./a/b.rs",
        "a//b.rs",
        "a/./b.rs",
        "a/x/../b.rs",
        "a\\b.rs",
        "a/b.rs/",
        "x/../a/b.rs",
    ] {
        check(&given, &format!("bob write {alias}"), "LOCK_CONFLICT");
        check(&given, &format!("alice write {alias}"), "nothing");
    }
    for other in ["a/B.rs", "a/b.rs2", "a/b", "ab.rs", "b.rs"] {
        check(&given, &format!("bob write {other}"), &format!("bob has write {other}"));
    }
    for outside in ["../a", "a/../../b", "/a/b.rs", "~/a", "c:/a", ".git/config", "a/.GIT/x"] {
        check(&given, &format!("bob write {outside}"), "PATH_OUTSIDE_REPO");
    }
}

#[test]
fn a_folder_holds_what_is_in_it() {
    check(&["alice write src/"], "bob write src/a", "LOCK_CONFLICT");
    check(&["alice write src/"], "bob write src/a/b/c", "LOCK_CONFLICT");
    check(&["alice write src/"], "bob read src", "LOCK_CONFLICT");
    check(&["alice write src/a"], "bob write src/", "LOCK_CONFLICT");
    check(&["alice write src/a"], "bob write .", "LOCK_CONFLICT");
    check(&["alice write ."], "bob read any/thing", "LOCK_CONFLICT");
    check(&["alice write src/a"], "bob write src/ab", "bob has write src/ab");
    check(&["alice write src/a"], "bob write src/a.rs", "bob has write src/a.rs");
    check(&["alice write src/a"], "bob write src/a-b", "bob has write src/a-b");
    check(&["alice read src/"], "bob read src/a", "bob has read src/a");
    check(&["alice read src/"], "bob co_write src/a", "bob has co_write src/a");
    check(&["alice intent src/"], "bob intent src/a", "LOCK_CONFLICT");
    check(&["alice co_write src/"], "bob co_write src/a", "bob has co_write src/a");
}

#[test]
fn where_case_makes_no_name_it_makes_no_lock() {
    let mut world = World::new();
    world.repo("mac", true);
    for (step, expect) in [
        ("alice write repo mac Src/Main.rs", "alice has write Src/Main.rs"),
        ("bob write repo mac src/main.rs", "LOCK_CONFLICT"),
        ("bob read repo mac SRC", "LOCK_CONFLICT"),
        ("alice write repo mac src/MAIN.rs", "nothing"),
        ("bob write repo r src/main.rs", "bob has write src/main.rs"),
        ("bob write repo mac other OTHER", "bob has write other"),
        ("bob release other", "BAD_REQUEST"),
        ("bob release repo mac Other", "other free"),
        ("bob write other", "BAD_REQUEST"),
        ("bob write repo none other", "BAD_REQUEST"),
    ] {
        assert_eq!(world.step(step), expect, "{step}");
    }
}

#[test]
fn the_only_repository_is_meant() {
    let mut world = World::bare();
    assert_eq!(world.send("codex", "agent.join", join()).unwrap().len(), 2);
    assert_eq!(world.step("codex write a"), "BAD_REQUEST");
    world.repo("r", false);
    assert_eq!(world.step("codex write a"), "codex has write a");
}

fn join() -> serde_json::Value {
    serde_json::json!({ "tool": "custom", "host": "h", "session": "codex" })
}

#[test]
fn a_holder_is_not_in_its_own_way() {
    check(&["alice write a"], "alice write a", "nothing");
    check(&["alice write a"], "alice read a", "nothing");
    check(&["alice write a"], "alice intent a", "nothing");
    check(&["alice write a"], "alice co_write a", "nothing");
    check(&["alice write a"], "alice read a/b", "nothing");
    check(&["alice write a/b"], "alice write a", "alice has write a");
    check(&["alice co_write a"], "alice read a", "nothing");
    check(&["alice intent a"], "alice read a", "nothing");
    check(&["alice intent a"], "alice co_write a", "alice has co_write a");
    check(&["alice co_write a"], "alice intent a", "alice has intent a");
    check(&["alice read a"], "alice write a/b", "alice has write a/b");
    check(&["alice read a"], "alice write a", "a is write anew");
    check(&["alice read a"], "alice intent a", "a is intent anew");
    check(&["alice intent a"], "alice write a", "a is write anew");
}

/// Two scripts of one person that say so are two holders; a script that says nothing is one
/// with all that say nothing.
#[test]
fn sessions_of_a_person_are_holders() {
    check(&["alice write a session one"], "alice write a session two", "LOCK_CONFLICT");
    check(&["alice write a session one"], "alice write a", "LOCK_CONFLICT");
    check(&["alice write a session one"], "alice write a session one", "nothing");
    check(&["alice write a session one"], "alice release a", "NOT_OWNER");
    check(&["alice write a session one"], "alice give-of alice a", "a free");
}

#[test]
fn all_paths_or_none() {
    check(&["alice write b"], "bob write a b c", "LOCK_CONFLICT");
    check(&[], "bob write a b", "bob has write a, bob has write b");
    check(&[], "bob write a a/b a/b/c b", "bob has write a, bob has write b");
    check(&[], "bob write a/b a", "bob has write a");
    check(&[], "bob write a a ./a", "bob has write a");
    check(&[], "bob write a/b . c", "bob has write ./");
    check(&["bob read a"], "bob write a b", "a is write anew, bob has write b");
    check(&["bob write a"], "bob write a b", "bob has write b");
    check(&["bob read a", "alice read a"], "bob write a b", "LOCK_CONFLICT");
    let world =
        story(&[("alice write b", "alice has write b"), ("bob write a b", "LOCK_CONFLICT")]);
    assert_eq!(world.state.leases.len(), 1, "nothing of it is held");
}

#[test]
fn only_its_holder_gives_a_lease_back() {
    check(&["alice write a"], "bob release a", "NOT_OWNER");
    check(&["alice write a"], "bob give-of alice a", "NOT_OWNER");
    check(&["alice write a"], "alice release a", "a free");
    check(&["alice write a"], "alice release b", "LEASE_EXPIRED");
    check(&["alice write a"], "alice release a/b", "LEASE_EXPIRED");
    check(&["alice write a"], "alice release a b", "LEASE_EXPIRED");
    check(&["alice write a"], "alice give l-999-0", "LEASE_EXPIRED");
    check(&["alice write a", "alice read b"], "alice release b a", "a free, b free");
    check(&["alice read a", "bob read a"], "bob release a", "a free");
    check(&["alice write a"], "alice release", "BAD_REQUEST");
    check(&["codex write a"], "claude release a", "NOT_OWNER");
    check(&["codex write a"], "claude release a session codex", "AGENT_NOT_REGISTERED");
}

#[test]
fn a_release_that_was_answered_does_nothing_twice() {
    story(&[
        ("alice write a", "alice has write a"),
        ("alice release a", "a free"),
        ("alice release a", "LEASE_EXPIRED"),
        ("bob write a", "bob has write a"),
        ("alice release a", "NOT_OWNER"),
    ]);
}

#[test]
fn times_have_bounds() {
    check(&[], "alice write a ttl -5", "BAD_REQUEST");
    check(&[], "alice write a ttl 0", "BAD_REQUEST");
    check(&[], "alice write a ttl 499", "BAD_REQUEST");
    check(&[], "alice write a ttl 500", "alice has write a");
    check(&[], "alice write a ttl 86400000", "alice has write a");
    check(&[], "alice write a ttl 86400001", "LIMIT_EXCEEDED");
    check(&[], "codex write a ttl 300000", "codex has write a");
    check(&[], "codex write a ttl 300001", "LIMIT_EXCEEDED");
    check(&[], "alice write a wait 3600001", "LIMIT_EXCEEDED");
    check(&[], "alice write a wait -1", "BAD_REQUEST");
    check(&[], "alice write", "BAD_REQUEST");
    check(&[], "alice own a", "BAD_REQUEST");
}

#[test]
fn a_task_is_its_workers_to_lease_for() {
    check(&[], "codex write a task t-1", "TASK_NOT_FOUND");
    check(&[], "alice write a task t-1", "TASK_NOT_FOUND");
    let mut world = World::new();
    world.send("alice", "task.add", serde_json::json!({ "title": "x" })).unwrap();
    assert_eq!(world.step("codex write a task t-1"), "NOT_OWNER", "it is nobody's yet");
    world.attempt(2, "codex", serde_json::json!({}));
    for (step, expect) in [
        ("claude write a task t-2", "NOT_OWNER"),
        ("alice write a task t-2", "NOT_OWNER"),
        // A session is its actor's: another's of the same name is another one.
        ("alice write a task t-2 session codex", "NOT_OWNER"),
        ("codex write a task t-2 session other", "AGENT_NOT_REGISTERED"),
        ("codex write a task t-2", "codex has write a"),
        // And so are its leases.
        ("claude release task t-2", "NOT_OWNER"),
        ("codex release task t-1", "nothing"),
        ("codex release task t-2", "a free"),
        ("claude release task t-2", "nothing"),
    ] {
        assert_eq!(world.step(step), expect, "{step}");
    }
}

#[test]
fn a_conflict_names_who_is_in_the_way() {
    let mut world = World::new();
    world.step("codex write src/parser/");
    let body = serde_json::json!({ "paths": ["src/parser/a.rs"], "mode": "read" });
    let refused = world.send("alice", "lock.acquire", body).unwrap_err();
    let alone = "src/parser/ is held by codex (write); read was asked for";
    assert_eq!(refused.message, alone);
    assert_eq!(refused.retry_after_ms, Some(2_000));
    let holder = &refused.details["holders"][0];
    assert_eq!(holder["actor"], "codex");
    assert_eq!(holder["mode"], "write");
    assert_eq!(holder["path"], "src/parser/");
    assert_eq!(holder["lease"], world.lease_of("codex", "src/parser").to_string());
    world.step("bob write docs");
    let body = serde_json::json!({ "paths": ["src", "docs"], "mode": "read" });
    let refused = world.send("alice", "lock.acquire", body).unwrap_err();
    assert!(refused.message.contains("by codex (write), and it is not alone; "), "{refused}");
}

#[test]
fn a_refusal_of_many_holders_is_short() {
    let mut world = World::new();
    for i in 0..100 {
        world.step(&format!("alice write src/{i}"));
    }
    let body = serde_json::json!({ "paths": ["src"], "mode": "read" });
    let refused = world.send("bob", "lock.acquire", body).unwrap_err();
    assert_eq!(refused.details["holders"].as_array().unwrap().len(), 16);
}

#[test]
fn leases_have_a_limit() {
    let mut world = World::new();
    let paths: Vec<String> = (0..120).map(|i| format!("f{i}")).collect();
    world.step(&format!("alice write {}", paths.join(" ")));
    assert_eq!(world.state.leases.len(), 120);
    let many: Vec<String> = (0..129).map(|i| format!("g{i}")).collect();
    assert_eq!(world.step(&format!("alice write {}", many.join(" "))), "LIMIT_EXCEEDED");
    let long: Vec<String> =
        (0..128).map(|i| format!("{}/{i}", vec!["x".repeat(200); 4].join("/"))).collect();
    let body = serde_json::json!({ "paths": long, "mode": "read", "reason": "ü".repeat(300) });
    let done = world.send("bob", "lock.acquire", body);
    let code = done.map_err(|refused| refused.code.as_str()).map(|words| words.len());
    assert_eq!(code, Ok(128), "the largest request that fits a record");
    let long: Vec<String> =
        (0..128).map(|i| format!("{}/{i}", vec!["y".repeat(250); 4].join("/"))).collect();
    let body = serde_json::json!({ "paths": long, "mode": "read", "reason": "ü".repeat(300) });
    let refused = world.send("bob", "lock.acquire", body).unwrap_err();
    assert_eq!(refused.code.as_str(), "LIMIT_EXCEEDED", "a record could not hold it");
}
