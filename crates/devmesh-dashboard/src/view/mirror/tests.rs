//! Rows stay what the state says, whatever happens: after every record they are compared with
//! rows that are made anew.

use devmesh_domain::Reader;
use devmesh_testkit::desk::Desk;
use serde_json::json;

use super::*;

/// A mirror that follows a desk.
struct Follower {
    desk: Desk,
    reader: Reader,
    mirror: Mirror,
}

impl Follower {
    fn new() -> Self {
        let desk = Desk::new();
        desk.say("alice", "repo.add", json!({ "name": "app", "path": "/srv/app" }));
        let mut follower = Self { desk, reader: Reader::default(), mirror: Mirror::default() };
        follower.follow();
        follower
    }

    /// Takes what is new, and checks that nothing that changed was missed.
    fn follow(&mut self) -> Changes {
        let read = self.reader.chain().stream_seq;
        for entry in self.desk.store().entries() {
            if entry.stream_seq > read {
                for record in self.reader.take(entry.stream_seq, &entry.payload).unwrap() {
                    self.mirror.touch(&record);
                }
            }
        }
        let changes = self.mirror.refresh(self.reader.state());
        assert_eq!(self.mirror.all(), anew(self.reader.state()));
        changes
    }

    fn say(&mut self, actor: &str, verb: &str, body: serde_json::Value) -> Changes {
        let reply = self.desk.say(actor, verb, body.clone());
        assert!(matches!(reply, devmesh_protocol::Reply::Ok { .. }), "{verb} {body}: {reply:?}");
        self.follow()
    }
}

/// The rows of a mirror that sees the state for the first time.
fn anew(state: &State) -> String {
    let mut mirror = Mirror::default();
    mirror.touched.parts.extend(PARTS.iter().map(|(part, _)| *part));
    mirror.refresh(state);
    mirror.all()
}

