//! What callers are told, at once, after waiting, and again.

mod told;

use devmesh_protocol::command::Encoding;
use devmesh_protocol::limits::RECEIPTS_PER_ACTOR_MAX;
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{Code, Command, CommandId, Event, Rejection, Reply};
use serde_json::{Value, json};

use super::{Answer, Known, answers, immediate, known};
use crate::fold::fold;
use crate::invariant::world::{World, actor};
use crate::state::State;

/// A desk as the coordinator's: known commands are answered again, new ones decided.
struct Desk {
    world: World,
    /// What was answered, in order, of waits too.
    answered: Vec<Answer>,
    ids: u64,
}

impl Desk {
    fn new() -> Desk {
        Desk { world: World::new(), answered: Vec::new(), ids: 0 }
    }

    fn command(&mut self, who: &str, verb: &str, mut body: Value) -> Command {
        self.ids += 1;
        if self.world.state.agents.contains_key(&actor(who)) && body.get("session").is_none() {
            body["session"] = json!(who);
        }
        let mint = || CommandId::new(&format!("d-{}", self.ids)).unwrap();
        let bytes = serde_json::to_vec(&body).unwrap();
        Command::parse(actor(who), verb, &bytes, Encoding::Json, mint).unwrap()
    }

    /// The answer to a command, none while it waits.
    fn take(&mut self, command: &Command) -> Option<Reply> {
        let state = &self.world.state;
        match known(state, command, self.world.at) {
            Known::Waiting => return None,
            Known::Refused(error) => return Some(Reply::Err { seq: None, error }),
            Known::Answered { seq } => {
                let record = &self.world.records[seq as usize - 1];
                let mut again = answers(state, record).into_iter();
                let own = again.find(|a| a.id == command.id && a.actor == command.actor);
                return Some(own.expect("what was answered is answered again").reply);
            }
            Known::New => {}
        }
        let events = match crate::decide(state, command, self.world.at) {
            Ok(events) if events.is_empty() => return Some(immediate(state, command)),
            Ok(events) => events,
            Err(rejection) => {
                let events = crate::decide::refusal(state, command, &rejection, self.world.at);
                if events.is_empty() {
                    return Some(Reply::Err { seq: None, error: rejection });
                }
                events
            }
        };
        let before = self.answered.len();
        self.world.record(Some(command), events);
        self.collect();
        loop {
            let events = crate::follow(&self.world.state, self.world.at);
            if events.is_empty() {
                break;
            }
            self.world.happened(events);
            self.collect();
        }
        let mut new = self.answered[before..].iter();
        new.find(|a| a.id == command.id && a.actor == command.actor).map(|a| a.reply.clone())
    }

    fn collect(&mut self) {
        let record = self.world.records.last().unwrap();
        self.answered.extend(answers(&self.world.state, record));
    }

    fn send(&mut self, who: &str, verb: &str, body: Value) -> Option<Reply> {
        let command = self.command(who, verb, body);
        self.take(&command)
    }

    fn ok(&mut self, who: &str, verb: &str, body: Value) -> Value {
        match self.send(who, verb, body.clone()) {
            Some(Reply::Ok { result, .. }) => result,
            other => panic!("{who} {verb} {body}: {other:?}"),
        }
    }

    /// What the wait under that id came to.
    fn waited(&self, id: &str) -> Option<&Reply> {
        self.answered.iter().find(|answer| answer.id.as_str() == id).map(|answer| &answer.reply)
    }

    fn own(&self, number: u64) -> Value {
        let task = self.world.state.tasks.get(&devmesh_protocol::TaskId(number)).unwrap();
        let attempt = task.attempt.as_ref().unwrap();
        json!({ "task": format!("t-{number}"), "attempt": attempt.number, "token": attempt.token })
    }

