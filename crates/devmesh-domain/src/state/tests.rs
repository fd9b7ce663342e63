//! What the hash of a state is of.

use serde_json::json;

use crate::invariant::world::World;
use crate::state::State;

/// Two states of one record that differ anywhere differ in their hash, and equal ones do not.
#[test]
fn the_hash_is_of_all_that_a_decision_can_depend_on() {
    let mut world = World::new();
    world.step("alice write a");
    world.step("bob write a wait 60000");
    world.send("alice", "task.add", json!({ "title": "x" })).unwrap();
    let mut state = world.state.clone();
    let before = state.hash();
    assert_eq!(before, world.state.hash());
    assert_ne!(before, State { seq: state.seq + 1, ..state.clone() }.hash());
    type Change = fn(&mut State);
    let changes: [Change; 4] = [
        |state| state.mesh_mut().paused = true,
        |state| drop(state.settings.insert("hot".to_owned(), "[]".to_owned())),
        |state| {
            let lease = *state.leases.keys().next().unwrap();
            state.leases.remove(&lease);
        },
        |state| drop(state.tasks.remove(&devmesh_protocol::TaskId(1))),
    ];
    let mut seen = vec![before];
    for change in changes {
        change(&mut state);
        let hash = state.hash();
        assert!(!seen.contains(&hash), "{} changes were seen", seen.len() - 1);
        seen.push(hash);
    }
}

/// A field that a later version adds changes no hash of an older log.
#[test]
fn what_a_field_does_not_say_is_not_hashed() {
    let mut world = World::new();
    world.step("alice write a");
    world.step("bob write a b wait 60000");
    let shown = |world: &World| {
        let waiter = world.state.waiters.values().next().unwrap();
        let row = serde_json::to_value(waiter).unwrap();
        (row.get("bypasses").cloned(), row.get("bypassed_seq").cloned())
    };
    assert_eq!(shown(&world), (None, None));
    world.step("alice write b");
    assert_eq!(shown(&world), (Some(json!(1)), Some(json!(world.state.seq))));
}
