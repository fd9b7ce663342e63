//! Waiting: the order of the queue, who may go past whom, and circles.

use devmesh_protocol::{Event, Mode, RepoPath};

use crate::decide::lock::{grant_for_award, touch_set_free};
use crate::invariant::world::{World, actor, check, session, story};
use crate::state::lease::Holder;

#[test]
fn who_waits_is_granted_in_order() {
    story(&[
        ("alice write a", "alice has write a"),
        ("bob write a wait 5000", "bob waits"),
        ("carol write a wait 5000", "carol waits"),
        ("dave write a", "LOCK_CONFLICT"),
        ("alice release a", "a free, bob has write a"),
        ("bob release a", "a free, carol has write a"),
        ("carol release a", "a free"),
    ]);
}

#[test]
fn a_reader_does_not_overtake_a_waiting_writer() {
    story(&[
        ("alice read a", "alice has read a"),
        ("bob write a wait 5000", "bob waits"),
        ("carol read a", "LOCK_CONFLICT"),
        ("carol read a wait 5000", "carol waits"),
        ("dave read a/b wait 5000", "dave waits"),
        ("alice release a", "a free, bob has write a"),
        ("bob release a", "a free, carol has read a, dave has read a/b"),
    ]);
}

#[test]
fn who_is_in_nobodys_way_need_not_wait() {
    story(&[
        ("alice write a", "alice has write a"),
        ("bob write a wait 5000", "bob waits"),
        ("carol write b", "carol has write b"),
        ("carol read c wait 5000", "carol has read c"),
    ]);
    story(&[
        ("alice write a", "alice has write a"),
        ("bob read a wait 5000", "bob waits"),
        ("carol read a wait 5000", "carol waits"),
        ("alice release a", "a free, bob has read a, carol has read a"),
    ]);
}

#[test]
fn a_request_of_many_paths_waits_for_all_and_holds_none() {
    story(&[
        ("alice write b", "alice has write b"),
        ("bob write a b c wait 5000", "bob waits"),
        // Nothing of a waiting request is held, but its place in the queue is.
        ("carol write a", "LOCK_CONFLICT"),
        ("carol write a wait 5000", "carol waits"),
        ("alice release b", "b free, bob has write a, bob has write b, bob has write c"),
        ("bob release a", "a free, carol has write a"),
        ("bob release b c", "b free, c free"),
    ]);
}

/// X holds a; W waits for a and b; X asks for the free b. Behind W it would wait for itself.
#[test]
fn a_free_path_is_no_deadlock() {
    story(&[
        ("alice write a", "alice has write a"),
        ("bob write a b wait 5000", "bob waits"),
        ("carol write b", "LOCK_CONFLICT"),
        ("alice write b", "alice has write b"),
        ("alice release a", "a free"),
        ("alice release b", "b free, bob has write a, bob has write b"),
    ]);
}

#[test]
fn a_free_path_is_no_deadlock_over_two() {
    // carol waits for alice, bob waits for carol: alice goes past bob.
    story(&[
        ("alice write a", "alice has write a"),
        ("carol write c", "carol has write c"),
        ("carol write a wait 5000", "carol waits"),
        ("bob write c d wait 5000", "bob waits"),
        ("alice write d", "alice has write d"),
        ("dave write d", "LOCK_CONFLICT"),
        ("alice release a", "a free, carol has write a"),
        ("carol release c", "c free"),
        ("alice release d", "d free, bob has write c, bob has write d"),
    ]);
}

/// Both are free paths, both of whose queues are closed by the other: over leases alone nobody
/// waits in a circle, over the queue they would.
#[test]
fn the_order_of_two_queues_makes_no_circle() {
    story(&[
        ("alice write x", "alice has write x"),
        ("bob write y", "bob has write y"),
        ("carol write x p wait 9000", "carol waits"),
        ("dave write y q wait 9000", "dave waits"),
        // alice asks for q behind dave, who waits for bob.
        ("alice write q wait 9000", "alice waits"),
        // bob asks for p behind carol, who waits for alice, who is behind dave, who waits for
        // bob: he goes past carol.
        ("bob write p", "bob has write p"),
        ("bob release y", "y free, dave has write y, dave has write q"),
        ("dave release q", "q free, alice has write q"),
        ("alice release x", "x free"),
        ("bob release p", "p free, carol has write x, carol has write p"),
    ]);
}

