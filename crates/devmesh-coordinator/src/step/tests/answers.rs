//! Answers: never before their record, once for ever, and proven where they rest on state alone.

use devmesh_bus::log::memory::Fault;
use serde_json::json;

use crate::fixture::World;

fn id(n: u32) -> String {
    format!("0190a000-0000-7000-8000-{n:012}")
}

/// An id that was minted then.
fn uuid(ms: u64) -> String {
    format!("{:08x}-{:04x}-7000-8000-000000000000", ms >> 16, ms & 0xffff)
}

#[test]
fn an_answer_leaves_when_its_record_is_acknowledged_and_not_before() {
    let mut world = World::led();
    world.furnish();
    world.script([Fault::Delay]);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v", "id": id(1) }));
    world.pass(300);
    assert!(world.answered("a").is_none());
    assert_eq!(world.open.release(), 1);
    world.pass(10);
    assert_eq!(world.answered("a").unwrap()["ok"], true);
    world.check();
}

#[test]
fn what_is_decided_during_an_append_is_one_batch() {
    let mut world = World::led();
    world.furnish();
    let before = world.open.entries().len();
    world.script([Fault::Delay]);
    for n in 0..50 {
        let body = json!({ "paths": [format!("src/{n}.rs")], "mode": "write", "id": id(n) });
        world.send(0, &format!("c{n}"), "alice", "lock.acquire", body);
        world.work();
    }
    world.open.release();
    world.pass(20);
    assert_eq!(world.open.entries().len(), before + 2);
    assert!((0..50).all(|n| world.answered(&format!("c{n}")).unwrap()["ok"] == true));
    world.check();
}

#[test]
fn a_batch_waits_for_most_of_those_in_play_and_not_for_long() {
    let mut world = World::led();
    world.furnish();
    let send = |world: &mut World, n: u32| {
        let body = json!({ "paths": [format!("src/{n}.rs")], "mode": "write", "id": id(n) });
        world.send(0, &format!("c{n}"), "alice", "lock.acquire", body);
        world.work();
    };
    world.script([Fault::Delay, Fault::Delay]);
    (0..9).for_each(|n| send(&mut world, n));
    world.open.release();
    world.work();
    world.open.release();
    world.work();
    assert_eq!(world.answered("c8").unwrap()["ok"], true);
    let before = world.open.entries().len();
    // Eight were answered together: a batch of five is none yet, one of six goes.
    (9..14).for_each(|n| send(&mut world, n));
    assert_eq!(world.open.entries().len(), before);
    send(&mut world, 14);
    assert_eq!(world.open.entries().len(), before + 1);
    assert_eq!(world.answered("c14").unwrap()["ok"], true);
    // Of those six nobody but one asks again.
    send(&mut world, 15);
    assert_eq!(world.open.entries().len(), before + 1);
    world.pass(5);
    assert_eq!(world.answered("c15").unwrap()["ok"], true);
    world.check();
}

#[test]
fn who_is_queued_goes_into_the_log_with_what_is_answered_next() {
    let mut world = World::led();
    world.furnish();
    let lease = world.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    let lease = lease["result"]["leases"][0]["lease"].clone();
    world.ok("admin", "actor.add", json!({ "actor": "carol", "role": "person" }));
    let before = world.open.entries().len();
    let body = |n| json!({ "paths": ["a"], "mode": "write", "wait_ms": 9_000, "id": id(n) });
    world.send(0, "waits", "bob", "lock.acquire", body(1));
    world.work();
    assert_eq!(world.open.entries().len(), before, "nobody waits for this append");
    world.send(0, "gives", "alice", "lock.release", json!({ "leases": [lease] }));
    world.work();
    assert_eq!(world.open.entries().len(), before + 1);
    assert_eq!(world.answered("gives").unwrap()["ok"], true);
    assert_eq!(world.answered("waits").unwrap()["ok"], true);
    // Where nothing comes it goes by itself, and at once where somebody asks what rests on it.
    world.send(0, "next", "alice", "lock.acquire", body(2));
    world.work();
    assert_eq!(world.open.entries().len(), before + 1);
    world.pass(5);
    assert_eq!(world.open.entries().len(), before + 2);
    world.send(0, "third", "carol", "lock.acquire", body(3));
    world.work();
    world.send(0, "refused", "alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    world.work();
    assert_eq!(world.open.entries().len(), before + 3);
    assert_eq!(world.answered("refused").unwrap()["ok"], false);
    assert!(world.answered("next").is_none() && world.answered("third").is_none());
    world.check();
}

/// Nobody waits for a place in a queue, but for what was decided upon it, and for what follows
/// without a command.
#[test]
fn what_rests_on_who_is_queued_goes_at_once_and_so_does_what_nobody_asked_for() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    let before = world.open.entries().len();
    let body = json!({ "paths": ["a"], "mode": "write", "wait_ms": 9_000 });
    world.send(0, "waits", "bob", "lock.acquire", body);
    world.work();
    assert_eq!(world.open.entries().len(), before);
    // Refused without a record, by a state in which bob waits.
    let body = json!({ "paths": ["b"], "mode": "read" });
    world.send(0, "refused", "codex-1", "lock.acquire", body);
    world.work();
    assert_eq!(world.open.entries().len(), before + 1);
    assert_eq!(world.answered("refused").unwrap()["error"]["code"], "AGENT_NOT_REGISTERED");
    world.report(0, &super::soft::report());
    world.work();
    assert_eq!(world.open.entries().len(), before + 2);
    world.check();
}