    fn award(&mut self, number: u64, who: &str) {
        let bid = devmesh_protocol::event::Bid {
            actor: actor(who),
            score: Default::default(),
            total: 0,
            declined: None,
        };
        let task = devmesh_protocol::TaskId(number);
        let close =
            devmesh_protocol::command::internal::Internal::AuctionClose { task, bids: vec![bid] };
        self.world.internal(close);
    }
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn code(reply: &Reply) -> &str {
    match reply {
        Reply::Ok { .. } => "ok",
        Reply::Err { error, .. } => error.code.as_str(),
    }
}

#[test]
fn leases_are_answered_as_granted() {
    let mut desk = Desk::new();
    let body = json!({ "paths": ["src/", "doc"], "mode": "write", "ttl_ms": 60000 });
    let result = desk.ok("alice", "lock.acquire", body.clone());
    let seq = desk.world.state.seq;
    let leases = result["leases"].as_array().unwrap();
    assert_eq!(leases.len(), 2);
    for lease in leases {
        assert_eq!(lease["token"], json!(seq));
        assert_eq!(lease["mode"], "write");
        assert_eq!(lease["expires_at"], "1970-01-01T00:17:40.000Z");
        assert!(lease["lease"].as_str().unwrap().starts_with(&format!("l-{seq}-")));
    }
    // Asked for again under another id: the same leases, and nothing recorded.
    let again = desk.send("alice", "lock.acquire", body).unwrap();
    assert_eq!(again.seq(), None);
    let Reply::Ok { result: again, .. } = again else { panic!() };
    let ids = |value: &Value| -> Vec<String> {
        let leases = value["leases"].as_array().unwrap();
        let mut ids: Vec<String> = leases.iter().map(|l| l["lease"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&again), ids(&result));
    let agent = desk.ok("codex", "lock.acquire", json!({ "paths": ["x"], "mode": "read" }));
    assert_eq!(agent["leases"][0]["expires_at"], Value::Null);
    let freed = desk.ok("codex", "lock.release", json!({ "paths": ["x"] }));
    assert_eq!(freed["released"][0], agent["leases"][0]["lease"]);
}

/// The same id gets the same answer, whatever has happened since; another body under it is none.
#[test]
fn the_same_id_gets_the_same_answer() {
    let mut desk = Desk::new();
    let cases = [
        ("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" })),
        ("bob", "lock.acquire", json!({ "paths": ["a"], "mode": "write" })),
        ("alice", "lock.acquire", json!({ "paths": ["b"], "mode": "read" })),
        ("alice", "note.share", json!({ "key": "k", "value": "v" })),
        ("alice", "setting.set", json!({ "key": "share_after_ms", "value": 5 })),
        ("alice", "mesh.pause", json!({})),
        ("alice", "mesh.resume", json!({})),
        ("codex", "framework.publish", json!({ "text": "plan" })),
        ("codex", "framework.read", json!({ "version": 1 })),
        ("alice", "redact", json!({ "digest": "cd".repeat(32) })),
        ("alice", "agent.drain", json!({ "agent": "gemini" })),
        ("bob", "task.retry", json!({ "task": "t-1" })),
        ("admin", "actor.add", json!({ "actor": "frank", "role": "viewer" })),
        ("alice", "lock.acquire", json!({ "paths": ["b"], "mode": "write" })),
    ];
    desk.ok("alice", "task.add", json!({ "title": "x" }));
    let mut given = Vec::new();
    for (who, verb, body) in cases {
        let command = desk.command(who, verb, body);
        let reply = desk.take(&command).expect(verb);
        given.push((command, reply));
    }
    desk.ok("alice", "lock.release", json!({ "paths": ["a", "b"] }));
    desk.ok("alice", "task.cancel", json!({ "task": "t-1" }));
    let seq = desk.world.state.seq;
    for (command, reply) in &given {
        let again = desk.take(command).expect("it does not wait");
        assert_eq!(again, *reply, "{}", command.verb.name());
        let mut other = command.clone();
        other.verb = desk.command("alice", "task.say", json!({ "task": "t-1", "text": "x" })).verb;
        assert_eq!(code(&desk.take(&other).unwrap()), "BAD_REQUEST");
    }
    assert_eq!(desk.world.state.seq, seq, "nothing was done twice");
    assert_eq!(code(&given[1].1), "LOCK_CONFLICT");
    assert_eq!(code(&given[11].1), "TASK_STATE_ERROR");
}

