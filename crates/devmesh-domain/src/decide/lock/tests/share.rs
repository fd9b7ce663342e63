//! Sharing: what an attempt waits for it gets together with the holder, after a while.

use serde_json::json;

use crate::invariant::world::{World, actor};
use devmesh_protocol::{Event, TaskId};

/// Codex works on t-1, claude on t-2, gemini on t-3.
fn working() -> World {
    let mut world = World::new();
    for (n, who) in [(1, "codex"), (2, "claude"), (3, "gemini")] {
        world.attempt(n, who, json!({}));
    }
    world
}

/// A story in which each of the three asks for its own task.
fn story(steps: &[(&str, &str)]) -> World {
    let mut world = working();
    for (step, expect) in steps {
        assert_eq!(world.step(&own(step)), *expect, "{step}, in {steps:#?}");
    }
    world.check_replay();
    world
}

/// `codex write a` asks for t-1.
fn own(step: &str) -> String {
    let task = match step.split_whitespace().next() {
        Some("codex") => " task t-1",
        Some("claude") => " task t-2",
        Some("gemini") => " task t-3",
        _ => "",
    };
    let asks = ["write", "co_write", "intent", "read"].contains(&step.split(' ').nth(1).unwrap());
    if asks { format!("{step}{task}") } else { step.to_owned() }
}

#[test]
fn a_late_path_is_shared_after_the_wait() {
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write a wait 60000", "claude waits"),
        ("after 29999", "nothing"),
        ("after 1", "claude shares, a of codex shared, claude has co_write a"),
        // Both have it, and neither alone.
        ("codex co_write a", "nothing"),
        ("codex write a wait 60000", "nothing"),
        ("claude write a wait 60000", "nothing"),
        ("after 3600000", "nothing"),
    ]);
}

/// The agents wait just as long as the wait for sharing takes.
#[test]
fn sharing_comes_before_the_end_of_the_wait() {
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write a wait 30000", "claude waits"),
        ("gemini write a wait 29999", "gemini waits"),
        ("after 30000", "gemini timedout, claude shares, a of codex shared, claude has co_write a"),
    ]);
}

#[test]
fn both_are_told_in_one_record() {
    let mut world = story(&[
        ("codex intent src/", "codex has intent src/"),
        ("claude write src/a/b wait 60000 id w", "claude waits"),
    ]);
    let lease = world.lease_of("codex", "src");
    world.step("after 30000");
    let record = world.records.last().unwrap();
    let [Event::LeaseShared(shared), Event::LockGranted(granted)] = &record.events[..] else {
        panic!("{:#?}", record.events);
    };
    assert_eq!(
        (&shared.lease, shared.actor.as_str(), shared.task),
        (&lease, "codex", Some(TaskId(1)))
    );
    assert_eq!((shared.with.as_str(), shared.with_task), ("claude", Some(TaskId(2))));
    assert_eq!(shared.to, granted.mode);
    assert_eq!(world.lease_of("codex", "src"), lease, "its token stays");
    let answers = crate::answer::answers(&world.state, record);
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    let reply = serde_json::to_value(&answer.reply).unwrap();
    assert_eq!(reply["result"]["leases"][0]["mode"], "co_write");
    assert_eq!(reply["result"]["shared"][0]["actor"], "codex");
    assert_eq!(reply["result"]["shared"][0]["path"], "src/");
}

#[test]
fn a_wait_that_would_close_a_circle_is_none() {
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write b", "claude has write b"),
        ("codex write b wait 60000", "codex waits"),
        ("claude write a wait 60000", "a of codex shared, claude has co_write a"),
        ("after 30000", "codex shares, b of claude shared, codex has co_write b"),
    ]);
    // Over three.
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write b", "claude has write b"),
        ("gemini write c", "gemini has write c"),
        ("codex write b wait 60000", "codex waits"),
        ("claude write c wait 60000", "claude waits"),
        (
            "gemini write d a wait 60000",
            "a of codex shared, gemini has co_write d, gemini has co_write a",
        ),
    ]);
}

/// A person's lease is theirs; only where else nobody could go on is it shared.
#[test]
fn an_attempt_is_never_refused_for_a_circle() {
    story(&[
        ("alice write a", "alice has write a"),
        ("codex write b", "codex has write b"),
        ("alice write b wait 3600000", "alice waits"),
        ("codex write a wait 60000", "a of alice shared, codex has co_write a"),
    ]);
    // And a person's request that would close one is refused.
    story(&[
        ("codex write a", "codex has write a"),
        ("alice write b", "alice has write b"),
        ("codex write b wait 3600000", "codex waits"),
        ("alice write a wait 3600000", "LOCK_DEADLOCK"),
    ]);
}