#[test]
fn a_circle_of_waits_is_refused_and_named() {
    let mut world = story(&[
        ("alice write a", "alice has write a"),
        ("bob write b", "bob has write b"),
        ("carol write c", "carol has write c"),
        ("alice write b wait 5000", "alice waits"),
        ("bob write c wait 5000", "bob waits"),
        ("carol write a wait 5000", "LOCK_DEADLOCK"),
        ("carol write a", "LOCK_CONFLICT"),
        ("carol write d wait 5000", "carol has write d"),
    ]);
    let body = serde_json::json!({ "paths": ["a"], "mode": "write", "wait_ms": 5000 });
    let refused = world.send("carol", "lock.acquire", body).unwrap_err();
    assert_eq!(refused.details["cycle"], serde_json::json!(["carol", "alice", "bob", "carol"]));
    assert_eq!(world.step("carol release c"), "c free, bob has write c");
}

#[test]
fn a_circle_within_one_request_is_seen() {
    story(&[
        ("alice write a", "alice has write a"),
        ("bob write b", "bob has write b"),
        ("alice write b c wait 5000", "alice waits"),
        ("bob write d a wait 5000", "LOCK_DEADLOCK"),
    ]);
}

#[test]
fn agents_are_told_of_circles_too() {
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write b", "claude has write b"),
        ("codex write b wait 5000", "codex waits"),
        ("claude write a wait 5000", "LOCK_DEADLOCK"),
        ("claude release b", "b free, codex has write b"),
    ]);
}

#[test]
fn a_stronger_mode_comes_before_newcomers() {
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice convert a write", "LOCK_CONFLICT"),
        ("carol write a wait 9000", "carol waits"),
        ("alice convert a write wait 9000", "alice waits"),
        // The pending conversion counts as a write.
        ("dave read a", "LOCK_CONFLICT"),
        ("dave read a wait 9000", "dave waits"),
        ("bob release a", "a free, a is write anew"),
        ("alice release a", "a free, carol has write a"),
        ("carol release a", "a free, dave has read a"),
    ]);
}

#[test]
fn asking_for_more_on_the_same_path_is_a_conversion() {
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice write a wait 9000", "alice waits"),
        ("carol read a", "LOCK_CONFLICT"),
        ("bob release a", "a free, a is write anew"),
    ]);
    // Among other paths it waits in the queue like any.
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice write a b wait 9000", "alice waits"),
        ("bob release a", "a free, a is write anew, alice has write b"),
    ]);
    // And it ends with the lease, as a conversion does.
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice write a wait 9000", "alice waits"),
        ("alice release a", "alice ended, a free"),
        ("bob release a", "a free"),
    ]);
}

#[test]
fn two_who_want_more_of_one_path_would_wait_for_ever() {
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice convert a write wait 9000", "alice waits"),
        ("bob convert a write wait 9000", "LOCK_DEADLOCK"),
        ("bob write a wait 9000", "LOCK_DEADLOCK"),
        ("bob convert a write", "LOCK_CONFLICT"),
        ("bob release a", "a free, a is write anew"),
    ]);
}

#[test]
fn a_weaker_mode_is_given_at_once() {
    story(&[
        ("alice write a", "alice has write a"),
        ("bob read a wait 9000", "bob waits"),
        ("alice convert a co_write", "a is co_write, bob has read a"),
        ("carol co_write a", "carol has co_write a"),
        ("alice convert a co_write", "nothing"),
        ("alice convert a read", "a is read"),
        ("alice convert a write", "LOCK_CONFLICT"),
        ("alice convert a intent", "LOCK_CONFLICT"),
    ]);
}

#[test]
fn tokens_rise_with_what_they_allow() {
    let mut world = World::new();
    world.step("alice write a");
    let first = world.lease_of("alice", "a");
    world.step("alice convert a read");
    assert_eq!(world.lease_of("alice", "a"), first, "a weaker mode keeps the token");
    world.step("bob write b");
    let other = world.lease_of("bob", "b");
    world.step("alice convert a write");
    assert!(world.lease_of("alice", "a") > other, "a stronger one is a new token");
    assert_eq!(world.step(&format!("alice give {first}")), "LEASE_EXPIRED");
    // Never before a wait: the token is of the grant.
    world.step("carol write a wait 9000 id w");
    world.step("dave write d");
    let later = world.lease_of("dave", "d");
    world.step("alice release a");
    assert!(world.lease_of("carol", "a") > later);
}

#[test]
fn a_wait_can_be_withdrawn() {
    story(&[
        ("alice write a", "alice has write a"),
        ("bob write a wait 9000 id w1", "bob waits"),
        ("carol read a wait 9000 id w1", "carol waits"),
        ("dave withdraw w1", "nothing"),
        ("bob withdraw w1", "bob asked"),
        ("bob withdraw w1", "nothing"),
        ("alice release a", "a free, carol has read a"),
        // What was granted meanwhile is given back.
        ("carol withdraw w1", "a free"),
        ("carol withdraw w1", "nothing"),
        ("bob write a b id w2", "bob has write a, bob has write b"),
        ("alice withdraw w2", "nothing"),
        ("bob withdraw w2", "a free, b free"),
    ]);
}