/// An id is its actor's own.
#[test]
fn nobody_reads_anothers_answer() {
    let mut desk = Desk::new();
    let body = json!({ "id": "same", "paths": ["a"], "mode": "read" });
    let first = desk.send("alice", "lock.acquire", body.clone()).unwrap();
    let second = desk.send("bob", "lock.acquire", body).unwrap();
    assert_ne!(first.seq(), second.seq());
}

#[test]
fn who_waits_is_answered_once_it_is_over() {
    let acquire = |id: &str, wait_ms: u64| {
        let paths = ["a"];
        json!({ "id": id, "paths": paths, "mode": "write", "wait_ms": wait_ms })
    };
    let mut desk = Desk::new();
    desk.ok("alice", "lock.acquire", acquire("w-0", 0));
    let waits = desk.command("bob", "lock.acquire", acquire("w-1", 60_000));
    assert_eq!(desk.take(&waits), None);
    assert_eq!(known(&desk.world.state, &waits, desk.world.at), Known::Waiting);
    assert_eq!(desk.take(&waits), None, "asked again it still waits");
    assert_eq!(desk.send("codex", "lock.acquire", acquire("w-2", 60_000)), None);
    assert_eq!(desk.send("claude", "lock.acquire", acquire("w-3", 60_000)), None);
    assert_eq!(desk.send("carol", "lock.acquire", acquire("w-4", 60_000)), None);
    desk.ok("carol", "lock.release", json!({ "ids": ["w-4"] }));
    assert_eq!(code(desk.waited("w-4").unwrap()), "LOCK_TIMEOUT");
    desk.ok("claude", "agent.leave", json!({}));
    assert_eq!(code(desk.waited("w-3").unwrap()), "STALE_TOKEN", "it went with its session");
    assert!(desk.waited("w-1").is_none());
    desk.ok("alice", "lock.release", json!({ "paths": ["a"] }));
    let granted = desk.waited("w-1").unwrap().clone();
    let Reply::Ok { result, seq } = &granted else { panic!("{granted:?}") };
    assert_eq!(result["leases"][0]["token"], json!(seq));
    assert_eq!(desk.take(&waits).unwrap(), granted, "and asked again it is the same");
}

#[test]
fn a_wait_that_is_over_in_vain() {
    let mut desk = Desk::new();
    let acquire = |id: &str| json!({ "id": id, "paths": ["a"], "mode": "write", "wait_ms": 1000 });
    desk.ok("alice", "lock.acquire", acquire("w-0"));
    let waits = desk.command("bob", "lock.acquire", acquire("w-1"));
    assert_eq!(desk.take(&waits), None);
    desk.world.after(1_000);
    let reply = desk.take(&waits).unwrap();
    assert_eq!(code(&reply), "LOCK_TIMEOUT");
    assert!(reply.seq().is_some(), "it is on record");
}

