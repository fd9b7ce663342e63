//! What a task's view tells of why it stands where it does.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::query::Query;
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{ActorId, Digest, TaskId};
use serde_json::{Value, json};

use crate::invariant::world::World;
use crate::look::look;

fn show(world: &World, number: u64) -> TaskView {
    let bytes = serde_json::to_vec(&json!({ "task": TaskId(number) })).unwrap();
    let asker = ActorId::new("alice").unwrap();
    let query = Query::parse(asker, "task", &bytes, Encoding::Json).unwrap();
    serde_json::from_value(look(&world.state, &query.what).unwrap()).unwrap()
}

fn add(world: &mut World, body: Value) {
    let mut task = json!({ "title": "x" });
    task.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    world.send("alice", "task.add", task).unwrap();
}

fn award(world: &mut World, number: u64, who: &str) -> Value {
    let bid = devmesh_protocol::event::Bid {
        actor: ActorId::new(who).unwrap(),
        score: [("free".to_owned(), 1)].into(),
        total: 1,
        declined: None,
    };
    let (task, bids) = (TaskId(number), vec![bid]);
    world.internal(devmesh_protocol::command::internal::Internal::AuctionClose { task, bids });
    let attempt = world.state.tasks.get(&task).unwrap().attempt.as_ref().unwrap();
    json!({ "task": task, "attempt": attempt.number, "token": attempt.token })
}

fn with(mut own: Value, more: Value) -> Value {
    own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    own
}

/// The defect: a task that no agent who was there could do waited, and nothing said so.
#[test]
fn a_task_that_nobody_can_do_says_so() {
    let mut world = World::new();
    add(&mut world, json!({ "tool": "claude", "needs": ["gpu"] }));
    let view = show(&world, 1);
    assert_eq!(view.state, "queued");
    let none = "none of the 3 agents that are there can take it";
    assert_eq!(view.nobody_why.as_deref(), Some(none));
    let why: Vec<_> = view.nobody.iter().map(|no| (no.agent.as_str(), no.why.as_str())).collect();
    let tool = "its tool is custom, and claude is asked for";
    assert_eq!(why, [("claude", tool), ("codex", tool), ("gemini", tool)]);
    assert!(view.waits.iter().any(|why| why.contains(tool)));
    // Whoever is busy is somebody who can.
    add(&mut world, json!({}));
    add(&mut world, json!({ "tool": "custom" }));
    for (number, who) in [(2, "codex"), (3, "claude")] {
        award(&mut world, number, who);
    }
    world.send("alice", "agent.drain", json!({ "agent": "gemini" })).unwrap();
    add(&mut world, json!({}));
    assert_eq!(show(&world, 4).nobody_why, None);
    let join = json!({ "tool": "claude", "host": "h", "capabilities": ["gpu"], "session": "s" });
    world.send("other", "agent.join", join).unwrap();
    assert_eq!((show(&world, 1).nobody_why, show(&world, 1).nobody.len()), (None, 0));
    // Nobody is looked for where there is nothing to do.
    add(&mut world, json!({ "tool": "none" }));
    assert!(show(&world, 5).nobody_why.is_some());
    world.send("alice", "task.cancel", json!({ "task": "t-5" })).unwrap();
    assert_eq!(show(&world, 5).nobody_why, None);
    let mut world = World::bare();
    world.repo("r", false);
    world.send("admin", "task.add", json!({ "title": "x" })).unwrap();
    assert_eq!(show(&world, 1).nobody_why.as_deref(), Some("no agent has joined"));
}

#[test]
fn a_failure_is_told_with_its_class_and_its_words() {
    let mut world = World::new();
    add(&mut world, json!({ "max_attempts": 1 }));
    let own = award(&mut world, 1, "codex");
    let usage = json!({ "input_tokens": 7, "output_tokens": 1, "cost_micro_usd": 5 });
    let fail = json!({ "class": "setup", "message": "npm is missing", "usage": usage });
    world.send("codex", "task.fail", with(own, fail)).unwrap();
    let view = show(&world, 1);
    let failure = view.failure.unwrap();
    assert_eq!((failure.attempt, failure.class.as_str()), (1, "setup"));
    let past = &view.attempts[0];
    assert_eq!((past.class.as_deref(), past.spent), (Some("setup"), true));
    assert_eq!(past.usage.cost_micro_usd, Some(5));
    assert_eq!(past.host.as_ref().unwrap().as_str(), "host");
    // Where the words belong is told to whoever has them.
    let query = json!({ "task": "t-1" });
    let bytes = serde_json::to_vec(&query).unwrap();
    let asker = ActorId::new("alice").unwrap();
    let query = Query::parse(asker, "task", &bytes, Encoding::Json).unwrap();
    let value = look(&world.state, &query.what).unwrap();
    let texts = crate::glance::texts(&world.state, &query.what, &value);
    let digest = Digest::of(b"npm is missing");
    let places = ["/attempts/0/message", "/failure/message"].map(|at| (at.to_owned(), digest));
    assert_eq!(texts, places);
}