#[test]
fn who_withdraws_lets_those_behind_go() {
    story(&[
        ("alice read a", "alice has read a"),
        ("bob write a wait 9000 id w", "bob waits"),
        ("carol read a wait 9000", "carol waits"),
        ("dave read a wait 9000", "dave waits"),
        ("bob withdraw w", "bob asked, carol has read a, dave has read a"),
    ]);
}

#[test]
fn a_conversion_ends_with_its_lease() {
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice convert a write wait 9000 id w", "alice waits"),
        ("alice release a", "alice ended, a free"),
        ("carol read a", "carol has read a"),
    ]);
    story(&[
        ("alice read a", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice convert a write wait 9000 id w", "alice waits"),
        ("bob break alice a", "alice ended, a broken"),
    ]);
    story(&[
        ("alice read a id g", "alice has read a"),
        ("bob read a", "bob has read a"),
        ("alice convert a write wait 9000 id w", "alice waits"),
        ("alice withdraw w g", "alice ended, a free"),
    ]);
}

#[test]
fn a_wait_ends_at_its_deadline() {
    story(&[
        ("alice write a", "alice has write a"),
        ("bob write a wait 500", "bob waits"),
        ("carol write a wait 9000", "carol waits"),
        ("after 499", "nothing"),
        ("after 1", "bob timedout"),
        ("alice release a", "a free, carol has write a"),
        ("after 60000", "nothing"),
    ]);
}

#[test]
fn waiters_are_passed_sixteen_times_and_then_no_more() {
    let mut world = World::new();
    world.step("alice write a");
    world.step("bob write a b wait 3600000 id w");
    for n in 1..=16 {
        assert_eq!(world.step("alice write b"), "alice has write b", "pass {n}");
        assert_eq!(world.step("alice release b"), "b free");
    }
    assert_eq!(world.step("alice write b"), "LOCK_CONFLICT");
    assert_eq!(world.step("alice write b wait 5000"), "LOCK_DEADLOCK");
    assert_eq!(world.step("alice release a"), "a free, bob has write a, bob has write b");
}

#[test]
fn what_passes_with_many_paths_passes_once() {
    let mut world = World::new();
    world.step("alice write a");
    world.step("bob write a b wait 3600000 id w");
    world.step("alice write b/1 b/2 b/3");
    let bypasses: Vec<u32> = world.state.waiters.values().map(|waiter| waiter.bypasses).collect();
    assert_eq!(bypasses, [1]);
}

/// A conversion goes before all who wait, and counts as going past them; what becomes weaker is
/// in nobody's way.
#[test]
fn a_stronger_mode_passes_and_a_weaker_one_does_not() {
    let bypasses = |world: &World| world.state.waiters.values().next().unwrap().bypasses;
    let mut world = World::new();
    world.step("alice read a");
    assert_eq!(world.step("bob write a wait 60000"), "bob waits");
    assert_eq!(world.step("alice convert a write"), "a is write anew");
    assert_eq!(bypasses(&world), 1);
    assert_eq!(world.step("alice convert a read"), "a is read");
    assert_eq!(bypasses(&world), 1);
    world.check_replay();
}

/// Whoever waits for an attempt is passed by it without an end: it goes on at the latest when the
/// attempt is over, and the attempt is not held up for it.
#[test]
fn an_attempt_passes_who_waits_for_it() {
    let mut world = World::new();
    world.attempt(1, "codex", serde_json::json!({}));
    world.step("codex write a task t-1");
    assert_eq!(world.step("alice write a b wait 3600000"), "alice waits");
    for n in 1..=18 {
        assert_eq!(world.step("codex write b task t-1"), "codex has write b", "pass {n}");
        assert_eq!(world.step("codex release b"), "b free");
    }
    let came = world.step("codex release task t-1");
    assert_eq!(came, "a free, alice has write a, alice has write b");
    world.check_replay();
}

#[test]
fn grants_come_sixty_four_to_a_record() {
    let mut world = World::new();
    world.step("alice write a");
    for n in 0..200 {
        assert_eq!(world.step(&format!("bob read a/{n} wait 9000 session s{n}")), "bob waits");
    }
    let before = world.records.len();
    world.step("alice release a");
    let sizes: Vec<usize> = world.records[before..].iter().map(|r| r.events.len()).collect();
    assert_eq!(sizes, [1, 64, 64, 64, 8]);
    let granted: Vec<_> = world.records[before + 1..].iter().flat_map(|r| &r.events).collect();
    let tokens: Vec<_> = world.state.leases.keys().collect();
    assert_eq!(granted.len(), tokens.len(), "each its own token");
}

#[test]
fn writers_of_one_path_come_one_by_one() {
    check(
        &[
            "alice write a",
            "bob write a wait 900",
            "carol write a wait 900",
            "dave write b wait 900",
        ],
        "alice release a",
        "a free, bob has write a",
    );
}

