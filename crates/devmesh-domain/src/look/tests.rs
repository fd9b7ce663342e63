//! What queries show.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::limits::strain::START_GAP_MS;
use devmesh_protocol::query::Query;
use devmesh_protocol::view::{
    AgentView, HostView, LeaseView, MeshView, NoteView, RepoView, TaskView, WaiterView,
};
use devmesh_protocol::{ActorId, At, HostId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::look;
use crate::invariant::world::{AGENTS, World, idle_host};

fn ask(world: &World, name: &str, body: Value) -> Result<Value, String> {
    let bytes = serde_json::to_vec(&body).unwrap();
    let query = Query::parse(ActorId::new("alice").unwrap(), name, &bytes, Encoding::Json).unwrap();
    look(&world.state, &query.what).map_err(|refused| refused.code.as_str().to_owned())
}

fn list<T: DeserializeOwned>(world: &World, query: &str, name: &str, body: Value) -> Vec<T> {
    let value = ask(world, query, body).unwrap();
    serde_json::from_value(value[name].clone()).expect(name)
}

fn add(world: &mut World, body: Value) {
    let mut task = json!({ "title": "x" });
    task.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    world.send("alice", "task.add", task).unwrap();
}

#[test]
fn the_mesh_in_numbers() {
    let mut world = World::new();
    add(&mut world, json!({}));
    add(&mut world, json!({}));
    world.send("alice", "task.cancel", json!({ "task": "t-1" })).unwrap();
    world.step("alice write a");
    world.step("bob write a wait 5000");
    let view: MeshView = serde_json::from_value(ask(&world, "state", json!({})).unwrap()).unwrap();
    assert_eq!((view.seq, view.agents, view.leases, view.waiters), (world.state.seq, 3, 1, 1));
    assert_eq!(view.tasks, [("cancelled".to_owned(), 1), ("queued".to_owned(), 1)].into());
    assert_eq!(view.architect.unwrap().as_str(), "codex");
}

/// A day begins at midnight of UTC, and with it the day's money.
#[test]
fn the_budget_is_of_the_day() {
    let mut world = World::new();
    let budget = |world: &World| {
        let view: MeshView =
            serde_json::from_value(ask(world, "state", json!({})).unwrap()).unwrap();
        let budget = view.budget.unwrap();
        (budget.day, budget.spent_usd.micro, budget.limit_usd.micro)
    };
    world.attempt(1, "codex", json!({}));
    let day_ms = 86_400_000;
    world.at = At(3 * day_ms - 1);
    let usage = json!({ "input_tokens": 1, "output_tokens": 1, "cost_micro_usd": 700 });
    let token = world.token(1);
    let body = json!({
        "task": "t-1", "attempt": 1, "token": token, "tool_session": "s", "usage": usage,
    });
    world.send("codex", "task.progress", body).unwrap();
    assert_eq!(budget(&world), (At(2 * day_ms), 700, 50_000_000));
    world.at = At(3 * day_ms);
    world.send("alice", "task.say", json!({ "task": "t-1", "text": "go on" })).unwrap();
    assert_eq!(budget(&world), (At(3 * day_ms), 0, 50_000_000));
}

#[test]
fn tasks_in_parts() {
    let mut world = World::new();
    for n in 0..7 {
        add(&mut world, json!({ "priority": n % 5 }));
    }
    world.send("alice", "task.cancel", json!({ "task": "t-3" })).unwrap();
    let ids = |body| -> Vec<u64> {
        let tasks: Vec<TaskView> = list(&world, "tasks", "tasks", body);
        tasks.iter().map(|task| task.task.0).collect()
    };
    assert_eq!(ids(json!({})), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ids(json!({ "limit": 2 })), [1, 2]);
    assert_eq!(ids(json!({ "limit": 2, "after": "t-2" })), [3, 4]);
    assert_eq!(ids(json!({ "after": "t-7" })), [] as [u64; 0]);
    assert_eq!(ids(json!({ "state": "cancelled" })), [3]);
    assert_eq!(ids(json!({ "state": "queued", "limit": 3 })), [1, 2, 4]);
    assert_eq!(ids(json!({ "state": "working" })), [] as [u64; 0]);
    assert_eq!(ids(json!({ "state": "no such" })), [] as [u64; 0]);
    assert_eq!(ids(json!({ "repo": "other" })), [] as [u64; 0]);
    assert_eq!(ids(json!({ "review": "person" })), [] as [u64; 0]);
}

/// What waits for a person is found by it, and so is what waits for agents.
#[test]
fn tasks_by_who_is_to_review_them() {
    let mut world = World::new();
    let tree = "a".repeat(40);
    for (number, review) in [(1, "person"), (2, "agent")] {
        world.attempt(number, "codex", json!({ "review": review }));
        let receipt = json!({ "tree": tree, "verdict": "passed", "steps": [], "host": "h" });
        let body = json!({
            "task": format!("t-{number}"), "attempt": 1, "token": world.token(number),
            "receipt": receipt,
        });
        world.send("codex", "task.verified", body).unwrap();
    }
    // It asks for a person's review and is not there yet.
    add(&mut world, json!({ "review": "person" }));
    let ids = |review: &str| -> Vec<u64> {
        let tasks: Vec<TaskView> = list(&world, "tasks", "tasks", json!({ "review": review }));
        tasks.iter().map(|task| task.task.0).collect()
    };
    assert_eq!((ids("person"), ids("agent")), (vec![1], vec![2]));
}

#[test]
fn a_list_fits_a_message() {
    let mut world = World::new();
    let paths: Vec<String> = (0..128).map(|n| format!("{}{n}", "long/".repeat(120))).collect();
    for _ in 0..20 {
        add(&mut world, json!({ "paths": paths }));
    }
    let tasks = ask(&world, "tasks", json!({})).unwrap();
    let shown = tasks["tasks"].as_array().unwrap().len();
    assert!((1..20).contains(&shown) && tasks.to_string().len() < 1_000_000, "{shown}");
}

#[test]
fn one_task_in_full() {
    let mut world = World::new();
    assert_eq!(ask(&world, "task", json!({ "task": "t-1" })).unwrap_err(), "TASK_NOT_FOUND");
    add(&mut world, json!({ "prompt": "do it", "max_cost_usd": 2.5 }));
    world.send("bob", "task.say", json!({ "task": "t-1", "text": "soon" })).unwrap();
    let view: TaskView =
        serde_json::from_value(ask(&world, "task", json!({ "task": "t-1" })).unwrap()).unwrap();
    assert_eq!((view.state.as_str(), view.said.len()), ("queued", 1));
    assert_eq!((view.said[0].by.as_str(), view.said[0].kind.as_str()), ("bob", "say"));
    assert_eq!(view.max_cost_usd.micro, 2_500_000);
}

/// A task without commands of its own shows the repository's.
#[test]
fn what_proves_a_task() {
    let mut world = World::new();
    let repo = json!({ "name": "r", "path": "/r", "verify": ["make test"] });
    world.send("alice", "repo.add", repo).unwrap();
    add(&mut world, json!({}));
    add(&mut world, json!({ "verify": ["make one"] }));
    let tasks: Vec<TaskView> = list(&world, "tasks", "tasks", json!({}));
    assert_eq!(tasks[0].verify, ["make test"]);
    assert_eq!(tasks[1].verify, ["make one"]);
}

#[test]
fn agents_and_hosts() {
    let mut world = World::new();
    let states = |world: &World| -> Vec<String> {
        let agents: Vec<AgentView> = list(world, "agents", "agents", json!({}));
        agents
            .into_iter()
            .map(|agent| format!("{} {} {}", agent.agent, agent.role, agent.state))
            .collect()
    };
    assert_eq!(states(&world), ["claude agent idle", "codex architect idle", "gemini agent idle"]);
    world.send("alice", "agent.drain", json!({ "agent": "claude" })).unwrap();
    world.silent("gemini", 20_000);
    assert_eq!(
        states(&world),
        ["claude agent draining", "codex architect idle", "gemini agent silent"]
    );
    let after: Vec<AgentView> =
        list(&world, "agents", "agents", json!({ "after": "claude", "limit": 1 }));
    assert_eq!(after[0].agent.as_str(), "codex");
    let hosts: Vec<HostView> = list(&world, "hosts", "hosts", json!({}));
    assert_eq!((hosts.len(), hosts[0].host.as_str()), (1, "host"));
    assert_eq!(ask(&world, "agents", json!({ "after": "No Name" })).unwrap_err(), "BAD_REQUEST");
}

/// What a host has, what is reserved of it and what it measures stand beside one another: one
/// never passes for another. The sample itself is soft state, and not of the log.
#[test]
fn the_gauge_shows_what_is_reserved_as_what_is_used() {
    let mut world = World::new();
    let host = HostId::new("host").unwrap();
    let capacity = Capacity { ram_mb: 4_000, vram_mb: vec![8_000, 16_000], slots: 4 };
    world.internal(Internal::HostMeasured { host, capacity: capacity.clone(), report: None });
    let needs = json!({ "ram_mb": 1_000, "vram_mb": 9_000 });
    let body = json!({ "tool": "x", "host": "host", "session": "ada", "needs": needs });
    world.send("ada", "agent.join", body).unwrap();
    let shown = |world: &World| -> HostView {
        list::<HostView>(world, "hosts", "hosts", json!({})).remove(0)
    };
    let before = shown(&world);
    assert_eq!((before.ram_reserved_mb, before.slots_taken), (0, 0));
    world.attempt(1, "ada", json!({}));
    let after = shown(&world);
    assert_eq!((after.ram_reserved_mb, after.slots_taken), (1_000, 1));
    assert_eq!(after.vram_reserved_mb, [0, 9_000]);
    assert_eq!((&after.capacity, after.report), (&capacity, None), "nothing was measured anew");
}

/// On a busy host starts are spread out: until when, and not from then on.
#[test]
fn a_busy_host_shows_when_the_next_may_start() {
    let mut world = World::new();
    let mut report = idle_host("host");
    report.load1_milli = 90_000;
    world.reported(&report);
    let starts_at = |world: &World| {
        let host = list::<HostView>(world, "hosts", "hosts", json!({})).remove(0);
        assert!(host.strained[0].starts_with("load 90.00"), "{:?}", host.strained);
        host.starts_at
    };
    assert_eq!(starts_at(&world), None, "nothing has started there");
    world.attempt(1, "codex", json!({}));
    let then = world.at + START_GAP_MS;
    assert_eq!(starts_at(&world), Some(then));
    let say = json!({ "task": "t-1", "text": "x" });
    for (at, shown) in [(At(then.0 - 1), Some(then)), (then, None), (At(then.0 + 1), None)] {
        world.at = at;
        world.send("alice", "task.say", say.clone()).unwrap();
        assert_eq!(starts_at(&world), shown, "{at}");
    }
}

#[test]
fn leases_and_who_waits() {
    let mut world = World::new();
    for step in ["alice write a", "bob read b/c", "codex read b/d", "carol write a wait 60000"] {
        world.step(step);
    }
    let leases = |body| -> Vec<String> {
        let leases: Vec<LeaseView> = list(&world, "locks", "leases", body);
        leases.iter().map(|lease| lease.path.to_string()).collect()
    };
    assert_eq!(leases(json!({})), ["a", "b/c", "b/d"]);
    assert_eq!(leases(json!({ "path": "b/" })), ["b/c", "b/d"]);
    assert_eq!(leases(json!({ "actor": "bob" })), ["b/c"]);
    assert_eq!(leases(json!({ "limit": 1 })), ["a"]);
    let first = world.lease_of("alice", "a");
    assert_eq!(leases(json!({ "after": first, "limit": 1 })), ["b/c"]);
    let waiters: Vec<WaiterView> = list(&world, "locks", "waiters", json!({}));
    assert_eq!((waiters[0].actor.as_str(), waiters[0].waits_for[0].as_str()), ("carol", "alice"));
    world.step("dave write b wait 60000");
    let waiters = |body| -> Vec<String> {
        let waiters: Vec<WaiterView> = list(&world, "locks", "waiters", body);
        waiters.iter().map(|waiter| waiter.actor.to_string()).collect()
    };
    assert_eq!(waiters(json!({})), ["carol", "dave"]);
    assert_eq!(waiters(json!({ "actor": "carol" })), ["carol"]);
    assert_eq!(waiters(json!({ "path": "b/x" })), ["dave"]);
    assert_eq!(waiters(json!({ "actor": "carol", "path": "b/x" })), [] as [&str; 0]);
}

#[test]
fn what_a_request_would_meet() {
    let mut world = World::new();
    world.step("alice write a/b");
    let check = |paths: &[&str], mode: &str| -> (bool, usize) {
        let answer = ask(&world, "lock.check", json!({ "paths": paths, "mode": mode })).unwrap();
        (answer["free"].as_bool().unwrap(), answer["holders"].as_array().unwrap().len())
    };
    assert_eq!(check(&["a"], "read"), (false, 1));
    assert_eq!(check(&["a", "a/b", "a/b/c"], "read"), (false, 1));
    assert_eq!(check(&["a/c"], "write"), (true, 0));
    let seq = world.state.seq;
    assert_eq!(world.step("bob write a/c"), "bob has write a/c");
    assert_eq!(world.state.seq, seq + 1, "and looking took nothing");
    let other = json!({ "paths": ["a"], "mode": "read", "repo": "other" });
    assert_eq!(ask(&world, "lock.check", other).unwrap_err(), "BAD_REQUEST");
}

#[test]
fn repositories_notes_and_settings() {
    let mut world = World::new();
    let repos: Vec<RepoView> = list(&world, "repos", "repos", json!({}));
    assert_eq!((repos[0].repo.as_str(), repos[0].landing), ("r", None));
    for key in ["b", "a"] {
        world.send("alice", "note.share", json!({ "key": key, "value": "v" })).unwrap();
    }
    let notes: Vec<NoteView> = list(&world, "notes", "notes", json!({}));
    assert_eq!(notes.iter().map(|note| &*note.key).collect::<Vec<_>>(), ["a", "b"]);
    let notes: Vec<NoteView> = list(&world, "notes", "notes", json!({ "after": "a" }));
    assert_eq!(notes.len(), 1);
    world.send("alice", "setting.set", json!({ "key": "hot", "value": ["x"] })).unwrap();
    let settings = ask(&world, "settings", json!({})).unwrap();
    assert_eq!(settings["settings"], json!({ "hot": ["x"] }));
    let known = settings["known"].as_array().unwrap();
    assert!(known.len() > 5);
    for one in known {
        let words = ["key", "takes", "about"].map(|field| one[field].as_str().unwrap());
        assert!(words.iter().all(|word| !word.is_empty()), "{words:?}");
    }
}

#[test]
fn why_a_task_stands_where_it_does() {
    let mut world = World::new();
    let now = |world: &World, task: &str| -> String {
        let why = ask(world, "why", json!({ "about": task })).unwrap();
        assert!(!why["chain"].as_array().unwrap().is_empty());
        why["now"].to_string()
    };
    add(&mut world, json!({ "tool": "codex" }));
    assert!(now(&world, "t-1").contains("claude: its tool is custom, and codex is asked for"));
    add(&mut world, json!({ "depends_on": ["t-1"] }));
    assert!(now(&world, "t-2").contains("it waits for t-1"));
    world.send("alice", "task.cancel", json!({ "task": "t-1" })).unwrap();
    assert!(now(&world, "t-2").contains("t-1, which it depends on, was not completed"));
    add(&mut world, json!({}));
    assert!(now(&world, "t-3").contains("bids are taken until"));
    world.send("alice", "task.pause", json!({ "task": "t-3" })).unwrap();
    assert!(now(&world, "t-3").contains("it is held"));
    for name in AGENTS {
        world.send(name, "agent.leave", json!({})).unwrap();
    }
    add(&mut world, json!({}));
    assert!(now(&world, "t-4").contains("no agent has joined"));
    world.step("bob write a");
    let lease = world.lease_of("bob", "a").to_string();
    assert!(ask(&world, "why", json!({ "about": lease })).is_ok());
    assert_eq!(ask(&world, "why", json!({ "about": "l-1-1" })).unwrap_err(), "BAD_REQUEST");
    assert_eq!(ask(&world, "why", json!({ "about": "t-99" })).unwrap_err(), "TASK_NOT_FOUND");
    assert_eq!(ask(&world, "why", json!({ "about": "nobody" })).unwrap_err(), "BAD_REQUEST");
}

/// Each link names the record that it came of.
#[test]
fn a_chain_leads_from_what_was_to_what_came_of_it() {
    let mut world = World::new();
    let because = |world: &World, about: &str| -> Vec<Value> {
        let chain = ask(world, "why", json!({ "about": about })).unwrap()["chain"].clone();
        chain.as_array().unwrap().iter().map(|link| link["because"].clone()).collect()
    };
    world.attempt(1, "codex", json!({ "paths": ["a"], "flow": "merge" }));
    let token = json!(world.token(1));
    let lease = |world: &World, path: &str| world.lease_of("codex", path).to_string();
    assert_eq!(because(&world, &lease(&world, "a")), [Value::Null], "it came with the award");
    world.step("codex write b task t-1");
    let later = because(&world, &lease(&world, "b"));
    assert_eq!(later, std::slice::from_ref(&token));
    world.step("alice write c");
    let persons = world.lease_of("alice", "c").to_string();
    assert_eq!(because(&world, &persons), [Value::Null]);
    let tree = "b".repeat(40);
    let own = |more: Value| {
        let mut own = json!({ "task": "t-1", "attempt": 1, "token": token });
        own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        own
    };
    let receipt = json!({ "tree": tree, "verdict": "passed", "steps": [], "host": "h" });
    let added = json!(world.state.tasks.values().next().unwrap().added_seq);
    assert_eq!(because(&world, "t-1"), [Value::Null, added]);
    let landed = json!({ "commit": "c".repeat(40), "tree": tree });
    for (verb, body) in [
        ("task.verified", own(json!({ "receipt": receipt }))),
        ("land.begin", own(json!({ "tree": tree }))),
        ("land.end", own(landed)),
    ] {
        world.send("codex", verb, body).unwrap();
    }
    let landed_at = json!(world.state.seq);
    world.send("codex", "task.complete", own(json!({}))).unwrap();
    assert_eq!(because(&world, "t-1"), [Value::Null, landed_at]);
}

#[test]
fn what_a_person_changes_by_hand_is_a_reason() {
    let mut world = World::new();
    for name in crate::invariant::world::AGENTS {
        world.send(name, "agent.drain", json!({ "agent": name })).ok();
        world.send("alice", "agent.drain", json!({ "agent": name })).ok();
    }
    world.send("alice", "checkout.report", json!({ "paths": ["src/a.rs"] })).unwrap();
    add(&mut world, json!({ "title": "x", "paths": ["src/"] }));
    let why = ask(&world, "why", json!({ "about": "t-1" })).unwrap()["now"].to_string();
    assert!(why.contains("alice changes src/a.rs by hand: other work goes first"), "{why}");
}

#[test]
fn why_somebody_waits_and_until_when() {
    let mut world = World::new();
    for (n, who) in [(1, "codex"), (2, "claude")] {
        world.attempt(n, who, json!({}));
    }
    let start = world.state.at.0;
    world.step("codex write src/ task t-1");
    world.step("claude write src/a wait 60000 id w1 task t-2");
    world.step("alice write src/a b wait 9000 id w2");
    let waits = |world: &World, body: Value| -> Vec<Value> {
        ask(world, "lock.why", body).unwrap()["waits"].as_array().unwrap().clone()
    };
    let [claude, alice] = &waits(&world, json!({}))[..] else { panic!("two wait") };
    assert_eq!((&claude["id"], &claude["position"]), (&json!("w1"), &json!(1)));
    assert_eq!(claude["holders"][0]["path"], "src/");
    assert_eq!(claude["holders"][0]["ends"], "with t-1");
    assert_eq!(claude["expected_at"], json!(devmesh_protocol::At(start + 30_000)));
    let reason = claude["reason"].as_str().unwrap();
    assert!(reason.starts_with("src/ is held by codex for t-1 (write); it is shared"), "{reason}");
    // A person waits until the attempt ends, and behind claude.
    assert_eq!((&alice["position"], &alice["ahead"][0]["actor"]), (&json!(2), &json!("claude")));
    assert_eq!(alice["expected_at"], json!(devmesh_protocol::At(start + 3_600_000)));
    for (body, n) in [
        (json!({ "actor": "claude" }), 1),
        (json!({ "actor": "bob" }), 0),
        (json!({ "id": "w2" }), 1),
        (json!({ "id": "w3" }), 0),
        (json!({ "task": "t-2" }), 1),
        (json!({ "task": "t-9" }), 0),
        (json!({ "path": "b" }), 1),
        (json!({ "path": "src" }), 2),
        (json!({ "path": "docs" }), 0),
        (json!({ "limit": 1 }), 1),
    ] {
        assert_eq!(waits(&world, body.clone()).len(), n, "{body}");
    }
    let over = ask(&world, "lock.why", json!({ "path": "src/a/x" })).unwrap();
    assert_eq!(over["holders"][0]["actor"], "codex");
    // Behind another waiter nothing but the end of that wait is sure.
    world.step("codex release src");
    let [alice] = &waits(&world, json!({}))[..] else { panic!("claude has it") };
    assert_eq!(alice["holders"][0]["actor"], "claude");
    assert_eq!(alice["holders"][0]["ends"], "with t-2");
}

#[test]
fn a_check_says_when_and_why() {
    let mut world = World::new();
    world.step("alice write a ttl 60000");
    world.step("bob write b");
    world.step("carol write a wait 9000");
    let check = |world: &World, path: &str, mode: &str| {
        ask(world, "lock.check", json!({ "paths": [path], "mode": mode })).unwrap()
    };
    let held = check(&world, "a", "write");
    let until = json!(world.state.leases.values().next().unwrap().expires_at);
    assert_eq!((&held["would"], &held["expected_at"]), (&json!("wait"), &until));
    assert_eq!(held["ahead"][0]["actor"], "carol");
    assert!(held["reason"].as_str().unwrap().starts_with("a is held by alice (write)"), "{held}");
    let free = check(&world, "c", "write");
    assert_eq!((&free["would"], &free["free"]), (&json!("grant"), &json!(true)));
    // What is hot is no less held by a person.
    world.step("alice write Cargo.lock");
    assert_eq!(check(&world, "Cargo.lock", "write")["free"], false);
    world.send("bob", "checkout.report", json!({ "paths": ["c"] })).unwrap();
    assert_eq!(check(&world, "c", "write")["advisory"][0]["holder"], "you");
}

/// The lists of leases look only at what is asked for, and show the same.
#[test]
fn leases_on_a_path_and_of_an_actor() {
    let mut world = World::new();
    world.repo("mac", true);
    world.step("alice write repo r src/a src/b docs");
    world.step("alice write repo mac SRC/A");
    world.step("bob read repo r lib");
    let paths = |body: Value| -> Vec<String> {
        let leases: Vec<LeaseView> = list(&world, "locks", "leases", body);
        leases.iter().map(|lease| format!("{}:{}", lease.repo, lease.path)).collect()
    };
    assert_eq!(paths(json!({ "path": "src/a" })), ["r:src/a", "mac:SRC/A"]);
    assert_eq!(paths(json!({ "path": "src", "limit": 2 })), ["r:src/a", "r:src/b"]);
    assert_eq!(paths(json!({ "actor": "bob" })), ["r:lib"]);
    assert_eq!(paths(json!({ "actor": "alice", "path": "docs/x" })), ["r:docs"]);
    assert_eq!(paths(json!({})).len(), 5);
    let second = world.lease_of("alice", "src/b").to_string();
    assert_eq!(paths(json!({ "path": ".", "after": second })).len(), 3);
    assert_eq!(paths(json!({ "actor": "alice", "after": second })), ["r:docs", "mac:SRC/A"]);
}