#[test]
fn the_same_id_gets_the_same_answer_and_another_body_none() {
    let mut world = World::led();
    world.furnish();
    let body = json!({ "paths": ["a.rs"], "mode": "write", "id": id(1) });
    let first = world.ok("alice", "lock.acquire", body.clone());
    let again = world.ok("alice", "lock.acquire", body);
    assert_eq!(first, again);
    let other = json!({ "paths": ["b.rs"], "mode": "write", "id": id(1) });
    let other = world.call("alice", "lock.acquire", other);
    assert_eq!(other["error"]["code"], "BAD_REQUEST");
    // The id is the actor's own: bob's is another attempt.
    let bobs = json!({ "paths": ["b.rs"], "mode": "write", "id": id(1) });
    world.ok("bob", "lock.acquire", bobs);
    assert_eq!(world.records_of(&id(1)).len(), 2);
    world.check();
}

#[test]
fn the_same_id_again_while_its_record_is_in_flight_waits_for_it_too() {
    let mut world = World::led();
    world.furnish();
    world.script([Fault::Delay]);
    let body = json!({ "paths": ["a.rs"], "mode": "write", "id": id(1) });
    world.send(0, "a", "alice", "lock.acquire", body.clone());
    world.work();
    world.send(0, "b", "alice", "lock.acquire", body);
    world.pass(100);
    assert!(world.answered("a").is_none() && world.answered("b").is_none());
    world.open.release();
    world.pass(10);
    assert_eq!(world.answered("a").unwrap(), world.answered("b").unwrap());
    world.check();
}

#[test]
fn an_old_answer_is_made_again_from_the_log() {
    let mut world = World::led();
    world.furnish();
    let body = json!({ "paths": ["a.rs"], "mode": "write", "id": id(1) });
    let first = world.ok("alice", "lock.acquire", body.clone());
    world.fill(4_200);
    let seq = first["seq"].as_u64().unwrap();
    assert!(world.nodes[0].view.past.recent(seq).is_none(), "the record must be old");
    let again = world.ok("alice", "lock.acquire", body);
    assert_eq!(first, again);
    world.check();
}

/// Who leaves gives up what it waits for; each of the two gets its own answer, and again.
#[test]
fn one_record_that_answers_two_commands_gives_each_its_own_answer_again() {
    let mut world = World::led();
    world.furnish();
    super::join(&mut world, "codex-1", "s1");
    world.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    let wait = json!({
        "session": "s1", "paths": ["a"], "mode": "write", "wait_ms": 9_000, "id": id(1)
    });
    let leave = json!({ "session": "s1", "id": id(2) });
    world.send(0, "waits", "codex-1", "lock.acquire", wait.clone());
    world.pass(20);
    world.send(0, "leaves", "codex-1", "agent.leave", leave.clone());
    world.pass(20);
    assert_eq!(world.answered("waits").unwrap()["ok"], false);
    assert_eq!(world.answered("leaves").unwrap()["ok"], true);
    world.send(0, "waits again", "codex-1", "lock.acquire", wait);
    world.send(0, "leaves again", "codex-1", "agent.leave", leave);
    world.pass(20);
    assert_eq!(world.answered("waits again"), world.answered("waits"));
    assert_eq!(world.answered("leaves again"), world.answered("leaves"));
    world.check();
}

