//! What a new leader knows of before its term: who was heard, what was measured, what is to go.

use devmesh_protocol::Digest;
use serde_json::json;

use super::soft::report;
use super::{has, join};
use crate::fixture::World;

fn take_over(world: &mut World, by: usize) {
    world.nodes[0].runs = false;
    world.until(5_000, |world| world.nodes[by].view.is_leading());
}

/// An agent is given its time from when it begins a session, whoever leads and however long this
/// coordinator has listened already.
#[test]
fn who_joins_or_comes_back_is_heard_by_that() {
    for resumes in [false, true] {
        for is_taken_over in [false, true] {
            let mut world = World::led();
            world.furnish();
            let second = world.add_node(None);
            if resumes {
                join(&mut world, "codex-1", "s1");
                world.pass(15_000);
                join(&mut world, "codex-1", "s1");
                assert_eq!(has(&world, "agent_resumed"), 1);
            } else {
                world.pass(40_000);
                join(&mut world, "codex-1", "s1");
            }
            let began = world.mono;
            if is_taken_over {
                take_over(&mut world, second);
            }
            world.pass(began + 29_500 - world.mono);
            assert_eq!(has(&world, "session_lost"), 0, "{resumes} {is_taken_over}");
            world.pass(1_500);
            assert_eq!(has(&world, "session_lost"), 1, "{resumes} {is_taken_over}");
            world.check();
        }
    }
}

#[test]
fn what_was_redacted_is_deleted_again_by_who_does_not_know_that_it_is_gone() {
    let mut world = World::led();
    world.furnish();
    let second = world.add_node(None);
    world.ok("alice", "note.share", json!({ "key": "k", "value": "secret" }));
    let digest = Digest::of(b"secret");
    world.ok("alice", "redact", json!({ "digest": digest }));
    assert_eq!(world.deleted, [digest]);
    world.pass(500);
    // As where the deletion was lost with the leader.
    world.texts.insert(digest, "secret".into());
    take_over(&mut world, second);
    world.pass(50);
    assert_eq!(world.deleted, [digest, digest]);
    assert!(world.texts.is_empty());
}

#[test]
fn what_a_host_told_lately_counts_in_the_next_term_and_no_longer() {
    for (silence, measured) in [(29_000, 1), (31_000, 0)] {
        let mut world = World::led();
        world.furnish();
        let second = world.add_node(None);
        world.pass(500);
        // The leader does not hear it, and nobody beats meanwhile.
        world.report(second, &report());
        world.work();
        world.nodes[0].runs = false;
        world.mono += silence;
        world.until(5_000, |world| world.nodes[second].view.is_leading());
        world.pass(20);
        assert_eq!(has(&world, "host_measured"), measured, "{silence}");
    }
}
