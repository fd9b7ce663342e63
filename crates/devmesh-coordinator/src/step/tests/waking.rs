//! When a coordinator looks again though nothing has come, and what it does then.

use devmesh_protocol::query::AT_LEAST_WAIT_MS;
use serde_json::json;

use super::join;
use crate::fixture::World;
use crate::input::{Input, Now};
use crate::step::wake_at;
use crate::view::{Options, Role, View};

fn wakes(world: &World) -> u64 {
    wake_at(&world.nodes[0].view, world.now())
}

/// Lets time pass until the leader has just beaten, so that nothing else of its own comes soon.
fn just_beaten(world: &mut World) {
    world.until(500, |world| match &world.nodes[0].view.role {
        Role::Leading(term) => term.beat_at == world.mono,
        _ => false,
    });
}

#[test]
fn who_does_not_lead_wakes_for_its_claim_and_now_and_then() {
    let mut view = View::new(Options { node: "n".into(), seed: 1, known: None });
    let now = Now { wall_ms: 0, mono_ms: 5_000 };
    assert_eq!(wake_at(&view, now), 5_100);
    for (claim_at, wakes) in [(9_000, 5_100), (5_040, 5_040), (5_000, 5_001), (4_000, 5_001)] {
        view.role = Role::Standby { claim_at };
        assert_eq!(wake_at(&view, now), wakes, "{claim_at}");
    }
}

#[test]
fn a_leader_wakes_for_its_beat_a_held_batch_and_what_is_due() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    world.pass(500);
    just_beaten(&mut world);
    let began = world.mono;
    assert_eq!(wakes(&world), began + 100);
    let wait = json!({ "paths": ["a"], "mode": "write", "wait_ms": 37 });
    world.send(0, "w", "bob", "lock.acquire", wait);
    world.work();
    assert_eq!(wakes(&world), began + 2, "nobody waits for what is queued");
    world.pass(5);
    assert_eq!(wakes(&world), began + 37);
    // What is overdue and still there waits for something else.
    world.mono = began + 50;
    assert_eq!(wakes(&world), began + 52);
}

#[test]
fn a_leader_wakes_when_an_auction_closes() {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    world.pass(500);
    world.send(0, "t", "alice", "task.add", json!({ "title": "t", "repo": "web" }));
    world.work();
    let closes_at = world.mono + 150;
    world.pass(60);
    just_beaten(&mut world);
    assert_eq!(wakes(&world), closes_at.min(world.mono + 100));
    assert!(closes_at < world.mono + 100, "the beat is later");
}

#[test]
fn clocks_that_run_a_little_apart_end_no_term() {
    let mut world = World::led();
    world.skew = 2_000;
    world.put(0, Input::Tick);
    world.work();
    assert!(world.nodes[0].view.is_leading());
    world.skew = 2_001;
    world.put(0, Input::Tick);
    world.work();
    assert!(!world.nodes[0].view.is_leading());
}

#[test]
fn how_far_was_read_is_remembered_once_a_second_where_it_is_new() {
    let mut world = World::led();
    world.furnish();
    world.pass(1_200);
    let remembered = |world: &World| world.nodes[0].remembered.len();
    assert_eq!(world.nodes[0].remembered.last(), Some(world.reader().chain()));
    let before = remembered(&world);
    world.pass(5_000);
    assert_eq!(remembered(&world), before, "nothing is new");
    for n in 0..30 {
        world.ok("alice", "note.share", json!({ "key": "k", "value": n.to_string() }));
        world.pass(95);
    }
    let came = remembered(&world) - before;
    assert!((3..=4).contains(&came), "{came}");
}

#[test]
fn a_leader_that_stops_answers_what_it_has_just_heard() {
    let mut world = World::led();
    world.furnish();
    // The gathering of a batch is not waited for.
    world.send(0, "a", "alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    world.stop(0);
    world.work();
    assert_eq!(world.answered("a").unwrap()["ok"], true);
    assert!(world.nodes[0].done);
    world.check();
}

#[test]
fn a_leader_that_stops_answers_what_waits_for_a_proof() {
    let mut world = World::led();
    world.furnish();
    world.pass(AT_LEAST_WAIT_MS);
    let body = json!({ "paths": ["b"], "mode": "read" });
    world.send(0, "a", "codex-1", "lock.acquire", body);
    world.stop(0);
    world.work();
    assert_eq!(world.answered("a").unwrap()["error"]["code"], "AGENT_NOT_REGISTERED");
    assert!(world.nodes[0].done);
}