#[test]
fn old_answers_are_made_again_for_several_at_the_same_time() {
    let mut world = World::led();
    world.furnish();
    let body = |n: u32| json!({ "paths": [format!("{n}.rs")], "mode": "write", "id": id(n) });
    let first: Vec<_> = (0..3).map(|n| world.ok("alice", "lock.acquire", body(n))).collect();
    // As in a process that began after them.
    let head = *world.nodes[0].view.head();
    world.nodes[0].view.past = crate::view::past::Past::from(head);
    for n in 0..3 {
        world.send(0, &format!("again{n}"), "alice", "lock.acquire", body(n));
    }
    world.pass(20);
    for (n, first) in first.iter().enumerate() {
        assert_eq!(world.answered(&format!("again{n}")), Some(first));
    }
    world.check();
}

#[test]
fn a_refusal_that_is_history_is_recorded_and_any_other_is_not() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    let refused = world.call("bob", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    assert_eq!(refused["error"]["code"], "LOCK_CONFLICT");
    assert!(refused["seq"].is_u64(), "{refused}");
    let before = world.reader().chain().seq;
    let refused = world.call("codex-1", "lock.acquire", json!({ "paths": ["b"], "mode": "read" }));
    assert_eq!(refused["error"]["code"], "AGENT_NOT_REGISTERED");
    assert_eq!((&refused["seq"], world.reader().chain().seq), (&json!(null), before));
    world.check();
}

#[test]
fn too_many_refusals_are_told_together() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    let before = world.reader().chain().seq;
    for n in 0..200 {
        let body = json!({ "paths": ["a.rs"], "mode": "write" });
        world.send(0, &format!("c{n}"), "bob", "lock.acquire", body);
    }
    world.pass(100);
    for n in 0..200 {
        let answer = world.answered(&format!("c{n}")).unwrap();
        assert_eq!(answer["error"]["code"], "LOCK_CONFLICT", "{n}");
    }
    let recorded = world.reader().chain().seq - before;
    assert!((30..=32).contains(&recorded), "{recorded}");
    world.pass(61_000);
    let told: u64 = world
        .records()
        .iter()
        .flat_map(|r| &r.events)
        .map(|event| match event {
            devmesh_protocol::Event::RefusalsSuppressed(e) => e.n,
            _ => 0,
        })
        .sum();
    assert_eq!(told + 30, 200);
    world.check();
}

#[test]
fn a_refusal_from_a_state_that_may_be_old_waits_until_it_is_proven() {
    let mut world = World::led();
    world.furnish();
    // Somebody else begins a term while this leader sleeps.
    world.nodes[0].runs = false;
    let second = world.add_node(None);
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.nodes[0].runs = true;
    world.beats = false;
    world.send(0, "a", "codex-1", "lock.acquire", json!({ "paths": ["b"], "mode": "read" }));
    world.pass(50);
    assert!(world.answered("a").is_none(), "{:?}", world.answered("a"));
    assert!(!world.nodes[0].view.is_leading());
    world.check();
}

#[test]
fn a_wait_is_answered_at_its_newest_address_when_it_is_granted() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    let wait = json!({ "paths": ["a.rs"], "mode": "write", "wait_ms": 60_000, "id": id(7) });
    world.send(0, "first", "bob", "lock.acquire", wait.clone());
    world.pass(5_000);
    world.send(0, "second", "bob", "lock.acquire", wait);
    world.pass(100);
    world.ok("alice", "lock.release", json!({ "paths": ["a.rs"] }));
    world.pass(10);
    assert!(world.answered("first").is_none());
    let answer = world.answered("second").unwrap();
    assert_eq!(answer["result"]["leases"][0]["path"], "a.rs", "{answer}");
    assert_eq!(world.records_of(&id(7)).len(), 1);
    world.check();
}