#[test]
fn who_says_never_shares_never() {
    story(&[
        ("codex write a share never", "codex has write a"),
        ("claude write a wait 60000", "claude waits"),
        ("after 30000", "claude shares"),
        ("after 30000", "claude timedout"),
    ]);
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write a wait 60000 share never", "claude waits"),
        ("after 59999", "nothing"),
        ("after 1", "claude timedout"),
    ]);
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write b", "claude has write b"),
        ("codex write b wait 60000", "codex waits"),
        ("claude write a wait 60000 share never", "LOCK_DEADLOCK"),
    ]);
    story(&[
        ("codex write a share never", "codex has write a"),
        ("claude write b", "claude has write b"),
        ("codex write b wait 60000", "codex waits"),
        ("claude write a wait 60000", "LOCK_DEADLOCK"),
    ]);
}

#[test]
fn a_persons_lease_is_waited_for() {
    story(&[
        ("alice write a ttl 100000", "alice has write a"),
        ("codex write a b wait 3600000", "codex waits"),
        ("claude write b", "LOCK_CONFLICT"),
        ("after 30000", "codex shares"),
        ("after 69999", "nothing"),
        ("after 1", "a over, codex has co_write a, codex has co_write b"),
    ]);
    // What an agent of it holds meanwhile is no obstacle any more.
    story(&[
        ("alice write a", "alice has write a"),
        ("claude write b", "claude has write b"),
        ("codex write a b wait 3600000", "codex waits"),
        ("after 30000", "codex shares"),
        (
            "alice release a",
            "a free, b of claude shared, codex has co_write a, codex has co_write b",
        ),
    ]);
}

#[test]
fn a_persons_request_is_not_shared() {
    story(&[
        ("codex write a", "codex has write a"),
        ("alice write a wait 3600000", "alice waits"),
        ("after 3599999", "nothing"),
        ("after 1", "alice timedout"),
        // Nor is an agent's that is for no task.
        ("dave write x", "dave has write x"),
        ("after 1800000", "x over"),
    ]);
    let mut world = working();
    assert_eq!(world.step("codex write a"), "codex has write a");
    assert_eq!(world.step("claude write a wait 60000"), "claude waits");
    assert_eq!(world.step("after 60000"), "claude timedout");
}

/// A person who waits for the holder anyway loses nothing by another who shares; but not often.
#[test]
fn sharing_goes_past_who_waits_for_the_holder() {
    story(&[
        ("codex write a", "codex has write a"),
        ("alice write a wait 3600000", "alice waits"),
        ("claude write a wait 60000", "claude waits"),
        ("after 30000", "claude shares, a of codex shared, claude has co_write a"),
        ("codex release a", "a free"),
        ("claude release a", "a free, alice has write a"),
    ]);
    let mut world = working();
    world.step(&own("codex write a"));
    world.step("alice write a wait 3600000");
    for n in 1..=16 {
        world.step(&own("claude write a wait 60000"));
        let came = world.step("after 30000");
        assert!(came.ends_with("claude has co_write a"), "pass {n}: {came}");
        assert_eq!(world.step("claude release a"), "a free");
    }
    assert_eq!(world.step(&own("claude write a wait 60000")), "claude waits");
    assert_eq!(world.step("after 30000"), "claude shares", "the person is a barrier now");
    assert_eq!(world.step("after 30000"), "claude timedout");
    assert_eq!(world.step("codex release a"), "a free, alice has write a");
    world.check_replay();
}

#[test]
fn hot_files_are_shared_at_once() {
    story(&[
        ("codex write Cargo.lock", "codex has write Cargo.lock"),
        ("claude write Cargo.lock", "Cargo.lock of codex shared, claude has co_write Cargo.lock"),
        (
            "gemini write web/package-lock.json Cargo.lock",
            "gemini has co_write web/package-lock.json, gemini has co_write Cargo.lock",
        ),
        ("alice write Cargo.lock", "LOCK_CONFLICT"),
    ]);
    // All that is waited for must be hot.
    story(&[
        ("codex write Cargo.lock a", "codex has write Cargo.lock, codex has write a"),
        ("claude write Cargo.lock a", "LOCK_CONFLICT"),
        (
            "claude write Cargo.lock b",
            "Cargo.lock of codex shared, claude has co_write Cargo.lock, claude has co_write b",
        ),
    ]);
    story(&[
        ("alice write Cargo.lock", "alice has write Cargo.lock"),
        ("claude write Cargo.lock", "LOCK_CONFLICT"),
        ("claude write Cargo.lock wait 60000", "claude waits"),
        ("alice release Cargo.lock", "Cargo.lock free, claude has co_write Cargo.lock"),
    ]);
}

