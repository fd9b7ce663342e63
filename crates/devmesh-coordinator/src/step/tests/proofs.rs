//! Proofs of leading: what waits for one, how often one is asked for, and who doubts.

use devmesh_protocol::report::Beat;
use devmesh_protocol::{ActorId, SessionId};
use serde_json::json;

use super::join;
use crate::effect::Effect;
use crate::fixture::{World, caller};
use crate::input::Input;

fn beat(call: &str, actor: &str, session: &str, seen: u64) -> Input {
    let actor = ActorId::new(actor).unwrap();
    let beat = Beat { session: SessionId::new(session).unwrap(), seen };
    Input::Beat { actor, beat, caller: caller(call) }
}

fn last(world: &World, last: Result<u64, String>) -> Input {
    let link = world.nodes[0].view.link;
    Input::Last { link, asked_at: world.mono, last, replicas: None }
}

fn asks(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::AskLast { .. })).count()
}

fn replies(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Reply { .. })).count()
}

/// A leader with one agent, whose last proof is long ago.
fn unproven() -> World {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    world.pass(3_000);
    world
}

#[test]
fn a_beat_right_after_an_append_needs_no_other_proof() {
    let mut world = unproven();
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    let effects = world.effects(0, beat("b", "codex-1", "s1", 0));
    assert_eq!((replies(&effects), asks(&effects)), (1, 0));
}

/// It says what alice holds, and somebody else may have led and taken it from her.
#[test]
fn what_needed_no_record_waits_for_a_proof() {
    let mut world = unproven();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    world.pass(3_000);
    let second = world.add_node(None);
    world.nodes[0].runs = false;
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.beats = false;
    world.nodes[0].runs = true;
    world.send(0, "a", "alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    world.pass(50);
    assert!(world.answered("a").is_none() && !world.nodes[0].view.is_leading());
    world.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
}

#[test]
fn one_proof_is_asked_for_at_a_time_and_after_a_failure_not_at_once() {
    let mut world = unproven();
    let head = world.nodes[0].view.head().stream_seq;
    let effects = world.effects(0, beat("b", "codex-1", "s1", 0));
    assert_eq!((replies(&effects), asks(&effects)), (0, 1));
    let effects = world.effects(0, beat("c", "codex-1", "s1", 0));
    assert_eq!((replies(&effects), asks(&effects)), (0, 0), "one is under way");
    let failed = last(&world, Err("no leader".into()));
    assert_eq!(asks(&world.effects(0, failed)), 0);
    world.mono += 249;
    assert_eq!(asks(&world.effects(0, Input::Tick)), 0);
    world.mono += 1;
    assert_eq!(asks(&world.effects(0, Input::Tick)), 1);
    let proof = last(&world, Ok(head));
    assert_eq!(replies(&world.effects(0, proof)), 2);
}

#[test]
fn so_many_beats_wait_for_a_proof_and_no_more() {
    let mut world = unproven();
    let head = world.nodes[0].view.head().stream_seq;
    for n in 0..=16_384 {
        world.effects(0, beat(&format!("b{n}"), "codex-1", "s1", 0));
    }
    let proof = last(&world, Ok(head));
    assert_eq!(replies(&world.effects(0, proof)), 16_384);
}

/// What the highest record is that somebody says to have seen, and who does.
fn seen(world: &World) -> Option<(u64, &str)> {
    world.nodes[0].view.seen.as_ref().map(|(seen, by)| (*seen, by.as_str()))
}

#[test]
fn only_who_has_seen_more_than_there_is_raises_a_doubt_and_the_highest_counts() {
    let mut world = unproven();
    let seq = world.reader().chain().seq;
    world.effects(0, beat("a", "codex-1", "s1", seq));
    assert_eq!(seen(&world), None);
    world.effects(0, beat("b", "codex-1", "s1", seq + 5));
    assert_eq!(seen(&world), Some((seq + 5, "codex-1")));
    world.effects(0, beat("c", "claude-1", "s2", seq + 3));
    world.effects(0, beat("d", "claude-1", "s2", seq + 5));
    assert_eq!(seen(&world), Some((seq + 5, "codex-1")), "who said so first");
    world.effects(0, beat("e", "claude-1", "s2", seq + 6));
    assert_eq!(seen(&world), Some((seq + 6, "claude-1")));
}

#[test]
fn a_doubt_that_the_log_has_come_up_to_is_none() {
    let mut world = unproven();
    let seq = world.reader().chain().seq;
    world.effects(0, beat("a", "codex-1", "s1", seq + 1));
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    let proof = last(&world, Ok(world.nodes[0].view.head().stream_seq));
    world.effects(0, proof);
    assert_eq!(seen(&world), None);
    assert!(world.nodes[0].view.doubters.is_empty());
}

/// An agent that begins anew tells what it has seen as well, and is not let in by a leader below.
#[test]
fn who_joins_and_has_seen_more_than_there_is_is_not_answered() {
    let mut world = unproven();
    let seq = world.reader().chain().seq;
    let body = |session: &str, seen: u64| json!({ "tool": "x", "host": "h", "session": session, "seen": seen });
    world.send(0, "above", "codex-2", "agent.join", body("s2", seq + 3));
    // A lower doubt does not hide a higher one.
    world.send(0, "lower", "codex-3", "agent.join", body("s3", seq + 2));
    world.pass(1_000);
    assert!(world.answered("above").is_none() && world.answered("lower").is_none());
    assert!(world.nodes[0].view.doubters.iter().map(ActorId::as_str).eq(["codex-2"]));
    assert!(world.nodes[0].halted.is_none(), "one alone may be wrong");
    world.ok("codex-4", "agent.join", body("s4", seq));
    world.ok("codex-4", "agent.join", body("s4", 1));
    let seq = world.reader().chain().seq;
    world.send(0, "second", "codex-5", "agent.join", body("s5", seq + 1));
    world.pass(100);
    let halted = world.nodes[0].halted.as_ref().expect("it halts").to_string();
    assert!(halted.contains("rolled back") && halted.contains("codex-5"), "{halted}");
    assert!(world.answered("second").is_none());
}