#[test]
fn a_wait_that_is_over_is_answered_so() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    let wait = json!({ "paths": ["a.rs"], "mode": "write", "wait_ms": 400, "id": id(7) });
    world.send(0, "w", "bob", "lock.acquire", wait);
    world.pass(395);
    assert!(world.answered("w").is_none());
    world.pass(30);
    assert_eq!(world.answered("w").unwrap()["error"]["code"], "LOCK_TIMEOUT");
    world.check();
}

#[test]
fn a_leader_that_stops_answers_what_it_has_decided() {
    let mut world = World::led();
    world.furnish();
    world.script([Fault::Delay]);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.work();
    world.stop(0);
    world.pass(50);
    assert!(!world.nodes[0].done);
    world.open.release();
    world.pass(50);
    assert!(world.nodes[0].done);
    assert_eq!(world.answered("a").unwrap()["ok"], true);
    assert!(!world.nodes[0].hears);
    world.check();
}

/// Bob asks for what alice has until his refusals are only counted, and once more: under `id(99)`.
fn refused_without_a_record(world: &mut World) -> serde_json::Value {
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write", "id": id(1) }));
    for n in 10..50 {
        let body = json!({ "paths": ["a.rs"], "mode": "write", "id": id(n) });
        assert_eq!(world.call("bob", "lock.acquire", body)["error"]["code"], "LOCK_CONFLICT");
    }
    let body = json!({ "paths": ["a.rs"], "mode": "write", "id": id(99) });
    let told = world.call("bob", "lock.acquire", body.clone());
    assert_eq!(told["error"]["code"], "LOCK_CONFLICT");
    assert_eq!((&told["seq"], world.records_of(&id(99)).len()), (&json!(null), 0));
    world.ok("alice", "lock.release", json!({ "paths": ["a.rs"], "id": id(2) }));
    body
}

#[test]
fn a_late_copy_of_what_was_refused_without_a_record_is_refused_again() {
    let mut world = World::led();
    let body = refused_without_a_record(&mut world);
    let again = world.call("bob", "lock.acquire", body.clone());
    assert_eq!(again["error"]["code"], "LOCK_CONFLICT");
    let mut other = body;
    other["paths"] = json!(["b.rs"]);
    assert_eq!(world.call("bob", "lock.acquire", other)["error"]["code"], "BAD_REQUEST");
    assert!(world.records_of(&id(99)).is_empty());
    // Asked anew it is granted.
    world.ok("bob", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write", "id": id(100) }));
    world.check();
}

#[test]
fn a_late_copy_of_what_an_earlier_term_refused_without_a_record_is_too_old() {
    let mut world = World::led();
    let body = refused_without_a_record(&mut world);
    world.nodes[0].runs = false;
    let second = world.add_node(None);
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.send(second, "copy", "bob", "lock.acquire", body);
    world.pass(20);
    assert_eq!(world.answered("copy").unwrap()["error"]["code"], "ID_EXPIRED");
    assert!(world.records_of(&id(99)).is_empty());
    // Nobody else's commands are too old, and neither is what is minted from now on.
    let body = json!({ "paths": ["c.rs"], "mode": "write", "id": id(3) });
    world.send(second, "alice", "alice", "lock.acquire", body);
    let body = json!({ "paths": ["a.rs"], "mode": "write", "id": uuid(world.now().wall_ms) });
    world.send(second, "bob", "bob", "lock.acquire", body);
    world.pass(20);
    assert_eq!(world.answered("alice").unwrap()["ok"], true);
    assert_eq!(world.answered("bob").unwrap()["ok"], true);
    world.check();
}

#[test]
fn what_needed_no_record_is_answered_the_same_again() {
    let mut world = World::led();
    world.furnish();
    let held = json!({ "paths": ["a.rs"], "mode": "write", "id": id(1) });
    world.ok("alice", "lock.acquire", held);
    let once_more = json!({ "paths": ["a.rs"], "mode": "write", "id": id(2) });
    let told = world.ok("alice", "lock.acquire", once_more.clone());
    assert!(world.records_of(&id(2)).is_empty());
    world.ok("alice", "lock.release", json!({ "paths": ["a.rs"], "id": id(3) }));
    assert_eq!(world.ok("alice", "lock.acquire", once_more), told);
    assert!(world.records_of(&id(2)).is_empty(), "alice thinks that she has given it back");
    world.check();
}