#[test]
fn the_wait_can_be_set() {
    let mut world = working();
    let set = |world: &mut World, ms: u64| {
        let body = json!({ "key": "share_after_ms", "value": ms });
        world.send("alice", "setting.set", body).unwrap();
    };
    set(&mut world, 100);
    world.step(&own("codex write a"));
    assert_eq!(world.step(&own("claude write a wait 5000")), "claude waits");
    assert!(world.step("after 100").ends_with("claude has co_write a"));
    set(&mut world, 0);
    world.step(&own("codex write b"));
    assert_eq!(world.step(&own("gemini write b")), "b of codex shared, gemini has co_write b");
    set(&mut world, 6_000);
    world.step(&own("codex write c"));
    assert_eq!(world.step(&own("claude write c wait 5000")), "claude waits");
    assert_eq!(world.step("after 5000"), "claude timedout", "it never waited long enough");
    world.check_replay();
}

#[test]
fn readers_share_what_is_written() {
    story(&[
        ("codex write a", "codex has write a"),
        ("claude read a wait 60000", "claude waits"),
        ("after 30000", "claude shares, a of codex shared, claude has read a"),
    ]);
    // A reader is no obstacle to writing together.
    story(&[
        ("codex read a", "codex has read a"),
        ("claude write a wait 60000", "claude waits"),
        ("after 30000", "claude shares, claude has co_write a"),
    ]);
}

#[test]
fn a_stronger_mode_is_shared_too() {
    story(&[
        ("codex read a", "codex has read a"),
        ("claude read a", "claude has read a"),
        ("codex convert a write wait 60000", "codex waits"),
        ("after 30000", "codex shares, a is co_write anew"),
        ("codex convert a write wait 60000", "nothing"),
        ("claude convert a write wait 60000", "claude waits"),
        ("after 30000", "claude shares, a is co_write anew"),
    ]);
    // What waits to become stronger, and is shared meanwhile, is that already.
    story(&[
        ("codex intent a", "codex has intent a"),
        ("alice read a", "alice has read a"),
        ("claude co_write a wait 60000", "claude waits"),
        ("after 1000", "nothing"),
        ("codex convert a write wait 60000", "codex waits"),
        ("after 29000", "claude shares, a of codex shared, claude has co_write a"),
        ("after 1000", "codex shares, a is co_write"),
    ]);
}

#[test]
fn a_formatter_is_one_event() {
    let mut world = working();
    world.step(&own("codex write f/7"));
    let paths: Vec<String> = (0..51).map(|n| format!("f/{n}")).collect();
    let came = world.step(&own(&format!("claude write {}", paths.join(" "))));
    assert!(came.starts_with("t-2 wide, f/7 of codex shared, claude has co_write f/0"), "{came}");
    let Event::WideWrite(wide) = &world.records.last().unwrap().events[0] else { panic!("{came}") };
    assert_eq!((wide.paths, wide.shared, wide.task), (51, 1, TaskId(2)));
    // What is nobody's is written alone.
    let paths: Vec<String> = (0..51).map(|n| format!("g/{n}")).collect();
    let came = world.step(&own(&format!("claude write {}", paths.join(" "))));
    assert!(came.starts_with("t-2 wide, claude has write g/0"), "{came}");
    assert_eq!(world.step(&own(&format!("claude write {}", paths.join(" ")))), "nothing");
    // Fifty are late paths like others; a person's many are a person's.
    let paths: Vec<String> = (0..50).map(|n| format!("h/{n}")).collect();
    let came = world.step(&own(&format!("claude write {}", paths.join(" "))));
    assert!(came.starts_with("claude has write h/0"), "{came}");
    let paths: Vec<String> = (0..60).map(|n| format!("i/{n}")).collect();
    let came = world.step(&format!("alice write {}", paths.join(" ")));
    assert!(came.starts_with("alice has write i/0"), "{came}");
    world.check_replay();
}