#[test]
fn a_turn_is_answered_when_it_comes() {
    let mut desk = Desk::new();
    let tree = "a".repeat(40);
    for (number, who) in [(1, "codex"), (2, "claude")] {
        desk.ok("alice", "task.add", json!({ "title": "x" }));
        desk.award(number, who);
        let own = desk.own(number);
        desk.ok(who, "task.start", own.clone());
        let receipt = json!({ "tree": tree, "verdict": "passed", "steps": [], "host": "h" });
        desk.ok(who, "task.verified", with(own, json!({ "receipt": receipt })));
    }
    let begin = |desk: &Desk, n| with(desk.own(n), json!({ "tree": tree, "id": format!("b-{n}") }));
    let turn = desk.ok("codex", "land.begin", begin(&desk, 1));
    assert_eq!(turn["turn"], json!(desk.world.state.seq));
    assert_eq!((&turn["target"], &turn["head"]), (&json!("devmesh/landed/main"), &Value::Null));
    let waits = desk.command("claude", "land.begin", begin(&desk, 2));
    assert_eq!(desk.take(&waits), None);
    let commit = "d".repeat(40);
    let landed = with(desk.own(1), json!({ "commit": commit, "tree": tree }));
    desk.ok("codex", "land.end", landed.clone());
    let turn = desk.waited("b-2").unwrap().clone();
    let Reply::Ok { result, seq } = &turn else { panic!("{turn:?}") };
    assert_eq!((&result["turn"], &result["head"]), (&json!(seq), &json!(commit)));
    assert_eq!(desk.take(&waits).unwrap(), turn);
    // A report that comes late gets the answer that it got, under whatever id.
    let ended = desk
        .world
        .records
        .iter()
        .find(|record| record.events.iter().any(|event| matches!(event, Event::LandEnded(_))));
    let ended = ended.unwrap().seq;
    let own = desk.own(1);
    assert_eq!(desk.send("codex", "land.end", landed.clone()).unwrap().seq(), Some(ended));
    desk.ok("codex", "task.complete", own.clone());
    let completed = desk.world.state.seq;
    assert_eq!(desk.send("codex", "land.end", landed).unwrap().seq(), Some(ended));
    let again = desk.send("codex", "task.complete", own).unwrap();
    assert_eq!(again.seq(), Some(completed));
}

#[test]
fn ends_are_answered_for_ever() {
    for (verb, more) in [
        ("task.fail", json!({ "class": "test", "message": "no" })),
        ("task.abandon", json!({ "reason": "no" })),
    ] {
        let mut desk = Desk::new();
        desk.ok("alice", "task.add", json!({ "title": "x" }));
        desk.award(1, "codex");
        let own = with(desk.own(1), more);
        let first = desk.send("codex", verb, own.clone()).unwrap();
        desk.award(1, "claude");
        let again = desk.send("codex", verb, own).unwrap();
        assert_eq!((again.seq(), code(&again)), (first.seq(), "ok"), "{verb}");
    }
    let mut desk = Desk::new();
    desk.ok("codex", "agent.leave", json!({ "session": "codex" }));
    desk.ok("codex", "agent.leave", json!({ "session": "codex" }));
}

#[test]
fn a_task_is_answered_as_it_is() {
    let mut desk = Desk::new();
    let added = desk.ok("alice", "task.add", json!({ "title": "x", "key": "k" }));
    let view: TaskView = serde_json::from_value(added.clone()).unwrap();
    assert_eq!((view.task.0, view.state.as_str()), (1, "queued"));
    let again = desk.send("bob", "task.add", json!({ "title": "y", "key": "k" })).unwrap();
    let Reply::Ok { seq: None, result } = again else { panic!("{again:?}") };
    assert_eq!((&result["task"], &result["title"]), (&json!("t-1"), &json!("x")));
    desk.award(1, "codex");
    let own = desk.own(1);
    let started = desk.ok("codex", "task.start", own.clone());
    assert_eq!(
        (&started["state"], &started["attempt"]["token"]),
        (&json!("working"), &own["token"])
    );
    let progress = desk.send("codex", "task.progress", own).unwrap();
    assert_eq!(progress.seq(), None);
    let cancelled = desk.ok("alice", "task.cancel", json!({ "task": "t-1" }));
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(cancelled["attempts"][0]["why"], "cancelled");
}

#[test]
fn who_joins_is_told_what_it_needs() {
    let mut world = World::bare();
    world.repo("r", false);
    let mut desk = Desk { world, answered: Vec::new(), ids: 0 };
    let join = |session: &str| json!({ "tool": "custom", "host": "h", "session": session });
    let first = desk.ok("codex", "agent.join", join("s-1"));
    assert_eq!((&first["role"], &first["session"]), (&json!("architect"), &json!("s-1")));
    assert!(first["rulebook"]["rules"]["R01"].is_string());
    assert!(first["rulebook"]["prompt"]["R11"].is_string());
    assert_eq!((&first["framework"], &first["task"]), (&Value::Null, &Value::Null));
    let publish = json!({ "text": "plan", "session": "s-1" });
    desk.ok("codex", "framework.publish", publish);
    let second = desk.ok("claude", "agent.join", join("s-2"));
    assert_eq!(second["role"], "agent");
    assert_eq!(second["framework"]["version"], 1);
    assert_eq!(second["roster"].as_array().unwrap().len(), 2);
    let resumed = desk.ok("codex", "agent.join", join("s-1"));
    assert_eq!(resumed["role"], "architect");
}

