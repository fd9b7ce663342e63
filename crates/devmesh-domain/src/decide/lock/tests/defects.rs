//! What was found wrong with comparable systems, each shown to be otherwise here. A test is named
//! after the defect that it denies.

use serde_json::json;

use crate::invariant::world::{World, check, story};
use devmesh_protocol::{Event, Mode};

#[test]
fn aliases_of_a_path_are_granted_beside_it() {
    for alias in ["./p/a", "p/./a", "p/x/../a", "p//a", "p\\a", "p/a/", "p", "p/", "."] {
        check(&["alice write p/a"], &format!("bob write {alias}"), "LOCK_CONFLICT");
    }
}

#[test]
fn case_variants_are_granted_where_case_makes_no_name() {
    let mut world = World::new();
    world.repo("mac", true);
    world.step("alice write repo mac p/A.rs");
    for alias in ["P/a.rs", "p/a.RS", "P", "P/A.RS/x"] {
        assert_eq!(world.step(&format!("bob write repo mac {alias}")), "LOCK_CONFLICT", "{alias}");
    }
}

#[test]
fn the_parent_folder_is_granted_beside_a_file_of_it() {
    let deep = vec!["d"; 60].join("/");
    for above in 1..60 {
        let folder = vec!["d"; above].join("/");
        check(
            &[&format!("alice write {deep}/f")],
            &format!("bob write {folder}/"),
            "LOCK_CONFLICT",
        );
        check(&[&format!("alice write {folder}/")], &format!("bob read {deep}/f"), "LOCK_CONFLICT");
    }
    check(
        &[&format!("alice write {deep}/f")],
        &format!("bob write {deep}/g"),
        &format!("bob has write {deep}/g"),
    );
}

#[test]
fn anybody_releases_by_writing_the_holders_name() {
    check(&["alice write a"], "bob give-of alice a", "NOT_OWNER");
    check(&["codex write a"], "claude give-of codex a", "NOT_OWNER");
    let mut world = World::new();
    world.step("alice write a");
    // There is no field to write a name into.
    let named = json!({ "paths": ["a"], "actor": "alice" });
    assert_eq!(world.send("bob", "lock.release", named).unwrap_err().code.as_str(), "BAD_REQUEST");
}

#[test]
fn an_own_read_under_an_own_write_is_denied() {
    check(&["alice write a"], "alice read a", "nothing");
    check(&["alice write a/"], "alice read a/b/c", "nothing");
}

#[test]
fn the_holder_cannot_lock_again_or_renew() {
    check(&["alice write a"], "alice write a", "nothing");
    check(&["alice write a"], "alice renew", "lock_renewed alice");
}

#[test]
fn the_matrix_is_not_symmetric() {
    for one in Mode::ALL {
        for other in Mode::ALL {
            let came = |first: Mode, second: Mode| {
                let mut world = World::new();
                world.step(&format!("alice {first} a"));
                world.step(&format!("bob {second} a")) == "LOCK_CONFLICT"
            };
            assert_eq!(came(one, other), came(other, one), "{one} and {other}");
            assert_eq!(came(one, other), !one.is_compatible(other), "{one} and {other}");
        }
    }
}

#[test]
fn repeated_requests_append_duplicates() {
    let mut world = World::new();
    for _ in 0..10 {
        world.step("alice write a b");
    }
    assert_eq!(world.state.leases.len(), 2);
}

#[test]
fn two_hold_exclusively() {
    let mut world = World::new();
    let won: Vec<String> = ["alice", "bob", "carol", "dave"]
        .iter()
        .map(|who| world.step(&format!("{who} write a")))
        .collect();
    let winners = won.iter().filter(|came| came.contains("has")).count();
    assert_eq!(winners, 1, "{won:?}");
}

#[test]
fn a_lease_of_negative_or_endless_time_is_granted() {
    for ttl in ["-5", "0", "-1000"] {
        check(&[], &format!("alice write a ttl {ttl}"), "BAD_REQUEST");
    }
    check(&[], &format!("alice write a ttl {}", i64::MAX), "LIMIT_EXCEEDED");
    let mut world = World::new();
    for ttl in [json!(1e18), json!(1e308), json!("10"), json!(null), json!(1.5)] {
        let body = json!({ "paths": ["a"], "mode": "write", "ttl_ms": ttl });
        let code = world.send("alice", "lock.acquire", body).map_err(|e| e.code.as_str());
        // Null is as if it were not said.
        assert!(code.is_err() || ttl.is_null(), "{ttl}: {code:?}");
    }
}

#[test]
fn an_expired_lease_is_shown_as_held() {
    let mut world =
        story(&[("alice write a ttl 500", "alice has write a"), ("after 500", "a over")]);
    assert!(world.state.leases.is_empty());
    assert_eq!(world.step("bob write a"), "bob has write a");
}

#[test]
fn a_released_lease_conflicts_on() {
    story(&[
        ("alice write a", "alice has write a"),
        ("alice release a", "a free"),
        ("bob write a", "bob has write a"),
    ]);
}