/// Thousands of leases under one path are shared record by record, and then it is granted.
#[test]
fn many_leases_are_shared_in_parts() {
    let mut world = working();
    for n in 0..300 {
        world.step(&own(&format!("codex write src/{n}")));
    }
    assert_eq!(world.step(&own("claude write src wait 60000")), "claude waits");
    let before = world.records.len();
    world.step("after 30000");
    let sizes: Vec<usize> = world.records[before..].iter().map(|r| r.events.len()).collect();
    assert_eq!(sizes, [1, 96, 96, 96, 13]);
    assert_eq!(world.lease_of("claude", "src").seq, world.state.seq);
    world.check_replay();
}

#[test]
fn a_new_term_gives_time_before_sharing() {
    let mut world = working();
    world.step(&own("codex write a"));
    world.step(&own("claude write a wait 60000"));
    let start = world.at;
    world.at = start + 50_000;
    let event = devmesh_protocol::event::mesh::EpochStarted {
        epoch: 1,
        node: "n".to_owned(),
        nonce: 1,
        hash: world.state.hash(),
        format: 1,
    };
    world.happened(vec![event.into()]);
    assert_eq!(world.step("after 19999"), "nothing");
    assert!(world.step("after 1").ends_with("claude has co_write a"));
    world.check_replay();
}

/// Whoever shares with one attempt gets its own lease back when that one ends: nothing is left.
#[test]
fn what_was_shared_ends_with_its_attempts() {
    let mut world = working();
    world.step(&own("codex write a"));
    world.step(&own("claude write a wait 60000"));
    world.step("after 30000");
    world
        .send(
            "codex",
            "task.abandon",
            json!({
                "task": "t-1", "attempt": 1, "token": world.token(1), "reason": "no",
            }),
        )
        .unwrap();
    let left: Vec<_> = world.state.leases.values().map(|lease| &lease.holder.actor).collect();
    assert_eq!(left, [&actor("claude")]);
    world.check_replay();
}

/// Who is passed by sharing waits for one more holder, whose other requests may pass it then.
#[test]
fn what_sharing_passes_lets_the_sharer_pass_again() {
    story(&[
        ("alice co_write a", "alice has co_write a"),
        ("bob intent a wait 3600000", "bob waits"),
        ("codex intent a wait 3600000", "codex waits"),
        ("after 10000", "nothing"),
        ("codex co_write a wait 3600000", "codex waits"),
        ("after 20000", "codex shares, codex has co_write a, codex has co_write a"),
    ]);
    story(&[
        ("alice read e", "alice has read e"),
        ("claude read a", "claude has read a"),
        ("bob write e wait 500", "bob waits"),
        ("codex read a/d", "codex has read a/d"),
        ("codex convert a/d write wait 500", "codex waits"),
        ("claude read e wait 500", "claude waits"),
        (
            "claude write a/d e wait 500",
            "claude has co_write a/d, claude has co_write e, claude has read e",
        ),
    ]);
}

/// What is shared with the asker already is not in its way once more.
#[test]
fn what_is_shared_already_holds_nothing_else_up() {
    story(&[
        ("codex write Cargo.lock", "codex has write Cargo.lock"),
        ("claude write Cargo.lock", "Cargo.lock of codex shared, claude has co_write Cargo.lock"),
        ("claude write Cargo.lock b", "claude has write b"),
        ("gemini write c", "gemini has write c"),
        ("claude write Cargo.lock c", "LOCK_CONFLICT"),
    ]);
}

/// Who does not wait closes no circle, and is told who is in its way.
#[test]
fn who_does_not_wait_is_refused_rather_than_shared_with() {
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write b", "claude has write b"),
        ("codex write b wait 60000", "codex waits"),
        ("claude write a", "LOCK_CONFLICT"),
        ("claude write a wait 1000", "a of codex shared, claude has co_write a"),
    ]);
}

/// Whoever shares goes past a waiter from the moment that a lease holds that one up.
#[test]
fn sharing_goes_past_who_comes_to_be_held_up() {
    story(&[
        ("alice write v", "alice has write v"),
        ("bob write v w wait 3600000", "bob waits"),
        ("carol write w s wait 3600000", "carol waits"),
        ("codex write s wait 60000", "codex waits"),
        ("after 30000", "codex shares"),
        ("alice release v", "v free, bob has write v, bob has write w, codex has co_write s"),
    ]);
}