fn names(changes: &Changes, part: &'static str, name: &str) -> Vec<String> {
    let rows = changes.put.get(part).into_iter().flatten();
    rows.map(|row| serde_json::from_str::<Value>(row).unwrap()[name].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn only_what_changed_is_told() {
    let mut follower = Follower::new();
    let changes = follower.say("alice", "task.add", json!({ "title": "one" }));
    assert_eq!(names(&changes, "tasks", "task"), ["t-1"]);
    assert_eq!(changes.put.len(), 1);
    let changes = follower.say("alice", "task.add", json!({ "title": "two" }));
    assert_eq!(names(&changes, "tasks", "task"), ["t-2"]);
    assert_eq!(follower.follow(), Changes::default());
}

#[test]
fn leases_and_those_who_wait_come_and_go() {
    let mut follower = Follower::new();
    follower.desk.say("admin", "actor.add", json!({ "actor": "bob", "role": "person" }));
    let ask = |wait_ms: u64| json!({ "paths": ["a"], "mode": "write", "wait_ms": wait_ms });
    let held = follower.say("alice", "lock.acquire", ask(0));
    let lease = names(&held, "leases", "lease").remove(0);
    follower.desk.say("bob", "lock.acquire", ask(60_000));
    let waits = follower.follow();
    assert_eq!(names(&waits, "waiters", "actor"), ["bob"]);
    let passed = follower.say("alice", "lock.release", json!({ "leases": [lease] }));
    assert_eq!(passed.cut["leases"], [lease]);
    assert_eq!(passed.cut["waiters"].len(), 1);
    assert_eq!(names(&passed, "leases", "actor"), ["bob"]);
}

/// A task that has waited for ten minutes stands among those who wait, and goes from there in
/// every way there is.
#[test]
fn a_task_that_queues_for_its_paths_comes_and_goes() {
    let ways = [
        ("task.edit", json!({ "task": "t-1", "depends_on": ["t-2"] })),
        ("task.pause", json!({ "task": "t-1" })),
        ("task.cancel", json!({ "task": "t-1" })),
    ];
    for (verb, body) in ways {
        let mut follower = Follower::new();
        let codex = json!({ "tool": "codex", "host": "h", "session": "s" });
        follower.say("codex-1", "agent.join", codex);
        let day = json!({ "paths": ["src/b"], "mode": "write", "ttl_ms": 86_400_000 });
        follower.say("alice", "lock.acquire", day);
        follower.say("alice", "task.add", json!({ "title": "all of it", "paths": ["src/"] }));
        follower.say("alice", "task.add", json!({ "title": "another", "tool": "gemini" }));
        follower.desk.wait(600_000);
        // Something changes on its paths.
        let other = json!({ "paths": ["src/c"], "mode": "write" });
        let held = follower.say("alice", "lock.acquire", other);
        let lease = names(&held, "leases", "lease").remove(0);
        follower.desk.say("alice", "lock.release", json!({ "leases": [lease] }));
        let queued = follower.follow();
        assert_eq!(names(&queued, "waiters", "id"), ["t-1"]);
        let went = follower.say("alice", verb, body);
        assert_eq!(went.cut.get("waiters"), Some(&vec!["t-1".to_owned()]), "{verb} {went:?}");
    }
}

#[test]
fn a_task_that_waits_for_another_changes_with_it() {
    let mut follower = Follower::new();
    follower.say("alice", "task.add", json!({ "title": "first" }));
    follower.say("alice", "task.add", json!({ "title": "then", "depends_on": ["t-1"] }));
    let changes = follower.say("alice", "task.cancel", json!({ "task": "t-1" }));
    assert_eq!(names(&changes, "tasks", "task"), ["t-1", "t-2"]);
    let changes = follower.say("alice", "task.retry", json!({ "task": "t-1" }));
    assert_eq!(names(&changes, "tasks", "task"), ["t-1", "t-2"]);
}

#[test]
fn an_agents_life_is_followed() {
    use devmesh_protocol::command::internal::Internal;
    use devmesh_protocol::event::Bid;
    let mut follower = Follower::new();
    follower.say("codex-1", "agent.join", json!({ "tool": "codex", "host": "h", "session": "s" }));
    follower.say("alice", "task.add", json!({ "title": "one", "paths": ["src/"] }));
    let actor = devmesh_protocol::ActorId::new("codex-1").unwrap();
    let bids =
        vec![Bid { actor: actor.clone(), score: BTreeMap::default(), total: 1, declined: None }];
    follower.desk.put_in(Internal::AuctionClose { task: TaskId(1), bids });
    let awarded = follower.follow();
    assert_eq!(names(&awarded, "agents", "state"), ["working"]);
    assert_eq!(names(&awarded, "leases", "path"), ["src/"]);
    let session = devmesh_protocol::SessionId::new("s").unwrap();
    follower.desk.put_in(Internal::SessionSilent { actor, session, silent_ms: 60_000 });
    let lost = follower.follow();
    assert_eq!(lost.cut["agents"], ["codex-1"]);
    assert_eq!(names(&lost, "tasks", "state"), ["queued"]);
}

#[test]
fn of_ended_tasks_the_newest_are_kept() {
    let mut follower = Follower::new();
    let more = 5;
    for n in 1..=ENDED_TASKS_MAX + more {
        follower.desk.say("alice", "task.add", json!({ "title": "x" }));
        follower.desk.say("alice", "task.cancel", json!({ "task": format!("t-{n}") }));
        if n % 400 == 0 {
            follower.follow();
        }
    }
    let changes = follower.follow();
    assert_eq!(follower.mirror.tasks.len(), ENDED_TASKS_MAX);
    assert_eq!(changes.cut["tasks"].len(), more);
    assert_eq!(follower.mirror.tasks.first_key_value().unwrap().0, &TaskId(more as u64 + 1));
}

#[test]
fn nothing_is_left_of_what_is_null_or_empty() {
    let value =
        json!({ "a": null, "b": [], "c": {}, "d": "", "e": 0, "f": false, "g": { "h": null } });
    assert_eq!(slim(value), json!({ "e": 0, "f": false }));
}