#[test]
fn locks_are_lost_with_the_process() {
    let mut world =
        story(&[("alice write a", "alice has write a"), ("bob write a wait 9000", "bob waits")]);
    // What the log says is all there is: another leader reads it and knows both.
    let mut again = crate::state::State::default();
    world.records.iter().for_each(|record| crate::fold::fold(&mut again, record));
    assert_eq!((again.leases.len(), again.waiters.len()), (1, 1));
    assert_eq!(again.hash(), world.state.hash());
    world.state = again;
    assert_eq!(world.step("carol write a"), "LOCK_CONFLICT");
    assert_eq!(world.step("alice release a"), "a free, bob has write a");
}

#[test]
fn a_stale_holder_changes_something() {
    let mut world = World::new();
    world.step("alice write a ttl 1000");
    let lease = world.lease_of("alice", "a");
    assert_eq!(world.step("after 1000"), "a over");
    world.step("bob write a");
    assert_eq!(world.step(&format!("alice give {lease}")), "LEASE_EXPIRED");
    assert_eq!(world.step(&format!("alice renew lease {lease}")), "LEASE_EXPIRED");
    let body = json!({ "lease": lease, "mode": "read" });
    assert_eq!(
        world.send("alice", "lock.convert", body).unwrap_err().code.as_str(),
        "LEASE_EXPIRED"
    );
    assert!(world.lease_of("bob", "a") > lease, "and the new holder's token is greater");
}

#[test]
fn an_agent_that_was_reaped_locks_again() {
    let mut world = World::new();
    world.step("codex write a");
    world.silent("codex", 60_000);
    assert!(world.state.leases.is_empty());
    assert_eq!(world.step("codex write a"), "AGENT_NOT_REGISTERED");
}

#[test]
fn the_wake_up_is_lost_between_list_and_watch() {
    // Whoever queues in the same instant as the release is granted by the very next record.
    story(&[
        ("alice write a", "alice has write a"),
        ("bob write a wait 9000", "bob waits"),
        ("carol write a wait 9000", "carol waits"),
        ("alice release a", "a free, bob has write a"),
        ("bob release a", "a free, carol has write a"),
    ]);
}

#[test]
fn a_token_is_drawn_before_the_wait() {
    let mut world = World::new();
    world.step("alice write a");
    world.step("bob write a wait 9000");
    world.step("carol write b");
    let between = world.lease_of("carol", "b");
    world.step("alice release a");
    assert!(world.lease_of("bob", "a") > between);
}

#[test]
fn waiting_is_polling_and_nobody_is_first() {
    let mut world = World::new();
    world.step("alice write a");
    for who in ["bob", "carol", "dave", "erin"] {
        world.step(&format!("{who} write a wait 60000"));
    }
    let mut served = Vec::new();
    for who in ["alice", "bob", "carol", "dave"] {
        served.push(world.step(&format!("{who} release a")));
    }
    let order = ["bob", "carol", "dave", "erin"].map(|who| format!("a free, {who} has write a"));
    assert_eq!(served, order);
}

#[test]
fn control_characters_of_a_reason_reach_the_other_agent() {
    let mut world = World::new();
    for reason in ["\u{1b}[2J", "a\nb", "\u{7}", "\u{9b}31m", "\u{1b}]0;x\u{7}"] {
        let body = json!({ "paths": ["a"], "mode": "write", "reason": reason });
        let code = world.send("alice", "lock.acquire", body).unwrap_err().code;
        assert_eq!(code.as_str(), "BAD_REQUEST", "{reason:?}");
    }
}

#[test]
fn an_unknown_peer_may_lock() {
    let mut world = World::new();
    assert_eq!(world.step("nobody write a"), "AGENT_NOT_REGISTERED");
}

#[test]
fn a_broken_lease_is_told_to_nobody() {
    let mut world = World::new();
    world.step("codex write a/b");
    let lease = world.lease_of("codex", "a/b");
    world.step("alice break codex a/b");
    let Event::LockBroken(broken) = &world.records.last().unwrap().events[0] else { panic!() };
    assert_eq!(broken.actor.as_ref().unwrap().as_str(), "codex");
    assert_eq!(broken.path.as_ref().unwrap().to_string(), "a/b");
    assert_eq!((broken.by.as_str(), broken.reason.as_str()), ("alice", "stuck"));
    assert_eq!(world.step(&format!("codex give {lease}")), "LEASE_EXPIRED", "its token is stale");
    let silent = json!({ "lease": lease, "reason": " " });
    assert_eq!(world.send("bob", "lock.break", silent).unwrap_err().code.as_str(), "BAD_REQUEST");
}

#[test]
fn readers_starve_a_conversion() {
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice convert a write wait 60000", "alice waits"),
        ("carol read a", "LOCK_CONFLICT"),
        ("dave read a/deep/er wait 60000", "dave waits"),
        ("bob release a", "a free, a is write anew"),
        ("alice release a", "a free, dave has read a/deep/er"),
    ]);
}