/// A UUIDv7 of that millisecond.
fn v7(ms: u64, n: u64) -> String {
    let (high, low) = (ms >> 16, ms & 0xffff);
    format!("{high:08x}-{low:04x}-7000-8000-{n:012x}")
}

#[test]
fn the_oldest_are_forgotten_and_never_done_again() {
    let mut desk = Desk::new();
    let acquire = |id: &str, path: &str, wait_ms: u64| {
        let paths = [path];
        json!({ "id": id, "paths": paths, "mode": "write", "wait_ms": wait_ms })
    };
    desk.ok("alice", "lock.acquire", acquire("held", "w", 0));
    let waits = desk.command("bob", "lock.acquire", acquire(&v7(1, 1), "w", 3_600_000));
    assert_eq!(desk.take(&waits), None);
    let mut sent = Vec::new();
    for n in 0..RECEIPTS_PER_ACTOR_MAX as u64 + 20 {
        let body = json!({ "id": v7(1_000 + n, n), "key": format!("k-{n}"), "value": "v" });
        let command = desk.command("bob", "note.share", body);
        desk.take(&command).unwrap();
        sent.push(command);
    }
    let (state, at) = (&desk.world.state, desk.world.at);
    assert_eq!(known(state, &waits, at), Known::Waiting, "what waits is not forgotten");
    let order = state.receipt_orders.get(&actor("bob")).unwrap();
    assert_eq!(order.ids.len(), RECEIPTS_PER_ACTOR_MAX);
    assert_eq!(order.forgotten_ms, 1_020);
    let expired =
        |known: Known| matches!(known, Known::Refused(Rejection { code: Code::IdExpired, .. }));
    for (n, command) in sent.iter().enumerate() {
        let known = known(state, command, at);
        assert_eq!(expired(known.clone()), n < 21, "{n}: {known:?}");
        assert_eq!(matches!(known, Known::Answered { .. }), n >= 21, "{n}");
    }
    let other = |ms: u64| {
        let mut command = sent[0].clone();
        command.id = CommandId::new(&v7(ms, 999_999)).unwrap();
        command
    };
    assert!(expired(known(state, &other(1_020), at)));
    assert_eq!(known(state, &other(1_021), at), Known::New);
    let mut alices = other(1);
    alices.actor = actor("alice");
    assert_eq!(known(state, &alices, at), Known::New, "each actor has its own memory");
}

/// The defect: 256 ids from the future were remembered, and as they were forgotten every honest
/// id of that actor was too old from then on.
#[test]
fn ids_from_the_future_lock_nobody_out() {
    let mut desk = Desk::new();
    let now = desk.world.at.0;
    let mut share = |ms: u64, n: u64| {
        let body = json!({ "id": v7(ms, n), "key": format!("k-{n}"), "value": "v" });
        let command = desk.command("bob", "note.share", body);
        desk.take(&command).unwrap()
    };
    let ahead = now + devmesh_protocol::limits::ID_AHEAD_MS;
    for n in 0..RECEIPTS_PER_ACTOR_MAX as u64 * 2 {
        let refused = share(ahead + 1 + n * 1_000, n);
        assert_eq!(code(&refused), "BAD_REQUEST");
        let Reply::Err { error, .. } = refused else { panic!("it is refused") };
        assert_eq!(error.details["field"], "id");
    }
    assert!(matches!(share(ahead, 10_000), Reply::Ok { .. }), "a clock may differ a little");
    assert!(matches!(share(now, 10_001), Reply::Ok { .. }));
    let order = desk.world.state.receipt_orders.get(&actor("bob")).unwrap();
    assert_eq!((order.ids.len(), order.forgotten_ms), (2, 0));
}

