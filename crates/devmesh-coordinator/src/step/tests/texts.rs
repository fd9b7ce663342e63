//! Commands whose texts are being stored, and what is too much for one record or batch.

use devmesh_bus::log::memory::Fault;
use serde_json::{Value, json};

use super::has;
use crate::fixture::World;
use crate::view::AGAIN_MAX;

fn note(key: &str, value: &str, id: &str) -> Value {
    json!({ "key": key, "value": value, "id": id })
}

#[test]
fn a_copy_of_a_command_whose_text_is_being_stored_gives_it_a_new_address() {
    let mut world = World::led();
    world.furnish();
    world.send(0, "first", "alice", "note.share", note("k", "v", "one"));
    world.send(0, "second", "alice", "note.share", note("k", "v", "one"));
    // Others are other commands: hers, and one that has by chance the same id.
    world.send(0, "third", "alice", "note.share", note("l", "w", "two"));
    world.send(0, "fourth", "bob", "note.share", note("m", "x", "one"));
    world.pass(20);
    assert!(world.answered("first").is_none());
    for call in ["second", "third", "fourth"] {
        assert_eq!(world.answers[call].len(), 1, "{call}");
        assert_eq!(world.answered(call).unwrap()["ok"], true, "{call}");
    }
    assert_eq!(has(&world, "note_shared"), 3);
    world.check();
}

/// What is decided while an append is under way may be more than one batch takes.
#[test]
fn what_is_more_than_a_batch_holds_goes_in_several() {
    let mut world = World::led();
    world.furnish();
    let before = world.open.entries().len();
    world.script([Fault::Delay]);
    world.send(0, "first", "alice", "lock.acquire", json!({ "paths": ["a"], "mode": "read" }));
    world.work();
    let component = "x".repeat(250);
    let long = format!("{component}/{component}/{component}");
    for n in 0..9 {
        let paths: Vec<String> = (0..128).map(|m| format!("{n}/{m}/{long}")).collect();
        let body = json!({ "paths": paths, "mode": "write" });
        world.send(0, &format!("c{n}"), "alice", "lock.acquire", body);
    }
    world.work();
    world.open.release();
    world.pass(50);
    let told = |n: usize| world.answered(&format!("c{n}")).expect("it is answered");
    assert!((0..9).all(|n| told(n)["ok"] == true), "{}", told(0));
    let batches = world.open.entries().len() - before - 1;
    assert!((2..=6).contains(&batches), "{batches}");
    world.check();
}

#[test]
fn so_many_commands_are_kept_for_the_next_term_and_the_rest_is_asked_again() {
    let mut world = World::led();
    world.furnish();
    world.lose_link(0);
    for n in 0..AGAIN_MAX + 2 {
        let body = json!({ "paths": ["a"], "mode": "read" });
        world.send(0, &format!("c{n}"), "codex-1", "lock.acquire", body);
    }
    world.work();
    assert_eq!(world.nodes[0].view.again.len(), AGAIN_MAX);
    assert_eq!(world.nodes[0].view.counted["kept_over_bound"], 2);
}