/// Two requests of one holder: what it waits for elsewhere must not be waited for by whom it
/// would shut out.
#[test]
fn a_grant_closes_no_circle() {
    story(&[
        ("alice write z", "alice has write z"),
        ("bob write b", "bob has write b"),
        // carol waits twice: for z, which is alice's, and for b, which is bob's.
        ("carol write z wait 9000", "carol waits"),
        ("carol write b wait 9000", "carol waits"),
        // bob asks for z behind carol, who waits for him: he goes past her.
        ("bob write z wait 9000", "bob waits"),
        ("alice release z", "z free, bob has write z"),
        ("bob release b z", "b free, z free, carol has write z, carol has write b"),
    ]);
}

/// A conversion stands before all, so that whoever waits for what it will keep from them waits
/// for its holder, and for whom that one waits for.
#[test]
fn who_waits_for_a_conversion_is_passed_by_whom_it_waits_for() {
    story(&[
        ("erin write z", "erin has write z"),
        ("carol read a", "carol has read a"),
        ("dave read a", "dave has read a"),
        ("bob read a y z wait 9000", "bob waits"),
        ("dave write y wait 9000", "dave waits"),
        // bob waits for carol now, who waits for dave, who is behind bob.
        ("carol convert a write wait 9000", "carol waits, dave has write y"),
        ("dave release a y", "a free, y free, a is write anew"),
        ("erin release z", "z free"),
        ("carol release a", "a free, bob has read a, bob has read y, bob has read z"),
    ]);
    story(&[
        ("erin write z", "erin has write z"),
        ("carol read a", "carol has read a"),
        ("bob read a y z wait 9000", "bob waits"),
        ("carol write y wait 9000", "carol waits"),
        ("carol convert a write", "a is write anew, carol has write y"),
    ]);
}

#[test]
fn a_touch_set_comes_with_the_award_or_there_is_none() {
    let mut world = World::new();
    let repo = devmesh_protocol::RepoId::new("r").unwrap();
    let paths = |paths: &[&str]| -> Vec<RepoPath> {
        paths.iter().map(|path| RepoPath::new(path).unwrap()).collect()
    };
    let holder = Holder {
        actor: actor("codex"),
        session: Some(session("codex")),
        task: Some(devmesh_protocol::TaskId(1)),
    };
    let award = |world: &World, set: &[&str], mode: Mode| {
        let set = paths(set);
        let free = touch_set_free(&world.state, None, &repo, &set, mode);
        let events = grant_for_award(&world.state, &holder, &repo, &set, mode, 3);
        assert_eq!(events.is_some(), free, "what is free can be granted");
        events.map(|events| {
            let index = |event: &Event| {
                let Event::LockGranted(e) = event else { panic!("{event:?} is no grant") };
                (e.index, e.path.to_string())
            };
            events.iter().map(index).collect::<Vec<_>>()
        })
    };
    let named = |names: &[(u32, &str)]| {
        Some(names.iter().map(|(index, path)| (*index, (*path).to_owned())).collect::<Vec<_>>())
    };
    assert_eq!(award(&world, &["b", "a", "a/x"], Mode::Intent), named(&[(3, "b"), (4, "a")]));
    assert_eq!(award(&world, &[], Mode::Intent), named(&[]));
    world.step("alice read a");
    assert_eq!(award(&world, &["a"], Mode::Intent), named(&[(3, "a")]), "readers do not mind");
    world.step("bob co_write b/c");
    assert_eq!(award(&world, &["a", "b"], Mode::Intent), None);
    assert_eq!(award(&world, &["a", "b"], Mode::CoWrite), named(&[(3, "a"), (4, "b")]));
    world.step("carol write a/b wait 9000");
    assert_eq!(award(&world, &["a"], Mode::Intent), None, "somebody waits for it");
    assert_eq!(award(&world, &["a/c"], Mode::Intent), named(&[(3, "a/c")]));
}

/// Whoever would pass several is held up by the one that was passed too often.
#[test]
fn one_who_was_passed_too_often_is_enough() {
    for passed in ["b", "c"] {
        let mut world = World::new();
        world.step("alice write a");
        assert_eq!(world.step("bob write a b wait 3600000"), "bob waits");
        assert_eq!(world.step("carol write a/x c wait 3600000"), "carol waits");
        for _ in 0..16 {
            world.step(&format!("alice write {passed}"));
            world.step(&format!("alice release {passed}"));
        }
        assert_eq!(world.step("alice write b c"), "LOCK_CONFLICT", "{passed}");
        let other = if passed == "b" { "c" } else { "b" };
        assert_eq!(world.step(&format!("alice write {other}")), format!("alice has write {other}"));
    }
}