#[test]
fn what_waits_for_a_person_says_so() {
    let mut world = World::new();
    add(&mut world, json!({ "review": "person" }));
    let own = award(&mut world, 1, "codex");
    world.send("codex", "task.start", own.clone()).unwrap();
    assert!(!show(&world, 1).needs_you);
    let tree = "a".repeat(40);
    let receipt = json!({ "tree": tree, "verdict": "passed", "steps": [], "host": "h" });
    let body = json!({ "receipt": receipt, "commit": "c".repeat(40) });
    world.send("codex", "task.verified", with(own, body)).unwrap();
    let view = show(&world, 1);
    assert!(view.needs_you && view.attempt.is_none());
    assert_eq!(view.waits, ["it waits for a person's review"]);
    let parked = view.parked.unwrap();
    assert_eq!((parked.attempt, parked.approved), (1, false));
    assert_eq!((parked.receipt.tree, parked.commit), (tree, Some("c".repeat(40))));
    assert_eq!(view.attempts[0].why, "parked");
    assert_eq!(view.bids[0].actor.as_str(), "codex");
    world.send("alice", "task.review", json!({ "task": "t-1", "verdict": "approve" })).unwrap();
    let view = show(&world, 1);
    assert!(!view.needs_you && view.parked.unwrap().approved);
    let own = award(&mut world, 1, "claude");
    let attempt = show(&world, 1).attempt.unwrap();
    assert!(attempt.approved && attempt.receipt.is_some());
    world.send("claude", "task.abandon", with(own, json!({ "reason": "no" }))).unwrap();
    // What is behind a lost task needs a person too, and what is behind that says why it waits.
    add(&mut world, json!({}));
    add(&mut world, json!({ "depends_on": ["t-2"] }));
    add(&mut world, json!({ "depends_on": ["t-3"] }));
    world.send("alice", "task.cancel", json!({ "task": "t-2" })).unwrap();
    let view = show(&world, 3);
    assert!(view.needs_you && view.state == "blocked");
    let mut held = world.clone();
    held.send("alice", "task.pause", json!({ "task": "t-3" })).unwrap();
    assert!(!show(&held, 3).needs_you, "a person has done something");
    assert!(view.waits[0].contains("t-2"), "{:?}", view.waits);
    assert_eq!(show(&world, 4).waits, ["it waits for t-3, which is blocked"]);
}

#[test]
fn a_review_shows_who_looks() {
    let mut world = World::new();
    add(&mut world, json!({ "review": "agent" }));
    let own = award(&mut world, 1, "codex");
    world.send("codex", "task.start", own.clone()).unwrap();
    let tree = "a".repeat(40);
    let receipt = json!({ "tree": tree, "verdict": "passed", "steps": [], "host": "h" });
    world.send("codex", "task.verified", with(own, json!({ "receipt": receipt }))).unwrap();
    let view = show(&world, 1);
    assert_eq!(view.reviewer.unwrap().actor.as_str(), "claude");
    assert!(!view.needs_you);
    assert_eq!(view.waits, ["claude reviews it"]);
    let agent = world.state.agents.get(&ActorId::new("claude").unwrap()).unwrap();
    let agent = crate::look::agent_view(&world.state, &ActorId::new("claude").unwrap(), agent);
    assert_eq!((agent.state.as_str(), agent.reviews), ("reviewing", Some(TaskId(1))));
    // Who reviews is somebody who can take the next.
    for name in ["codex", "gemini"] {
        world.send("alice", "agent.drain", json!({ "agent": name })).unwrap();
    }
    add(&mut world, json!({}));
    let view = show(&world, 2);
    assert_eq!((view.nobody_why, view.waits.len()), (None, 3), "{:?}", view.waits);
}

/// What waits for others names them, and says which of them stand still.
#[test]
fn what_waits_for_others_says_what_they_are() {
    let mut world = World::new();
    add(&mut world, json!({ "kind": "plan", "review": "person" }));
    add(&mut world, json!({ "parent": "t-1" }));
    assert_eq!(show(&world, 2).waits, ["it waits for t-1, which plans it"]);
    add(&mut world, json!({}));
    add(&mut world, json!({ "depends_on": ["t-3"] }));
    assert_eq!(show(&world, 4).waits, ["it waits for t-3"]);
    let own = award(&mut world, 1, "codex");
    world.send("codex", "task.start", own.clone()).unwrap();
    let graph = json!([{ "key": "a", "title": "a" }, { "key": "b", "title": "b" }]);
    let plan = json!({ "text": "plan", "graph": graph });
    world.send("codex", "framework.publish", with(own, plan)).unwrap();
    let view = show(&world, 1);
    assert_eq!(view.waits, ["its plan waits for a person's look"]);
    let keys: Vec<String> = view.plan.unwrap().proposed.into_iter().map(|one| one.key).collect();
    assert_eq!(keys, ["a", "b"]);
    let row = crate::look::task_view(&world.state, TaskId(1)).unwrap();
    assert_eq!(row.plan.unwrap().proposed, [], "a list shows no plan in full");
}

/// Of all who land on a branch one has the turn.
#[test]
fn a_turn_is_shown_of_whose_it_is() {
    let mut world = World::new();
    let tree = "a".repeat(40);
    let receipt = json!({ "tree": tree, "verdict": "passed", "steps": [], "host": "h" });
    for (number, who) in [(1, "codex"), (2, "claude")] {
        world.attempt(number, who, json!({ "flow": "merge" }));
        let token = world.token(number);
        let own = json!({ "task": TaskId(number), "attempt": 1, "token": token });
        let verified = with(own.clone(), json!({ "receipt": receipt }));
        world.send(who, "task.verified", verified).unwrap();
        world.send(who, "land.begin", with(own, json!({ "tree": tree }))).unwrap();
    }
    let turn = |number| show(&world, number).attempt.unwrap().turn;
    assert_eq!((turn(1).is_some(), turn(2)), (true, None));
}