/// The defect: a person who waits under a named session was never answered when ended.
#[test]
fn a_wait_under_a_session_ends_with_its_actor() {
    let mut desk = Desk::new();
    desk.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    let body = json!({ "paths": ["a"], "mode": "write", "wait_ms": 60_000, "session": "desk-1" });
    let named = desk.command("bob", "lock.acquire", body);
    assert_eq!(desk.take(&named), None);
    let plain = json!({ "paths": ["a"], "mode": "write", "wait_ms": 60_000 });
    let plain = desk.command("bob", "lock.acquire", plain);
    assert_eq!(desk.take(&plain), None);
    desk.ok("admin", "actor.end", json!({ "actor": "bob" }));
    let state = &desk.world.state;
    for command in [&named, &plain] {
        let known = known(state, command, desk.world.at);
        let Known::Answered { seq } = known else { panic!("{known:?}") };
        let record = &desk.world.records[seq as usize - 1];
        let own = answers(state, record).into_iter().find(|answer| answer.id == command.id);
        assert_eq!(code(&own.unwrap().reply), "STALE_TOKEN");
    }
}

/// Receipts come from records alone: a reader that folds them knows the same.
#[test]
fn memory_is_replayed() {
    let mut desk = Desk::new();
    let command = desk.command("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "read" }));
    let reply = desk.take(&command).unwrap();
    let mut state = State::default();
    for record in &desk.world.records {
        fold(&mut state, record);
    }
    let Known::Answered { seq } = known(&state, &command, state.at) else { panic!() };
    assert_eq!(Some(seq), reply.seq());
    assert_eq!(answers(&state, &desk.world.records[seq as usize - 1])[0].reply, reply);
}

/// A refusal that is on record spends its id; one that is only counted does not.
#[test]
fn a_recorded_refusal_spends_its_id() {
    let mut desk = Desk::new();
    desk.ok("alice", "lock.acquire", json!({ "paths": ["a"], "mode": "write" }));
    let refused = desk.command("bob", "lock.acquire", json!({ "paths": ["a"], "mode": "read" }));
    let first = desk.take(&refused).unwrap();
    assert_eq!((code(&first), first.seq().is_some()), ("LOCK_CONFLICT", true));
    desk.ok("alice", "lock.release", json!({ "paths": ["a"] }));
    assert_eq!(desk.take(&refused).unwrap(), first);
    let counted = desk.command("codex", "framework.read", json!({ "version": 1 }));
    assert_eq!(desk.take(&counted).unwrap().seq(), None);
    desk.ok("alice", "framework.publish", json!({ "text": "x" }));
    assert_eq!(code(&desk.take(&counted).unwrap()), "ok");
}

#[test]
fn with_whom_a_conversion_was_shared_is_told_again_when_it_is_over() {
    let mut desk = Desk::new();
    desk.world.attempt(1, "codex", json!({}));
    desk.world.attempt(2, "claude", json!({}));
    let ask =
        |mode: &str, task: &str| json!({ "paths": ["Cargo.lock"], "mode": mode, "task": task });
    let lease = desk.ok("codex", "lock.acquire", ask("read", "t-1"))["leases"][0]["lease"].clone();
    let other = desk.ok("claude", "lock.acquire", ask("intent", "t-2"));
    let command = desk.command("codex", "lock.convert", json!({ "lease": lease, "mode": "write" }));
    let first = desk.take(&command).unwrap();
    let Reply::Ok { result, .. } = &first else { panic!("{first:?}") };
    assert_eq!(result["shared"][0]["lease"], other["leases"][0]["lease"], "{result}");
    desk.ok("codex", "lock.release", json!({ "task": "t-1" }));
    assert_eq!(desk.take(&command).unwrap(), first);
}
