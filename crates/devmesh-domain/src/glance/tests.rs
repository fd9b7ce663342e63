//! What a coordinator sees of the state at a glance.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::query::Query;
use devmesh_protocol::report::Pause;
use devmesh_protocol::{Digest, TaskId};
use serde_json::{Value, json};

use super::{auctions, held, next_due, pause, tasks, texts, waiting};
use crate::invariant::world::{World, actor};
use crate::look::look;

fn places(world: &World, body: Value) -> Vec<(String, Digest)> {
    let bytes = serde_json::to_vec(&body).unwrap();
    let query = Query::parse(actor("alice"), "task", &bytes, Encoding::Json).unwrap();
    let value = look(&world.state, &query.what).unwrap();
    texts(&world.state, &query.what, &value)
}

fn at(place: &str, text: &str) -> (String, Digest) {
    (place.to_owned(), Digest::of(text.as_bytes()))
}

#[test]
fn what_is_held_waited_for_and_to_do() {
    let mut world = World::new();
    assert_eq!(next_due(&world.state), None);
    for step in ["alice write a ttl 60000", "bob write a wait 70000", "carol read b ttl 50000"] {
        world.step(step);
    }
    let ends_at = world.at + 50_000;
    assert_eq!(next_due(&world.state), Some(ends_at), "the soonest");
    let paths: Vec<String> = held(&world.state).map(|(_, l)| l.path.to_string()).collect();
    assert_eq!(paths, ["a", "b"]);
    let first = held(&world.state).next().unwrap().0;
    assert_eq!(first, world.lease_of("alice", "a"));
    let names: Vec<&str> = waiting(&world.state).map(|w| w.holder.actor.as_str()).collect();
    assert_eq!(names, ["bob"]);
    for _ in 0..2 {
        world.send("alice", "task.add", json!({ "title": "x" })).unwrap();
    }
    world.send("alice", "task.pause", json!({ "task": "t-1" })).unwrap();
    let all: Vec<TaskId> = tasks(&world.state).map(|(id, _)| id).collect();
    assert_eq!(all, [TaskId(1), TaskId(2)]);
    let open: Vec<_> = auctions(&world.state).collect();
    let auction = world.state.tasks.get(&TaskId(2)).unwrap().auction.unwrap();
    assert_eq!(open, [(TaskId(2), auction)], "what is held is not offered");
}

/// Work stands still where its task is held, or the mesh is and nothing is to go on.
#[test]
fn what_stands_still_for_an_agent() {
    let mut world = World::new();
    world.attempt(1, "codex", json!({}));
    let of = |world: &World, name: &str| pause(&world.state, &actor(name));
    assert_eq!(of(&world, "codex"), Pause { mesh: false, work: false });
    world.send("alice", "task.pause", json!({ "task": "t-1" })).unwrap();
    assert_eq!(of(&world, "codex"), Pause { mesh: false, work: true });
    assert_eq!(of(&world, "claude"), Pause { mesh: false, work: false });
    world.send("alice", "task.resume", json!({ "task": "t-1" })).unwrap();
    world.send("alice", "mesh.pause", json!({})).unwrap();
    assert_eq!(of(&world, "codex"), Pause { mesh: true, work: false });
    world.send("alice", "mesh.pause", json!({ "now": true })).unwrap();
    for name in ["codex", "claude"] {
        assert_eq!(of(&world, name), Pause { mesh: true, work: true });
    }
}

#[test]
fn a_plan_is_shown_with_its_texts_while_somebody_looks() {
    let mut world = World::new();
    let goal = json!({ "kind": "plan", "review": "person", "prompt": "goal" });
    world.attempt(1, "codex", goal);
    let token = world.token(1);
    let graph = json!([{ "key": "a", "title": "a" }, { "key": "b", "title": "b", "prompt": "do" }]);
    let plan = json!({
        "task": "t-1", "attempt": 1, "token": token, "text": "plan", "graph": graph,
    });
    world.send("codex", "framework.publish", plan).unwrap();
    let query = json!({ "task": "t-1" });
    let all =
        [at("/prompt", "goal"), at("/plan/text", "plan"), at("/plan/proposed/1/prompt", "do")];
    assert_eq!(places(&world, query.clone()), all);
    world.send("alice", "task.review", json!({ "task": "t-1", "verdict": "approve" })).unwrap();
    assert_eq!(places(&world, query), all[..1]);
}

/// A failure that came without words has none to look up.
#[test]
fn a_failure_without_words_has_no_text() {
    let mut world = World::new();
    world.attempt(1, "codex", json!({ "max_attempts": 1 }));
    let receipt =
        json!({ "tree": "a".repeat(40), "verdict": "failed", "steps": [], "host": "host" });
    let verified =
        json!({ "task": "t-1", "attempt": 1, "token": world.token(1), "receipt": receipt });
    world.send("codex", "task.verified", verified).unwrap();
    assert_eq!(world.state.tasks.get(&TaskId(1)).unwrap().state_name(), "failed");
    assert_eq!(places(&world, json!({ "task": "t-1" })), []);
}
